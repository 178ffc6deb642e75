"""What is left to look at: tables (Parquet, CSV, JSON) and one picture. The only importer of matplotlib."""

from chunkmed.report.picture import summary_figure, summary_picture
from chunkmed.report.tables import write_json, write_table

__all__ = ["summary_figure", "summary_picture", "write_json", "write_table"]
