"""One call seen twice is one attempt, and a sum of calls is none.

Two records of one id are one call where time and counts agree. Which ids are trusted how far:

- Claude Code's events name a call by its request, its transcripts by its message and that request: they are one.
- An id that no other call has (long, or drawn at random): records of it within the window are one call, unless one
  source tells of two calls: another start and other counts, both counted by the provider.
- A short id, digits after its prefix (`chatcmpl-331` of Ollama): records of it are one call only if they began within
  a minute and count the same; of one source, only if they began at the same instant.

A record is dropped when another record of the same call began within the window before it: a pairwise rule, so an hour
needs two windows before it and one after, and the result does not depend on how a range is cut. The earliest record
keeps the attempt in its hour; the best record within the window after it gives all other columns. Best is, in this
order: the one whose usage the provider counted; the gateway's before the provider's own before an observer's; the one
that finished last; the one that counts most; the rest is settled by content, never by the order of arrival.

A span that sums the calls beneath it (models/logs/sums.py) is taken out after that.
"""

from datetime import datetime, timedelta

import polars as pl

from models.logs.sums import spans, without_sums
from models.periods import hour_of
from models.schemas import table
from models.schemas.vocabulary import TOKEN_COLUMNS

GATEWAY_KINDS = ("litellm_spend_logs", "litellm_standard_payload", "requests")
"""Where usage is equally good, these records win, in this order: they know who asked and what was routed."""
OBSERVER_KINDS = ("otel_genai", "langfuse_export", "helicone_export")
"""These lose against every other kind: they saw the call from outside."""
GROWING_KINDS = ("claude_code_transcript",)
"""They write an answer again while it grows: other counts of one id are no other call."""
_EVENT = "id:req_"
"""Start of the keys of Claude Code's events: its transcripts name the request beside the message."""
_BOOKKEEPING = (
    "source",
    "source_kind",
    "ingested_at",
    "file_hash",
    "line_number",
    "record_number",
    "dedupe_key",
)
_HELP = ("is_double", "is_short", "tokens", "call_key")
_CONTENT = "content:"
_COUNTER = r"^id:\d{1,12}$"
_SHORT = r"^id:(?:[A-Za-z][A-Za-z0-9]{0,15}[-_:.])*\d{1,12}(?:@.*)?$"
_AGREE_WITHIN = timedelta(minutes=1)
"""Records of a short id that began further apart are two calls."""


