import polars as pl

from models.schemas.base import INSTANT, Column, Table

TABLE = Table(
    schema="ops",
    name="deliveries",
    grain="One row per report that was to be delivered x way: what became of it, so that nothing is sent twice",
    columns=(
        Column(name="delivery", dtype=pl.String, comment="Entry of [[deliveries]]", required=True),
        Column(
            name="way",
            dtype=pl.String,
            comment="How it goes out",
            required=True,
            one_of=("folder", "email", "webhook"),
        ),
        Column(name="report", dtype=pl.String, comment="daily, weekly or month-close", required=True),
        Column(name="period", dtype=pl.String, comment="First day, or month, of the report", required=True),
        Column(
            name="state",
            dtype=pl.String,
            comment="sending: begun, and where its run was killed nobody knows whether it went out; sent; failed: the "
            "next run tries again",
            required=True,
            one_of=("sending", "sent", "failed"),
        ),
        Column(name="attempt_count", dtype=pl.Int64, comment="Times it was tried", required=True, at_least=1),
        Column(name="state_at", dtype=INSTANT, comment="When it came to that state, UTC", required=True),
        Column(name="run_id", dtype=pl.String, comment="Run that tried it last", required=True),
        Column(name="note", dtype=pl.String, comment="What went wrong; NULL: nothing"),
    ),
    key=("delivery", "way", "report", "period"),
)
