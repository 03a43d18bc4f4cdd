import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import (
    ACCRUED_ON_PARTITION,
    DEVELOPER,
    MAY_SERVE_WEIGHTS,
    PROVIDER,
    ROUTE_CHOSEN,
    SERVED_MODEL_NAME,
)


def _count(name: str, comment: str) -> Column:
    return Column(name=name, dtype=pl.Int64, comment=comment, required=True)


def _ratio(name: str, comment: str) -> Column:
    return Column(name=name, dtype=pl.Float64, comment=f"{comment}. Never summed")


_LATENCIES = {
    "p50_seconds": "Median seconds of answered attempts",
    "p95_seconds": "95th percentile of the seconds of answered attempts",
    "p50_first_token_seconds": "Median seconds to the first token, where it is known",
    "p95_first_token_seconds": "95th percentile of the seconds to the first token",
    "output_tokens_per_second": "Output tokens of answered attempts for each second after their first token (after their start where that is not known)",
}

TABLE = Table(
    schema="mart",
    name="scoreboard",
    grain="One row per business day x route x task class x cost basis x provider x model: availability, latency and cost of each model beside a proprietary reference on the same traffic",
    columns=(
        ACCRUED_ON_PARTITION,
        ROUTE_CHOSEN,
        Column(name="task_class", dtype=pl.String, comment="Class of work; NULL: not given"),
        Column(
            name="cost_basis",
            dtype=pl.String,
            comment="gpu (an owned pool) or token (an API)",
            required=True,
            one_of=("gpu", "token"),
        ),
        PROVIDER,
        SERVED_MODEL_NAME,
        Column(name="family", dtype=pl.String, comment="Weights shared across providers; NULL: not known"),
        DEVELOPER,
        MAY_SERVE_WEIGHTS,
        Column(
            name="is_reference",
            dtype=pl.Boolean,
            comment="Whether the row is the reference itself",
            required=True,
        ),
        _count("attempt_count", "Attempts that began"),
        _count("ok_count", "Of them, answered"),
        _count("error_count", "Of them, failed; the rest the caller broke off"),
        Column(
            name="active_minute_count",
            dtype=pl.Int64,
            comment="Minutes in which an attempt began that was answered or failed; NULL: none",
        ),
        Column(
            name="available_minute_count",
            dtype=pl.Int64,
            comment="Of them, those in which any was answered",
        ),
        _ratio("available_minute_ratio", "available_minute_count / active_minute_count"),
        _ratio("available_request_ratio", "Answered / answered and failed attempts"),
        *(_ratio(name, comment) for name, comment in _LATENCIES.items()),
        _count("total_tokens", "All classes"),
        _count("priced_tokens", "Tokens of priced and free attempts"),
        Column(name="usage_usd", dtype=USD, comment="Effective dollars, serving only for pools"),
        Column(
            name="available_usd",
            dtype=USD,
            comment="With what the pool cost beside serving, by allocation weight; NULL when nothing is priced",
        ),
        _ratio("available_usd_per_mtok", "1e6 x available_usd / priced_tokens"),
        _ratio(
            "available_usd_per_1k_characters",
            "available_usd for 1,000 characters of text, at 4 characters a token of the reference tokenizer; NULL where quality.yml states no tokens_ratio of the model",
        ),
        Column(
            name="tokens_ratio",
            dtype=pl.Float64,
            comment="Tokens that its tokenizer makes of a text per token of a reference one, as quality.yml states; NULL: not stated. Never summed",
        ),
        Column(
            name="reference_provider",
            dtype=pl.String,
            comment="Provider of the reference: [scoreboard] references, else of the proprietary model with most attempts here; NULL: none",
        ),
        Column(name="reference_model", dtype=pl.String, comment="Model of the reference"),
        _ratio("reference_available_minute_ratio", "That of the reference on this route and class"),
        _ratio("reference_available_request_ratio", "That of the reference on this route and class"),
        *(
            _ratio(f"reference_{name}", f"{comment}, of the reference on this route and class")
            for name, comment in _LATENCIES.items()
        ),
        Column(
            name="reference_usd",
            dtype=pl.Float64,
            comment="What the same tokens would cost at the reference's list prices of the day; NULL without a price",
        ),
        Column(
            name="is_converted",
            dtype=pl.Boolean,
            comment="Whether tokens were converted between the two tokenizers; else one token is taken for one",
            required=True,
        ),
        _ratio("cost_ratio", "available_usd / reference_usd: 0.5 is half the cost"),
    ),
    key=("accrued_on", "route", "task_class", "cost_basis", "provider", "model"),
    partition="accrued_on",
)
