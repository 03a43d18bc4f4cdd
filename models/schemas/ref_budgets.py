import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
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
        Column(name="thresholds_percent", dtype=pl.List(pl.Int64), comment="Shares of it that are told of", required=True),
        Column(name="valid_from", dtype=INSTANT, comment="First day of the first month that it is for; NULL: always"),
        Column(name="valid_to", dtype=INSTANT, comment="Day after the last; NULL: for good"),
        Column(name="known_from", dtype=INSTANT, comment="Known from this instant; NULL: always"),
        Column(name="sheet_path", dtype=pl.String, comment="File", required=True),
        Column(name="sheet_line", dtype=pl.Int64, comment="Line of the entry in the file", required=True),
    ),
    key=("entry_number",),
)  # fmt: skip
