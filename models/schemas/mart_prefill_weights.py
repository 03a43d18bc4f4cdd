import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION

TABLE = Table(
    schema="mart",
    name="prefill_weights",
    grain="One row per business day x model x chip whose engines were scraped: what an input token weighs by the trailing seven days, and what it weighs in the ledger",
    columns=(
        ACCRUED_ON_PARTITION,
        Column(name="model", dtype=pl.String, comment="Model as the engine names it", required=True),
        Column(name="chip", dtype=pl.String, comment="Accelerator of its replicas; NULL: not known"),
        Column(
            name="estimated_weight",
            dtype=pl.Float64,
            comment="Engine time of a prefilled token over that of a decoded one; NULL: not estimated",
        ),
        Column(
            name="standard_error",
            dtype=pl.Float64,
            comment="Its standard error, by leaving out half hours of an engine",
        ),
        Column(name="low_weight", dtype=pl.Float64, comment="Lower end of its 95 % interval"),
        Column(name="high_weight", dtype=pl.Float64, comment="Upper end of its 95 % interval"),
        Column(
            name="not_estimated_reason",
            dtype=pl.String,
            comment="Why not: too_few_samples, one_phase (hardly any prefill, or decode), or too_uncertain (the interval reaches zero, or the mix never varies)",
            one_of=("too_few_samples", "one_phase", "too_uncertain"),
        ),
        Column(
            name="prefill_tokens_per_second",
            dtype=pl.Float64,
            comment="Speed of an engine that only prefills, as fitted",
        ),
        Column(
            name="decode_tokens_per_second",
            dtype=pl.Float64,
            comment="Speed of an engine that only decodes, as fitted",
        ),
        Column(
            name="interval_count",
            dtype=pl.Int64,
            comment="Intervals between scrapes that counted",
            required=True,
        ),
        Column(name="block_count", dtype=pl.Int64, comment="Half hours of an engine", required=True),
        Column(name="busy_seconds", dtype=pl.Float64, comment="Engine time of the intervals", required=True),
        Column(
            name="in_force_weight",
            dtype=pl.Float64,
            comment="What an input token weighs in the ledger, in output tokens, at the end of the day; NULL: output weighs nothing",
        ),
        Column(
            name="in_force_from",
            dtype=pl.String,
            comment="Where that is from: default, or file and line",
            required=True,
        ),
        Column(
            name="is_in_force_within",
            dtype=pl.Boolean,
            comment="Whether the weight in force lies within the interval; NULL: not estimated",
        ),
        Column(
            name="weights_entry",
            dtype=pl.String,
            comment="Line of weights.yml that adopts the estimate from the day after the next on; NULL: not estimated",
        ),
    ),
    key=("accrued_on", "model", "chip"),
    partition="accrued_on",
    overlaps="Estimates are never summed.",
)
