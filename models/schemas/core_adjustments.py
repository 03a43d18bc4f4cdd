import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table

TABLE = Table(
    schema="core",
    name="adjustments",
    grain="One row per corrected attempt, pool-hour or other charge of a closed period",
    columns=(
        Column(name="adjustment_id", dtype=pl.String, comment="Adjustment", required=True),
        Column(name="source", dtype=pl.String, comment="Source of the corrected attempt"),
        Column(
            name="request_id", dtype=pl.String, comment="Corrected attempt; NULL for a pool-hour or charge"
        ),
        Column(name="charge_id", dtype=pl.String, comment="Corrected row of core.other_charges"),
        Column(
            name="deployment",
            dtype=pl.String,
            comment="Corrected pool, or route of the charge; NULL for an attempt",
        ),
        *(
            Column(name=name, dtype=pl.String, comment=comment)
            for name, comment in (
                ("provider", "Provider of the attempt, pool or charge, as it is now known"),
                ("region", "Its region"),
                ("route", "Its route: the deployment, of a pool"),
                ("model", "Its model"),
                ("chip", "Its accelerator"),
                ("tenant", "Its tenant; NULL for a pool"),
                ("team", "Its team; NULL for a pool or charge"),
                ("feature", "Its feature; NULL for a pool or charge"),
                ("environment", "Its environment; NULL for a pool or charge"),
            )
        ),
        Column(name="accrued_hour", dtype=INSTANT, comment="Hour that is corrected", required=True),
        Column(name="accrued_on", dtype=pl.Date, comment="Business date that is corrected", required=True),
        Column(
            name="booked_on",
            dtype=pl.Date,
            comment="Business date on which the correction is booked",
            required=True,
        ),
        Column(name="old_usd", dtype=USD, comment="Figure before; 0 if none", required=True),
        Column(name="new_usd", dtype=USD, comment="Figure after", required=True),
        Column(name="difference_usd", dtype=USD, comment="new_usd - old_usd", required=True),
        Column(
            name="reason",
            dtype=pl.String,
            comment="late_row, reprice, resplit, or reopened: a month was opened again, and its corrections are in its facts now",
            required=True,
        ),
        Column(name="sheet_version", dtype=pl.String, comment="Price version of the new figure"),
    ),
    key=("adjustment_id",),
)
