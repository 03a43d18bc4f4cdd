import polars as pl

from models.schemas.base import INSTANT, Column, Table

TABLE = Table(
    schema="ops",
    name="closed_periods",
    grain="One row per close of a period of business dates; one that was reopened stays, with who did it and why",
    columns=(
        Column(name="period", dtype=pl.String, comment="Month, as YYYY-MM", required=True),
        Column(name="closed_from", dtype=pl.Date, comment="First business date", required=True),
        Column(name="closed_to", dtype=pl.Date, comment="First business date after it", required=True),
        Column(name="closed_at", dtype=INSTANT, comment="When, UTC", required=True),
        Column(
            name="known_at",
            dtype=INSTANT,
            comment="Instant of knowledge that the figures rest on",
            required=True,
        ),
        Column(name="time_zone", dtype=pl.String, comment="Reporting zone at the close", required=True),
        Column(name="snapshot_id", dtype=pl.Int64, comment="DuckLake snapshot of the close"),
        Column(name="closed_by", dtype=pl.String, comment="Who closed it"),
        Column(name="currency", dtype=pl.String, comment="Reporting currency at the close; NULL: USD"),
        Column(
            name="reopened_at", dtype=INSTANT, comment="When it was opened again, UTC; NULL: it is closed"
        ),
        Column(name="reopened_by", dtype=pl.String, comment="Who opened it again"),
        Column(name="reopen_reason", dtype=pl.String, comment="Why"),
    ),
    key=("period", "closed_at"),
)
