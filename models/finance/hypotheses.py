"""What a gateway may have done wrong: each mistake as the requests (or the prices) that would have made its figure.

Pure changes of frames. Pricing them is the caller's work; comparing is in audit.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from models.schemas.vocabulary import INPUT_TOKEN_COLUMNS, OUTPUT_TOKEN_COLUMNS
from models.tiers import BATCH_TIER, DEFAULT_TIER

Change = Callable[[pl.LazyFrame], pl.LazyFrame]
DATES_AT_MOST = 8
"""Other dated prices of a model that are tried, the nearest first."""
_CACHE_READS = ("cache_read", "cache_read_audio", "cache_read_image")
_CACHE_WRITES = ("cache_write_5m", "cache_write_1h")
_MEDIA_IN = ("audio_input", "image_input", "video_input")
_MEDIA_OUT = ("audio_output", "image_output")


@dataclass(frozen=True)
class Hypothesis:
    """A mistake: `kind` is its class in the audit, `detail` says it in words; a change is of requests or prices."""

    kind: str
    detail: str
    requests: Change = lambda frame: frame
    book: Change = lambda frame: frame


def _tokens(*names: str) -> pl.Expr:
    return pl.sum_horizontal(pl.col(f"{name}_tokens").fill_null(0) for name in names)


def _moved(into: str, *names: str, keep: bool = False) -> Change:
    """Count classes as another one; with `keep` they are counted as themselves too."""
    changed = {f"{into}_tokens": _tokens(into, *names)}
    gone = {} if keep else {f"{name}_tokens": pl.lit(0, dtype=pl.Int64) for name in names}
    return lambda frame: frame.with_columns(**changed, **gone)


def _dropped(*columns: str) -> Change:
    return lambda frame: frame.with_columns(pl.lit(0, dtype=pl.Int64).alias(column) for column in columns)


def _set(**columns: pl.Expr) -> Change:
    return lambda frame: frame.with_columns(**columns)


def _tier(name: str) -> Change:
    return lambda frame: frame.filter(pl.col("service_tier").fill_null(DEFAULT_TIER) != name).with_columns(
        service_tier=pl.lit(name)
    )


def _model(column: str) -> Change:
    return lambda frame: frame.filter(pl.col(column).is_not_null()).with_columns(served_model=pl.col(column))


def _is_batch(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.filter((pl.col("service_tier") == BATCH_TIER) | pl.col("batch_id").is_not_null())


def _graduated(book: pl.LazyFrame) -> pl.LazyFrame:
    """Turn rules that re-rate the whole request into ones that re-rate the input beyond the threshold."""
    place = [
        "provider",
        "model",
        "region",
        "service_tier",
        "schedule",
        "valid_from",
        "known_from",
        "layer",
        "meter",
    ]
    further = pl.col("long_context_mode") == "whole_request"
    book = book.with_columns(
        long_context_mode=pl.when(further).then(pl.lit("graduated")).otherwise("long_context_mode")
    )
    beyond = book.filter(pl.col("long_context_mode") == "graduated").select(*place, beyond="price_id")
    return (
        book.join(beyond, on=place, how="left", nulls_equal=True)
        .with_columns(
            beyond_price_id=pl.when(pl.col("long_context_mode").is_null())
            .then(pl.coalesce("beyond_price_id", "beyond"))
            .otherwise("beyond_price_id")
        )
        .drop("beyond")
    )


HYPOTHESES: tuple[Hypothesis, ...] = (
    Hypothesis("batch", "a batch job at the full price", lambda f: _tier(DEFAULT_TIER)(_is_batch(f))),
    Hypothesis(
        "cached_twice",
        "cached tokens at the cached rate and again at the full input rate",
        _moved("input_uncached", *_CACHE_READS, keep=True),
    ),
    Hypothesis(
        "cached_twice",
        "cached and written tokens at their own rates and again at the full input rate",
        _moved("input_uncached", *_CACHE_READS, *_CACHE_WRITES, keep=True),
    ),
    Hypothesis(
        "cached_twice",
        "written tokens at their own rate and again at the full input rate",
        _moved("input_uncached", *_CACHE_WRITES, keep=True),
    ),
    Hypothesis("cache_rate", "cached tokens at the full input rate", _moved("input_uncached", *_CACHE_READS)),
    Hypothesis(
        "cache_rate",
        "one-hour cache writes at the five-minute rate",
        _moved("cache_write_5m", "cache_write_1h"),
    ),
    Hypothesis(
        "cache_rate",
        "five-minute cache writes at the one-hour rate",
        _moved("cache_write_1h", "cache_write_5m"),
    ),
    Hypothesis("cache_rate", "cache writes at the full input rate", _moved("input_uncached", *_CACHE_WRITES)),
    Hypothesis(
        "cache_rate",
        "cached and written tokens at the full input rate",
        _moved("input_uncached", *_CACHE_READS, *_CACHE_WRITES),
    ),
    Hypothesis(
        "cache_rate", "cached tokens not charged", _dropped(*(f"{name}_tokens" for name in _CACHE_READS))
    ),
    Hypothesis(
        "cache_rate", "cache writes not charged", _dropped(*(f"{name}_tokens" for name in _CACHE_WRITES))
    ),
    Hypothesis("reasoning", "reasoning charged twice", _moved("output_text", "reasoning", keep=True)),
    Hypothesis(
        "reasoning",
        "only reasoning charged, not the visible output",
        lambda f: _dropped("output_text_tokens")(f.filter(pl.col("reasoning_tokens") > 0)),
    ),
    Hypothesis("reasoning", "reasoning not charged", _dropped("reasoning_tokens")),
    Hypothesis(
        "modality",
        "audio, images and video at the text rates",
        lambda f: _moved("output_text", *_MEDIA_OUT)(_moved("input_uncached", *_MEDIA_IN)(f)),
    ),
    Hypothesis(
        "modality",
        "audio, images and video not charged",
        _dropped(*(f"{name}_tokens" for name in (*_MEDIA_IN, *_MEDIA_OUT))),
    ),
    Hypothesis("wrong_tier", "the default tier's price", _tier(DEFAULT_TIER)),
    *(
        Hypothesis("wrong_tier", f"the {name} tier's price", _tier(name))
        for name in ("priority", "flex", "batch")
    ),
    Hypothesis("wrong_model", "the price of the model that was asked for", _model("requested_model")),
    Hypothesis("wrong_model", "the price of the model that was sent upstream", _model("routed_model")),
    Hypothesis("wrong_model", "the price of the route's name", _model("route")),
    Hypothesis(
        "long_context",
        "no surcharge above the long-context threshold",
        book=lambda book: book.filter(pl.col("above_input_tokens").is_null()),
    ),
    Hypothesis("long_context", "the surcharge on the excess only, not on the whole request", book=_graduated),
    Hypothesis("tool_fee", "searches and other tools not charged", _set(other_meters=pl.lit(None))),
    Hypothesis("region", "the price of no region", _set(region=pl.lit(None, dtype=pl.String))),
    Hypothesis("one_side", "input only: output not charged", _dropped(*OUTPUT_TOKEN_COLUMNS)),
    Hypothesis("one_side", "output only: input not charged", _dropped(*INPUT_TOKEN_COLUMNS)),
)
"""In the order in which they are tried: the first whose figure is the gateway's explains the row."""


