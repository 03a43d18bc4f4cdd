import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import RUN_ID

TABLE = Table(
    schema="ops",
    name="check_results",
    grain="One row per check run",
    columns=(
        Column(name="checked_at", dtype=INSTANT, comment="When, UTC", required=True),
        RUN_ID,
        Column(
            name="check_name",
            dtype=pl.String,
            comment="Check, named as the fact that should hold",
            required=True,
        ),
        Column(name="table_name", dtype=pl.String, comment="Table that it looks at", required=True),
        Column(name="partition_from", dtype=pl.String, comment="First partition key that it looked at"),
        Column(name="partition_to", dtype=pl.String, comment="Last partition key that it looked at"),
        Column(name="is_passed", dtype=pl.Boolean, comment="Whether the fact holds", required=True),
        Column(
            name="severity", dtype=pl.String, comment="warn or error", required=True, one_of=("warn", "error")
        ),
        Column(name="failed_count", dtype=pl.Int64, comment="Rows that break it", required=True),
        Column(name="summary", dtype=pl.String, comment="One sentence", required=True),
        Column(
            name="failed_ids",
            dtype=pl.List(pl.String),
            comment="Keys of the first rows that break it",
            required=True,
        ),
    ),
    key=("run_id", "check_name", "table_name", "partition_from"),
)
