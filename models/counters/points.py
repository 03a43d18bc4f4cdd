"""What formats of metrics have in common: one metric's value in one bucket of time.

A metric is a row of its own, so that the columns of what it does not count are NULL. What is no metric of usage is
passed over.
"""

from collections.abc import Callable, Mapping

import polars as pl

from models.counters.buckets import COUNTS, KEYS, judged
from models.records import MOST_TOKENS, Importer, record_number

Metrics = Mapping[str, tuple[str, ...]]
"""A metric and the columns of raw.usage_counters that its value fills."""
POINT = (
    "is_broken", "is_empty", "counter", "value", "started_at", "finished_at", "provider", "further", *KEYS,
)  # fmt: skip
"""Columns of a SELECT beside `line_number`: `value` is the number as text, `further` all that keys lack and that tells
counts apart; `is_broken`: of another shape; `is_empty`: without a value, such as an empty answer."""
CACHED = ("input_tokens", "cache_read_tokens")
WRITTEN = ("input_tokens", "cache_write_5m_tokens")


def points_importer(
    *,
    kind: str,
    columns: Mapping[str, str],
    select: str,
    metrics: Metrics,
    signature: tuple[frozenset[str], ...],
    rank: int = 12,
    formats: tuple[str, ...] = ("jsonl",),
    amend: Callable[[pl.LazyFrame], pl.LazyFrame] = lambda frame: frame,
) -> Importer:
    """Return the importer of a format of metrics.

    Args:
        kind: name in nanodollar.toml.
        columns: DuckDB types of the fields that are read.
        select: SQL over `records` with the columns of POINT and what `amend` asks for; `split_by` where an answer tells
            by which keys it was asked to be split.
        metrics: what each metric counts.
        signature: what tells the format.
        rank: place in the order of detection.
        formats: file formats that it reads.
        amend: a first word on the rows; a `provider` that is NULL then is passed over.
    """
    return Importer(
        kind=kind,
        table="raw.usage_counters",
        columns=dict(columns),
        select=select,
        canonical=lambda frame: _canonical(amend(frame), metrics),
        formats=formats,
        signature=signature,
        rank=rank,
        takes_columns=True,
    )


def _canonical(frame: pl.LazyFrame, metrics: Metrics) -> pl.LazyFrame:
    names = set(frame.collect_schema().names())
    number = pl.col("value").cast(pl.Float64, strict=False)
    is_count = (number.is_between(-MOST_TOKENS, MOST_TOKENS) & (number == number.round(0))).fill_null(
        value=False
    )
    count = pl.when(is_count).then(number).cast(pl.Int64)
    is_read = pl.col("counter").is_in(list(metrics)).fill_null(value=False) & pl.col("provider").is_not_null()
    is_broken = pl.col("is_broken").fill_null(value=False)
    frame = frame.with_columns(
        *(
            pl.when(pl.col("counter").is_in([name for name, held in metrics.items() if column in held]))
            .then(count)
            .alias(column)
            for column in COUNTS
        ),
        bad=pl.when(~is_count & pl.col("value").is_not_null()).then(pl.lit("value")),
        record_number=record_number(),
        is_ignored=~is_broken
        & (pl.col("is_empty").fill_null(value=False) | ~is_read | pl.col("value").is_null()),
    )
    done = judged(frame, (is_broken, "wrong_shape", "it is no list of values"), further=("further",))
    # A metric comes with the same keys whoever asks, unless an answer tells by which it was split.
    return done.with_columns(
        grouped_by=pl.col("split_by") if "split_by" in names else pl.lit(None, dtype=pl.String)
    )
