import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import MONTH_ON, UNPRICED_TOKENS
from models.schemas.cost_kinds import COST_KINDS

STATUSES = ("showback", "accepted", "disputed", "charged")
SMALL_GROUPS = "(small groups)"

TABLE = Table(
    schema="mart",
    name="chargeback_monthly",
    grain="One row per month x tenant x team x cost centre x kind of cost x rule: the month's bill by who pays it",
    columns=(
        MONTH_ON,
        Column(name="tenant", dtype=pl.String, comment="Tenant; NULL: the payer is a team or cost centre, or nobody"),
        Column(name="team", dtype=pl.String, comment="Team; (small groups): those too small to be shown; NULL: none is known"),
        Column(name="cost_centre", dtype=pl.String, comment="Cost centre, as chargeback.yml says; NULL: it says none"),
        Column(name="payer", dtype=pl.String, comment="Who gets the statement: cost centre, else team, else tenant; NULL: unallocated"),
        Column(name="cost_kind", dtype=pl.String, comment="What the cost is for", required=True, one_of=COST_KINDS),
        Column(name="rule", dtype=pl.String, comment="Rule by which the payer has it; direct: its own requests", required=True),
        Column(name="usd", dtype=USD, comment="Dollars; the rows of a month sum to its bill exactly", required=True),
        Column(name="attempt_count", dtype=pl.Int64, comment="Attempts of its own that began; 0 for split costs", required=True),
        Column(name="total_tokens", dtype=pl.Int64, comment="Tokens of its own; 0 for split costs", required=True),
        UNPRICED_TOKENS,
        Column(
            name="status",
            dtype=pl.String,
            comment="showback; accepted or disputed once the payer signed this amount; charged once accepted and closed",
            required=True,
            one_of=STATUSES,
        ),
        Column(name="signed_by", dtype=pl.String, comment="Who signed the statement; NULL: nobody, or for another amount"),
        Column(name="signed_on", dtype=pl.Date, comment="When"),
    ),
    key=("month_on", "tenant", "team", "cost_centre", "cost_kind", "rule"),
    partition="month_on",
)  # fmt: skip
