import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import (
    ENTRY_LINE,
    ENTRY_PATH,
    KNOWN_FROM_OR_ALWAYS,
    THRESHOLDS_PERCENT,
    VALID_TO_DAY,
)
from models.schemas.cost_kinds import COST_KINDS

BUDGET_SCOPE = (
    "tenant", "team", "feature", "environment", "provider", "region", "route", "model", "chip", "service_tier",
)  # fmt: skip
PERIODS = ("month", "quarter", "year")

TABLE = Table(
    schema="ref",
    name="budgets",
    grain="One row per entry of budgets.yml: what may be spent in each period on what",
    columns=(
        Column(name="entry_number", dtype=pl.Int64, comment="Place in the file; of two entries of a name that hold the later counts", required=True),
        Column(name="name", dtype=pl.String, comment="Budget", required=True),
        Column(name="usd", dtype=USD, comment="Dollars of each period", required=True),
        Column(name="period", dtype=pl.String, comment="month, quarter or year", required=True, one_of=PERIODS),
        *(Column(name=name, dtype=pl.String, comment=f"The spend's {name}; NULL = any") for name in BUDGET_SCOPE),
        Column(name="cost_kinds", dtype=pl.List(pl.String), comment=f"Kinds of cost, of {', '.join(COST_KINDS)}; NULL = all"),
        THRESHOLDS_PERCENT,
        Column(name="valid_from", dtype=INSTANT, comment="First day of the first month that it is for; NULL: always"),
        VALID_TO_DAY,
        KNOWN_FROM_OR_ALWAYS,
        ENTRY_PATH,
        ENTRY_LINE,
    ),
    key=("entry_number",),
)  # fmt: skip
