import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import ENTRY_PATH, KNOWN_FROM_OR_ALWAYS, VALID_FROM_DAY, VALID_TO_DAY

METHODS = ("by_usage", "fixed_shares", "reserving_team", "central", "suppress")

TABLE = Table(
    schema="ref",
    name="chargeback_rules",
    grain="One row per rule of chargeback.yml x kind of cost x payer that it names: who pays for what nobody asked for",
    columns=(
        Column(
            name="rule_number",
            dtype=pl.Int64,
            comment="Place in the file; of several rules that hold for a cost on a day the highest counts",
            required=True,
            at_least=0,
        ),
        Column(name="name", dtype=pl.String, comment="Name of the rule", required=True),
        Column(name="cost_kind", dtype=pl.String, comment="Kind of cost that it is for; all: small groups", required=True),
        *(
            Column(name=name, dtype=pl.String, comment=f"The cost's {name}; NULL = any")
            for name in ("provider", "region", "chip", "deployment", "commitment")
        ),
        Column(name="method", dtype=pl.String, comment="How it is split; suppress: small groups", required=True, one_of=METHODS),
        Column(name="usage_of", dtype=pl.String, comment="Whose usage weighs: pool, chip, provider or everything; NULL: by kind"),
        Column(name="measure", dtype=pl.String, comment="What usage weighs by: usd or tokens; NULL: not by usage"),
        Column(name="payer_dimension", dtype=pl.String, comment="What payer is: team, tenant or cost_centre; NULL: by usage"),
        Column(name="payer", dtype=pl.String, comment="Who pays; NULL: the method finds out"),
        Column(name="share", dtype=pl.Decimal(38, 9), comment="The payer's share, in any unit; of suppress the fewest requests that are shown"),
        VALID_FROM_DAY,
        VALID_TO_DAY,
        KNOWN_FROM_OR_ALWAYS,
        ENTRY_PATH,
        Column(name="sheet_line", dtype=pl.Int64, comment="Line of the rule in the file", required=True),
    ),
    key=("rule_number", "cost_kind", "payer"),
)  # fmt: skip