def dedupe(
    requests: pl.LazyFrame, *, window: timedelta, from_hour: datetime, to_hour: datetime
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Split landed records into attempts and duplicates.

    Args:
        requests: rows of raw.requests that started in [from_hour - 2 window, to_hour + window).
        window: how far apart two records of one call may begin.
        from_hour: first UTC hour of the result.
        to_hour: end of the range, exclusive.

    Returns:
        Rows of core.requests and rows of ops.duplicates whose hour lies in the range. Every landed record of a
        range is in exactly one of them.
    """
    columns = requests.collect_schema().names()
    order = ["call_key", "started_at", "source", "file_hash", "line_number", "record_number"]
    requests = _keyed(requests)
    # Only keys that occur twice need a second look.
    ranked = requests.with_columns(is_double=pl.len().over("dedupe_key") > 1)
    single = ranked.filter(~pl.col("is_double"))
    double = _kept_apart(ranked.filter("is_double"))
    double = double.sort(order).with_columns(
        usage_rank=_usage_rank(),
        trust_rank=_trust_rank(),
        content=pl.struct(pl.exclude(*_BOOKKEEPING, *_HELP)).hash(),
    )
    double = double.with_columns(
        is_anchor=_is_another_call(window), record=pl.int_range(pl.len())
    ).with_columns(anchor=pl.when("is_anchor").then("record").forward_fill())
    anchors = double.filter("is_anchor").select("record", anchor_at="started_at")
    # In order, for the record before.
    chained = double.join(anchors, left_on="anchor", right_on="record", how="left", maintain_order="left")
    best = (
        chained.filter(pl.col("started_at") - pl.col("anchor_at") <= window)
        .sort(
            *("usage_rank", "trust_rank", "finished_at", "tokens", "content", "source"),
            # Of equal records one is named, whichever came first.
            *("file_hash", "line_number", "record_number"),
            descending=[False, False, True, True, False, False, False, False, False],
            nulls_last=True,
        )
        # What it says was known when it was read first.
        .with_columns(ingested_at=pl.col("ingested_at").min().over("anchor", "content"))
        .group_by("anchor", maintain_order=True)
        .first()
        .with_columns(started_at="anchor_at", best_record="record")
    )
    winners = pl.concat([single.select(columns), best.select(columns)])
    winner = best.select(
        "anchor",
        "best_record",
        best_source="source",
        best_file_hash="file_hash",
        best_line_number="line_number",
    )
    # In a chain longer than the window the record before is named: the anchor lies beyond what an hour reads.
    is_near = pl.col("started_at") - pl.col("anchor_at") <= window
    losers = (
        chained.with_columns(
            _before(name).alias(f"previous_{name}") for name in ("source", "file_hash", "line_number")
        )
        .join(winner, on="anchor", how="left")
        .filter(pl.col("record") != pl.col("best_record"))
        .with_columns(
            pl.when(is_near).then(f"best_{name}").otherwise(f"previous_{name}").alias(f"winner_{name}")
            for name in ("source", "file_hash", "line_number")
        )
        .with_columns(
            reason=pl.when(pl.col("source") == pl.col("winner_source"))
            .then(pl.lit("redelivered"))
            .otherwise(pl.lit("seen_by_another_source")),
        )
    )
    # What is filtered in several ways from here on is computed once.
    whole, lost, traced = (
        frame.lazy()
        for frame in pl.collect_all([winners, losers, spans(requests.select(columns))], engine="in-memory")
    )
    winners, sums = without_sums(whole, traced, window=window)
    removed = table("ops.duplicates").conform(
        pl.concat([lost, sums], how="diagonal").with_columns(started_hour=hour_of(pl.col("started_at")))
    )
    winners = winners.with_columns(started_hour=hour_of(pl.col("started_at")))
    in_range = (pl.col("started_hour") >= from_hour) & (pl.col("started_hour") < to_hour)
    return table("core.requests").conform(winners.filter(in_range)), removed.filter(in_range)


def _keyed(requests: pl.LazyFrame) -> pl.LazyFrame:
    """Complete the keys that a file alone cannot tell."""
    key = pl.col("dedupe_key")
    is_content, is_counter = key.str.starts_with(_CONTENT), key.str.contains(_COUNTER)
    is_event = (pl.col("source_kind") == "otel_genai") & key.str.starts_with(_EVENT)
    place = ("line_number", "record_number")
    # Equal records of one file stay, so that the nth of them is the nth of a file that is delivered again.
    ordinal = pl.struct(place).rank("ordinal").over("source", "file_hash", "dedupe_key", "started_at")
    whole = pl.concat_str(key, pl.lit(":"), ordinal)
    keyed = requests.filter(is_content).with_columns(
        dedupe_key=whole,
        request_id=pl.when(pl.col("request_id") == key).then(whole).otherwise("request_id"),
    )
    # A number that a source counts by itself says nothing about another source's.
    own = pl.when(is_counter).then(pl.concat_str(key, pl.lit("@"), "source")).otherwise(key)
    plain = requests.filter(~is_content & ~is_event).with_columns(dedupe_key=own)
    return pl.concat([plain, keyed, _as_in_transcripts(requests.filter(is_event), requests)])


def _as_in_transcripts(events: pl.LazyFrame, requests: pl.LazyFrame) -> pl.LazyFrame:
    """Give an agent's events the key of the answer in its transcript, where both are there."""
    answers = (
        requests.filter(
            pl.col("source_kind").is_in(GROWING_KINDS), pl.col("logical_request_id").str.starts_with("req_")
        )
        .group_by(dedupe_key=pl.concat_str(pl.lit("id:"), "logical_request_id"))
        .agg(answer_key=pl.col("dedupe_key").min())
    )
    events = events.join(answers, on="dedupe_key", how="left", maintain_order="left")
    return events.with_columns(dedupe_key=pl.coalesce("answer_key", "dedupe_key")).drop("answer_key")


def _kept_apart(double: pl.LazyFrame) -> pl.LazyFrame:
    """Add `tokens`, `is_short` and `call_key`: a short id's holds what is counted, as other counts are another call."""
    has_usage = pl.any_horizontal(pl.col(name).is_not_null() for name in TOKEN_COLUMNS)
    double = double.with_columns(
        tokens=pl.when(has_usage).then(pl.sum_horizontal(TOKEN_COLUMNS)),
        is_short=pl.col("dedupe_key").str.contains(_SHORT),
    )
    # Of one source and one instant there is one call.
    counted = pl.col("tokens").max().over("dedupe_key", "source", "started_at")
    return double.with_columns(
        call_key=pl.when("is_short")
        .then(pl.concat_str("dedupe_key", pl.lit("#"), counted.fill_null(-1)))
        .otherwise("dedupe_key")
    )


def _before(name: str) -> pl.Expr:
    """Return what the record before it, in the order of keys, has; NULL for the first record of a key."""
    return pl.when(pl.col("call_key") == pl.col("call_key").shift(1)).then(pl.col(name).shift(1))


def _is_another_call(window: timedelta) -> pl.Expr:
    """Return whether a record, in the order of keys, is not of the call of the record before it."""
    at, tokens = pl.col("started_at"), pl.col("tokens")
    # The record before it of the same source.
    own = pl.struct("started_at", "tokens", "usage_source").shift(1).over("call_key", "source").struct
    gap, own_gap = at - _before("started_at"), at - own.field("started_at")
    by_provider = (pl.col("usage_source") == "provider") & (own.field("usage_source") == "provider")
    is_repeated = (tokens == _before("tokens")) & (gap <= _AGREE_WITHIN)
    is_reused = (
        (own_gap > timedelta(0))
        & (own_gap <= window)
        & by_provider
        & ~pl.col("source_kind").is_in(GROWING_KINDS)
        & (tokens != own.field("tokens"))
        & ~is_repeated.fill_null(value=False)
    )
    is_short_again = (gap > _AGREE_WITHIN) | ((own_gap > timedelta(0)) & (own_gap == gap))
    return (
        gap.is_null()
        | (gap > window)
        | pl.when("is_short").then(is_short_again).otherwise(is_reused).fill_null(value=False)
    )


def _usage_rank() -> pl.Expr:
    return pl.col("usage_source").replace_strict(
        {"provider": 0, "estimated": 1}, default=2, return_dtype=pl.Int8
    )


def _trust_rank() -> pl.Expr:
    ranks = {kind: rank for rank, kind in enumerate(GATEWAY_KINDS)} | dict.fromkeys(OBSERVER_KINDS, 100)
    return pl.col("source_kind").replace_strict(ranks, default=50, return_dtype=pl.Int8)
