"""What is left to look at: tables (Parquet, CSV, JSON), one picture of a job, a page of a group, ``cm.plot``.

The only importer of matplotlib.
"""

from chunkmed.report.group import Card, Group
from chunkmed.report.group_page import page_template, write_group_page
from chunkmed.report.picture import summary_figure, summary_picture
from chunkmed.report.tables import write_json, write_table

__all__ = [
    "Card",
    "Group",
    "page_template",
    "summary_figure",
    "summary_picture",
    "write_group_page",
    "write_json",
    "write_table",
]
