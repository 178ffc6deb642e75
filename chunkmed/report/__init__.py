"""What is left to look at: tables (Parquet, CSV, JSON), one picture of a job, and ``cm.plot``.

The only importer of matplotlib.
"""

from chunkmed.report.picture import summary_figure, summary_picture
from chunkmed.report.tables import write_json, write_table

__all__ = ["summary_figure", "summary_picture", "write_json", "write_table"]
