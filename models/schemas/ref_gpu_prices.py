import polars as pl

from models.schemas.base import INSTANT, Column, Table

TABLE = Table(
    schema="ref",
    name="gpu_prices",
    grain="One row per vendor x chip x region x commitment x model x validity: a dated rate, with when it was known",
    columns=(
        Column(name="price_id", dtype=pl.String, comment="Price row", required=True),
        Column(name="provider", dtype=pl.String, comment="Vendor (a provider id)", required=True),
        Column(name="chip", dtype=pl.String, comment="Accelerator", required=True),
        Column(
            name="region", dtype=pl.String, comment="Region; NULL = any region without a price of its own"
        ),
        Column(
            name="commitment", dtype=pl.String, comment="on_demand, spot, reserved, committed", required=True
        ),
        Column(
            name="model",
            dtype=pl.String,
            comment="Model of provisioned throughput whose units have this rate; NULL = any without one of its own",
        ),
        Column(name="usd_per_gpu_hour", dtype=pl.Decimal(38, 12), comment="Rate as printed", required=True),
        Column(
            name="picodollars_per_gpu_hour",
            dtype=pl.Int64,
            comment="Booked rate in whole picodollars",
            required=True,
            at_least=0,
        ),
        Column(name="is_rounded", dtype=pl.Boolean, comment="Whether booking moved the rate", required=True),
        Column(name="granularity_seconds", dtype=pl.Int64, comment="Billing step", required=True, at_least=1),
        Column(
            name="minimum_seconds",
            dtype=pl.Int64,
            comment="Minimum billed per instance",
            required=True,
            at_least=0,
        ),
        Column(
            name="free_if_interrupted_within_seconds",
            dtype=pl.Int64,
            comment="An instance that the vendor takes back before it has run so long costs nothing; NULL = it is billed",
            at_least=1,
        ),
        Column(
            name="billed_phases",
            dtype=pl.List(pl.String),
            comment="Phases that the vendor bills: waiting, pulling, loading, serving, idle, draining, failed",
            required=True,
        ),
        Column(name="valid_from", dtype=INSTANT, comment="Rate applies from this instant", required=True),
        Column(name="valid_to", dtype=INSTANT, comment="Rate applies before this instant; NULL = open"),
        Column(name="known_from", dtype=INSTANT, comment="Rate was known from this instant", required=True),
        Column(name="known_to", dtype=INSTANT, comment="Corrected at this instant; NULL = open"),
        Column(name="sheet_version", dtype=pl.String, comment="Content hash of the sheet", required=True),
        Column(name="sheet_path", dtype=pl.String, comment="Sheet file", required=True),
        Column(name="sheet_line", dtype=pl.Int64, comment="Line of the entry in the sheet"),
        Column(name="source_url", dtype=pl.String, comment="Where the price was published", required=True),
    ),
    key=("price_id",),
)
