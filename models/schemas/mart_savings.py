import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import MODEL, MONTH_ON, OPTIONAL_CHIP

SAVING_KINDS = {
    "buy_instead_of_own": "an API costs less than the pool",
    "own_instead_of_buy": "GPUs would cost less than the APIs",
    "idle_waste": "GPUs idle beyond the headroom that they need",
    "unheld_gpus": "paid nodes that no replica holds",
    "unused_commitment": "commitments to drop: nobody uses them",
    "unused_provisioned_throughput": "provisioned throughput that is bought and idle",
    "failed_starts": "starts of replicas that fail",
    "cold_starts": "bursts of cold starts that cost more than their cure",
    "routing": "calls that a cheaper eligible choice would have served",
    "cache_not_used": "input sent again that a prompt cache would have kept",
    "batch_not_used": "work that can wait, at the immediate rate",
    "commitment_to_buy": "steady load on demand that a commitment would serve for less",
}
"""Kinds of changes, in the order in which those of one cell are counted."""
CONFIDENCES = ("high", "medium", "low")

TABLE = Table(
    schema="mart",
    name="savings",
    grain="One row per month x change that would have saved money, ranked by dollars; no dollar stands in two rows",
    columns=(
        MONTH_ON,
        Column(name="rank", dtype=pl.Int64, comment="Place by saving_usd, 1 = most", required=True, at_least=1),
        Column(name="kind", dtype=pl.String, comment="What is wrong", required=True, one_of=tuple(SAVING_KINDS)),
        Column(name="change", dtype=pl.String, comment="The change to make", required=True),
        Column(name="saving_usd", dtype=USD, comment="What it would have saved in the days that are counted, beside all other rows", required=True),
        Column(name="month_usd", dtype=USD, comment="That for a whole month at this pace: saving_usd x days of the month / day_count", required=True),
        Column(name="confidence", dtype=pl.String, comment="high: billed, and nothing else has to hold; medium: a price or a cure has to hold; low: rests on what the evidence says is assumed", required=True, one_of=CONFIDENCES),
        Column(name="evidence", dtype=pl.String, comment="The facts it rests on", required=True),
        Column(name="instead", dtype=pl.String, comment="Another plan for the same dollars that saves less; NULL: none is known"),
        Column(name="spender", dtype=pl.String, comment="Pool, or all API calls of a model family, whose dollars it saves", required=True),
        Column(name="cell", dtype=pl.String, comment="Part of the spender's spend that it is saved from; NULL: all of it"),
        Column(name="spend_usd", dtype=USD, comment="Spend of that part, in each of its rows: savings of one part never sum to more. Never summed", required=True),
        Column(name="provider", dtype=pl.String, comment="Provider"),
        Column(name="region", dtype=pl.String, comment="Region"),
        Column(name="route", dtype=pl.String, comment="Route, or the pool's deployment"),
        MODEL,
        OPTIONAL_CHIP,
        Column(name="commitment", dtype=pl.String, comment="The pool's commitment"),
        Column(name="day_count", dtype=pl.Int64, comment="Business days of the month that are counted", required=True, at_least=1),
    ),
    key=("month_on", "rank"),
    partition="month_on",
)  # fmt: skip
