import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import CHIP, ENTRY_LINE, ENTRY_PATH, KNOWN_FROM

TABLE = Table(
    schema="ref",
    name="commitments",
    grain="One row per commitment: accelerators bought for a term, used or not",
    columns=(
        Column(name="provider", dtype=pl.String, comment="Who bills them", required=True),
        Column(name="region", dtype=pl.String, comment="Where they are", required=True),
        CHIP,
        Column(
            name="commitment",
            dtype=pl.String,
            comment="What replicas that run on it say: reserved or committed",
            required=True,
            one_of=("reserved", "committed"),
        ),
        Column(
            name="gpu_count",
            dtype=pl.Int64,
            comment="Accelerators that are paid for",
            required=True,
            at_least=1,
        ),
        Column(
            name="hourly_usd",
            dtype=USD,
            comment="Dollars per accelerator and hour, as printed",
            required=True,
        ),
        Column(
            name="upfront_usd", dtype=USD, comment="Dollars paid at the start for all of them", required=True
        ),
        Column(
            name="picodollars_per_gpu_hour",
            dtype=pl.Int64,
            comment="Booked rate: hourly plus the upfront spread evenly over count and term, rounded once half-even",
            required=True,
            at_least=0,
        ),
        Column(name="valid_from", dtype=INSTANT, comment="Start of the term", required=True),
        Column(name="valid_to", dtype=INSTANT, comment="End of the term, exclusive", required=True),
        KNOWN_FROM,
        Column(name="sheet_version", dtype=pl.String, comment="Content hash of the file", required=True),
        ENTRY_PATH,
        ENTRY_LINE,
    ),
    key=("provider", "region", "chip", "commitment", "valid_from", "known_from", "sheet_line"),
)
