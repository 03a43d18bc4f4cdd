import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import (
    ACCRUED_ON_PARTITION,
    PAYING_TENANT,
    REQUEST_ID,
    ROUTE,
    SOURCE_OF_ATTEMPT,
    STARTED_AT,
    TASK_CLASS,
)
from models.schemas.vocabulary import MISTAKE_KINDS

TABLE = Table(
    schema="mart",
    name="routing_mistakes",
    grain="One row per flagged attempt: the mistake, the clause, the cheaper eligible alternative and the regret",
    columns=(
        ACCRUED_ON_PARTITION,
        SOURCE_OF_ATTEMPT,
        REQUEST_ID,
        STARTED_AT,
        ROUTE,
        TASK_CLASS,
        PAYING_TENANT,
        Column(
            name="kind",
            dtype=pl.String,
            comment="First kind by precedence, to which the regret is attributed",
            required=True,
            one_of=MISTAKE_KINDS,
        ),
        Column(name="also_kinds", dtype=pl.List(pl.String), comment="Other kinds that hold", required=True),
        Column(
            name="clause", dtype=pl.String, comment="Policy clause that it breaks, or default", required=True
        ),
        Column(name="provider", dtype=pl.String, comment="Provider taken"),
        Column(name="region", dtype=pl.String, comment="Region taken"),
        Column(name="model", dtype=pl.String, comment="Model taken"),
        Column(name="chip", dtype=pl.String, comment="Chip taken"),
        Column(name="cost_usd", dtype=USD, comment="What it cost"),
        Column(
            name="alternative_provider",
            dtype=pl.String,
            comment="Provider of the cheapest eligible alternative at that minute; NULL when there was none",
        ),
        Column(name="alternative_region", dtype=pl.String, comment="Its region"),
        Column(name="alternative_model", dtype=pl.String, comment="Its model"),
        Column(name="alternative_chip", dtype=pl.String, comment="Its chip"),
        Column(name="alternative_usd", dtype=USD, comment="What the alternative would have cost"),
        Column(
            name="regret_usd",
            dtype=USD,
            comment="max(0, cost - alternative); NULL when no alternative is priced",
        ),
        Column(
            name="regret_low_usd",
            dtype=USD,
            comment="Regret if the alternative's tokens are as many as their conversion allows; 0 where the class of work is a guess",
        ),
        Column(
            name="regret_high_usd",
            dtype=USD,
            comment="Regret if the alternative's tokens are as few as their conversion allows",
        ),
        Column(
            name="wasted_usd",
            dtype=USD,
            comment="Cost of an answer that was asked for again of a stronger model, or that lost a race: shown apart, never in regret",
        ),
        Column(
            name="confidence_ratio",
            dtype=pl.Float64,
            comment="How sure the flag is, 0 to 1. Never summed",
            required=True,
        ),
        Column(name="evidence", dtype=pl.String, comment="The fact that flags it, in words", required=True),
        Column(name="policy_version", dtype=pl.String, comment="Version of the policy"),
        Column(
            name="policy_line",
            dtype=pl.Int64,
            comment="Line of the clause in the policy file; NULL for the default",
        ),
    ),
    key=("source", "request_id", "started_at"),
    partition="accrued_on",
)
