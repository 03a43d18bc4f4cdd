import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table

_MEASURES = {
    "count": "Calls",
    "tokens": "Tokens of all classes",
    "input_tokens": "Input tokens of all classes",
    "cache_read_tokens": "Input tokens read from a cache",
    "output_tokens": "Output tokens, reasoning included",
}


def _measure(name: str, what: str) -> tuple[Column, ...]:
    return (
        Column(
            name=f"counted_{name}",
            dtype=pl.Int64,
            comment=f"{what} by the counter; NULL: not counted",
            at_least=0,
        ),
        Column(
            name=f"logged_{name}", dtype=pl.Int64, comment=f"{what} in the logs", required=True, at_least=0
        ),
        Column(
            name=f"gap_{name}",
            dtype=pl.Int64,
            comment=f"{what}: counted - logged; above zero the logs lack them; NULL: not counted",
        ),
    )


TABLE = Table(
    schema="ops",
    name="completeness",
    grain="One row per counted hour or UTC day x counter x provider x model: logs against an independent counter",
    columns=(
        Column(
            name="bucket_hour",
            dtype=INSTANT,
            comment="UTC hour in which the bucket starts; the partition",
            required=True,
        ),
        Column(
            name="bucket_seconds",
            dtype=pl.Int64,
            comment="3600, or 86400 for a counter that tells days only",
            required=True,
        ),
        Column(name="source", dtype=pl.String, comment="Configured source of the counter", required=True),
        Column(name="source_kind", dtype=pl.String, comment="Its kind", required=True),
        Column(
            name="provider", dtype=pl.String, comment="Who ran it; self_hosted for owned pools", required=True
        ),
        Column(
            name="model",
            dtype=pl.String,
            comment="Model as priced, of owned pools as served; NULL: all, where the counter does not tell models apart",
        ),
        *(column for name, what in _MEASURES.items() for column in _measure(name, what)),
        Column(
            name="gap_estimated_usd",
            dtype=USD,
            comment="Estimate of what the gap's tokens cost, never summed in; NULL: no price or no count",
        ),
        Column(
            name="estimated_from",
            dtype=pl.String,
            comment="logged: the model's effective prices on that UTC day; price_book: its list price; NULL: no estimate",
            one_of=("logged", "price_book"),
        ),
    ),
    key=("bucket_hour", "bucket_seconds", "source", "provider", "model"),
    partition="bucket_hour",
    overlaps="Several counters may count the same calls: filter by source.",
)
