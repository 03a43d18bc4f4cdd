import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import FIRST_READ_AT, SOURCE, SOURCE_KIND
from models.schemas.vocabulary import place_columns

TABLE = Table(
    schema="raw",
    name="outcomes",
    grain="One row per usable record of a finished task of a landed file",
    columns=(
        SOURCE,
        SOURCE_KIND,
        Column(name="outcome_id", dtype=pl.String, comment="Task in one's own records; NULL: not given"),
        Column(
            name="session_id",
            dtype=pl.String,
            comment="Conversation or trace that led to it, as the logs name it",
            required=True,
        ),
        Column(
            name="outcome", dtype=pl.String, comment="Kind of task; task where none is given", required=True
        ),
        Column(name="is_success", dtype=pl.Boolean, comment="Whether the task was done", required=True),
        Column(name="value_usd", dtype=USD, comment="What it was worth; NULL: not given"),
        Column(name="tenant", dtype=pl.String, comment="Tenant; NULL: that of its session"),
        Column(name="started_at", dtype=INSTANT, comment="As finished_at: its hour", required=True),
        Column(name="finished_at", dtype=INSTANT, comment="When the task ended, UTC", required=True),
        FIRST_READ_AT,
        *place_columns(),
        Column(
            name="dedupe_key",
            dtype=pl.String,
            comment="What tells outcomes of a source apart. Of equal ones the latest counts",
            required=True,
        ),
    ),
    key=("file_hash", "line_number", "record_number"),
)
