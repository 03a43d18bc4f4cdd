import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import ENTRY_PATH, IS_ROUNDED, VALID_FROM, VALID_TO

TABLE = Table(
    schema="ref",
    name="overhead",
    grain="One row per entry of overhead.yml: what is billed beside the accelerators of pools, and for which",
    columns=(
        Column(name="name", dtype=pl.String, comment="Name of its line, such as storage", required=True),
        *(
            Column(name=name, dtype=pl.String, comment=f"The pool's {name}; NULL = any")
            for name in ("provider", "region", "chip", "deployment", "commitment")
        ),
        Column(
            name="usd_per_hour",
            dtype=pl.Decimal(38, 18),
            comment="Dollars an hour of all pools in scope together, as written; NULL: a share",
            at_least=0,
        ),
        Column(
            name="picodollars_per_hour",
            dtype=pl.Int64,
            comment="Booked rate, in whole picodollars; NULL: a share",
            at_least=0,
        ),
        IS_ROUNDED,
        Column(
            name="share_of_gpu",
            dtype=pl.Decimal(18, 9),
            comment="Part of what a pool was billed; NULL: dollars an hour",
            at_least=0,
        ),
        VALID_FROM,
        VALID_TO,
        Column(name="known_from", dtype=INSTANT, comment="Known from this instant; NULL = always"),
        ENTRY_PATH,
        Column(name="sheet_line", dtype=pl.Int64, comment="Line of the entry", required=True),
    ),
    key=("name", "provider", "region", "chip", "deployment", "commitment", "valid_from"),
)
