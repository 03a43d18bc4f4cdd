"""Spans that repeat the tokens of the calls beneath them are no attempts.

Two ways lead to one: the importer knows a span for an agent, a chain or a workflow (`is_sum`), whatever lies beneath
it; or a span that calls itself a call counts exactly what the counted spans next beneath it sum to, or what one of them
counts: a framework's span over the SDK's. A call that counts nothing beneath one that does, its only one, is the same
call. Spans of a trace are found across files and hours, as far as the window reaches.
"""

from datetime import timedelta

import polars as pl

from models.schemas.vocabulary import INPUT_TOKEN_COLUMNS, OUTPUT_TOKEN_COLUMNS

_SPAN = ("trace_id", "span_id")
_PARENT = ("trace_id", "parent_span_id")
_PLACE = ("file_hash", "line_number", "record_number")
_IS_SPAN = pl.col("span_id").is_not_null() & pl.col("trace_id").is_not_null()


def spans(records: pl.LazyFrame) -> pl.LazyFrame:
    """Return the records that are spans of a trace; none where the frame has no such columns."""
    return records.filter(_IS_SPAN) if "span_id" in records.collect_schema().names() else records.clear()


def without_sums(
    winners: pl.LazyFrame, records: pl.LazyFrame, *, window: timedelta
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Split attempts into calls, and spans that repeat calls.

    Args:
        winners: attempts, with the columns of raw.requests.
        records: all records that are `spans`, those that lost to another included: what lies beneath may have been told
            by others too.
        window: how long after a span the calls beneath it may begin.

    Returns:
        The calls, and the others with `winner_source, winner_file_hash, winner_line_number` (a call beneath or above;
        itself, where none is known) and `reason`.
    """
    if "span_id" not in records.collect_schema().names():
        return winners, winners.clear()
    counted = (
        _counted(records)
        .sort("started_at", "source", *_PLACE)
        .unique(_SPAN, keep="first", maintain_order=True)
    )
    above = counted.select(*_SPAN, above_at="started_at", above_has="has_usage")
    beneath = (
        counted.filter(pl.col("parent_span_id").is_not_null())
        .join(above, left_on=_PARENT, right_on=_SPAN, how="inner", maintain_order="left")
        .filter((pl.col("started_at") - pl.col("above_at")).abs() <= window)
    )
    families = beneath.group_by(*_PARENT, maintain_order=True).agg(
        part_count=pl.len(),
        parts_in=pl.col("tokens_in").sum(),
        parts_out=pl.col("tokens_out").sum(),
        each=pl.struct("tokens_in", "tokens_out"),
        part_source=pl.col("source").first(),
        part_file_hash=pl.col("file_hash").first(),
        part_line_number=pl.col("line_number").first(),
    )
    # A span that lost to another record of its call stands for that record's call.
    kept = winners.filter(_IS_SPAN).select(*_SPAN, is_kept=pl.lit(value=True)).unique(_SPAN)
    callers = (
        counted.filter("has_usage")
        .join(kept, on=_SPAN, how="left")
        .select(
            *_SPAN,
            caller_key="dedupe_key",
            caller_in="tokens_in",
            caller_out="tokens_out",
            is_caller_kept=pl.col("is_kept").fill_null(value=False),
            caller_source="source",
            caller_file_hash="file_hash",
            caller_line_number="line_number",
        )
    )
    judged = (
        _counted(winners.filter(_IS_SPAN))
        .join(families, left_on=_SPAN, right_on=_PARENT, how="left", maintain_order="left")
        .join(
            families.select(*_PARENT, sibling_count="part_count"),
            on=_PARENT,
            how="left",
            maintain_order="left",
        )
        .join(callers, left_on=_PARENT, right_on=_SPAN, how="left", maintain_order="left")
    )
    own = pl.struct("tokens_in", "tokens_out")
    is_sum = pl.col("is_sum").fill_null(value=False)
    repeats = pl.col("has_usage") & (
        ((pl.col("tokens_in") == pl.col("parts_in")) & (pl.col("tokens_out") == pl.col("parts_out")))
        | pl.col("each").list.contains(own)
    )
    is_one_call = (
        ~pl.col("is_caller_kept")
        & (pl.col("tokens_in") == pl.col("caller_in"))
        & (pl.col("tokens_out") == pl.col("caller_out"))
        & (pl.col("dedupe_key") != pl.col("caller_key"))
    )
    is_told_above = (
        (pl.col("sibling_count") == 1)
        & pl.col("caller_source").is_not_null()
        & (~pl.col("has_usage") | is_one_call)
    )
    judged = judged.with_columns(
        reason=pl.when(is_sum & pl.col("part_count").is_null())
        .then(pl.lit("sum_without_parts"))
        .when(is_sum | repeats.fill_null(value=False))
        .then(pl.lit("sum_of_parts"))
        .when(is_told_above.fill_null(value=False))
        .then(pl.lit("told_by_its_caller"))
    )
    names = winners.collect_schema().names()
    sums = judged.filter(pl.col("reason").is_not_null()).with_columns(
        pl.coalesce(
            pl.when(pl.col("reason") == "told_by_its_caller").then(f"caller_{name}"), f"part_{name}", name
        ).alias(f"winner_{name}")
        for name in ("source", "file_hash", "line_number")
    )
    calls = judged.filter(pl.col("reason").is_null()).select(names)
    return pl.concat([winners.filter(~_IS_SPAN), calls]), sums


def _counted(requests: pl.LazyFrame) -> pl.LazyFrame:
    """Add the tokens of both sides, and whether there are any."""
    requests = requests.with_columns(
        tokens_in=pl.sum_horizontal(INPUT_TOKEN_COLUMNS), tokens_out=pl.sum_horizontal(OUTPUT_TOKEN_COLUMNS)
    )
    return requests.with_columns(has_usage=pl.col("tokens_in") + pl.col("tokens_out") > 0)
