import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import ENTRY_LINE, ENTRY_PATH

TABLE = Table(
    schema="ref",
    name="scenarios",
    grain="One row per change of a scenario in budgets.yml: what a forecast supposes from tomorrow on",
    columns=(
        Column(name="entry_number", dtype=pl.Int64, comment="Place in the file", required=True),
        Column(name="name", dtype=pl.String, comment="Scenario; its changes are applied together", required=True),
        Column(name="provider", dtype=pl.String, comment="Whose usage changes; NULL = any"),
        Column(name="model", dtype=pl.String, comment="Of which model; NULL = any"),
        Column(name="growth_percent", dtype=pl.Decimal(38, 6), comment="How much more of it there is; NULL: no change"),
        Column(name="price_percent", dtype=pl.Decimal(38, 6), comment="How much dearer it is; NULL: no change"),
        Column(name="to_provider", dtype=pl.String, comment="Who runs it instead; NULL: nobody"),
        Column(name="to_model", dtype=pl.String, comment="Which model instead, by the price book's name"),
        Column(name="share_percent", dtype=pl.Decimal(38, 6), comment="Share of it that moves there; NULL: no switch"),
        ENTRY_PATH,
        ENTRY_LINE,
    ),
    key=("entry_number",),
)  # fmt: skip