def stale_prices(book: pl.DataFrame) -> Iterator[Hypothesis]:
    """Yield the hypotheses that an attempt was priced as of another date of its model's price history.

    Args:
        book: ref.token_prices.
    """
    dates = (
        book.filter(pl.col("layer") == "list")
        .select("provider", "model", other_from="valid_from")
        .unique()
        .sort("provider", "model", "other_from")
    )
    most = max(dates.group_by("provider", "model").len()["len"], default=0)
    for place in range(min(most, DATES_AT_MOST + 1)):
        yield Hypothesis("stale_price", "the price of another time", _nth_nearest_date(dates, place))


def _nth_nearest_date(dates: pl.DataFrame, place: int) -> Change:
    def change(frame: pl.LazyFrame) -> pl.LazyFrame:
        distance = (pl.col("other_from") - pl.col("started_at")).abs()
        numbered = (
            frame.select("row", "provider", "priced_model", "started_at")
            .join(dates.lazy(), left_on=["provider", "priced_model"], right_on=["provider", "model"])
            .with_columns(nearness=distance.rank("ordinal").over("row"))
            .filter(pl.col("nearness") == place + 1)
            .select("row", "other_from")
        )
        return (
            frame.join(numbered, on="row")
            .with_columns(started_at="other_from", finished_at="other_from")
            .drop("other_from")
        )

    return change
