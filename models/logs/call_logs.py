"""Logs of calls as gateways and observers keep them: the shared reading.

Counts are told by the words of their names (models/logs/usage_names.py), whatever the provider whose object it is:
what the totals include, the stated total tells; without one, Anthropic's and Bedrock's own names say that the input
excludes the cache. What a gateway says that a call cost is its own estimate and no price.
"""

import polars as pl

from models.logs.cache_writes import split_writes
from models.logs.call_log import CallLog
from models.logs.call_log_sql import ITEMS, SINGLE, log_columns, log_select
from models.logs.dimensions import with_tag_columns
from models.logs.fees import searches
from models.logs.picking import UNREAD, Place, listed, opened, picked
from models.logs.served_by import sole_owner
from models.logs.spans import with_parents
from models.logs.tokens import TokenRule, disjoint, total_tokens
from models.logs.totals import settle_totals
from models.logs.unread import is_count, is_no_usage
from models.logs.usage_names import COUNTS, KNOWN, counted_by
from models.records import METER, Importer, first_reason, with_map, with_numbers

_FIRST_ERROR_CODE = 400
_FAILED = ("error", "failed", "failure", "false", "0", "status_code_error")
_CANCELLED = ("cancelled", "canceled", "aborted")
_OPERATIONS = (
    (r"embed", "embedding"),
    (r"rerank", "rerank"),
    (r"image", "image"),
    (r"audio|speech|transcri|tts", "audio"),
    (r"moderation|/files|/batches|list_models|/models$", "other"),
    (r"text.?completion|^completion$|(?:^|/)v1/completions", "completion"),
)
_APART = frozenset(
    {
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
    }
)
"""Names under which Anthropic and Bedrock count the cache beside the input."""
_TOGETHER = frozenset({"prompt_tokens", "promptTokens", "prompt_tokens_details", "input_tokens_details"})
"""Names that stand in an object in which the input includes the cache."""
_PERPLEXITY = {
    "citation_tokens": "citations",
    "num_search_queries": "search_queries",
    "search_context_size": "context_size",
}
"""What Perplexity alone counts, and beside its prompt and completion."""
_REASONING_APART = ["gemini", "google", "vertex", "x-ai", "xai", "grok"]


def call_log_importer(log: CallLog) -> Importer:
    """Return the importer of a log of calls."""
    return Importer(
        kind=log.kind,
        table="raw.requests",
        columns=dict.fromkeys(log_columns(log), "VARCHAR"),
        select=log_select(log),
        canonical=lambda frame: _canonical(frame, log),
        formats=log.formats,
        signature=log.signature,
        rank=log.rank,
        takes_columns=True,
        ignores_case=log.ignores_case,
    )


def _canonical(frame: pl.LazyFrame, log: CallLog) -> pl.LazyFrame:
    held = {name: dtype for name, dtype in frame.collect_schema().items() if name != "usage_entries"}
    schema = {
        **held,
        **dict.fromkeys((*COUNTS, *_PERPLEXITY.values(), UNREAD), pl.String()),
        "is_apart": pl.Boolean(),
    }
    frame = frame.map_batches(
        lambda rows: _counted(rows, log),
        predicate_pushdown=False,
        projection_pushdown=False,
        schema=pl.Schema(schema),
    )
    state, code = pl.col("state").str.to_lowercase(), pl.col("code").cast(pl.Float64, strict=False)
    no = pl.lit(value=False)
    frame = frame.with_columns(
        is_hit=no,
        is_ignored=no,
        is_sum=no,
        is_cancelled=state.is_in(_CANCELLED).fill_null(value=False),
        is_error=((code >= _FIRST_ERROR_CODE) | state.is_in(_FAILED)).fill_null(value=False),
        cache_apart=pl.col("is_apart"),
        provider=pl.col("provider").str.to_lowercase(),
    )
    frame = _with_citations(with_numbers(log.amend(frame), (*COUNTS, "citations", "search_queries")))
    frame = with_parents(frame.with_columns(is_usable=~pl.col("is_ignored")))
    name = pl.coalesce("served_model", "requested_model")
    frame = frame.with_columns(provider=pl.coalesce("provider", sole_owner(name)))
    who = pl.concat_str("provider", name, ignore_nulls=True)
    reasoning_apart = who.str.to_lowercase().str.contains_any(_REASONING_APART).fill_null(value=False)
    frame = settle_totals(
        split_writes(frame),
        cache_apart=pl.col("cache_apart"),
        reasoning_apart=reasoning_apart,
        model=name,
    )
    frame = disjoint(frame, TokenRule(has_exclusive_variant=True))
    return _completed(_with_maps(frame, log), log)


def _with_citations(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Count what Perplexity counts beside its prompt and completion, and leaves out of its total."""
    is_stated = pl.any_horizontal(pl.col(name).is_not_null() for name in _PERPLEXITY.values())
    is_perplexity = is_stated | pl.col("provider").str.contains("perplexity").fill_null(value=False)
    return frame.with_columns(
        prompt=pl.col("prompt") + pl.col("citations").fill_null(0),
        other_input=pl.col("citations"),
        total=pl.when(~is_perplexity).then("total"),
        is_perplexity=is_perplexity,
        is_reasoning_beside=is_perplexity,
    )


def _counted(rows: pl.DataFrame, log: CallLog) -> pl.DataFrame:
    """Return the rows with their counts as texts, UNREAD and `is_apart` in place of `usage_entries`."""
    entries = rows.select(row=pl.int_range(pl.len()), entry="usage_entries")
    entries = entries.explode("entry", empty_as_null=False).unnest("entry").drop_nulls()
    entries = listed(opened(entries))
    places: dict[str, Place] = {}
    together, apart = [], []
    for name in entries["k"].unique().to_list():
        rest, place = _place(name, log)
        if place is not None:
            places[name] = place
        if rest in _APART:
            apart.append(name)
        if rest.split(".")[0] in _TOGETHER:
            together.append(name)
    columns = picked(entries, places, (*COUNTS, *_PERPLEXITY.values()), COUNTS, rows.height)
    is_apart = pl.Series("is_apart", [False]).new_from_index(0, rows.height)
    is_apart = is_apart.scatter(entries.filter(pl.col("k").is_in(apart))["row"], True)
    is_apart = is_apart.scatter(entries.filter(pl.col("k").is_in(together))["row"], False)
    return rows.drop("usage_entries").with_columns(*columns, is_apart)


def _place(name: str, log: CallLog) -> tuple[str, Place | None]:
    """Return the name inside its object, and what it counts with its rank; None for what is no usage."""
    if name.startswith(SINGLE):
        rest = name.removeprefix(SINGLE)
        count = counted_by(rest)
        return rest, None if count in (None, KNOWN) else (str(count), 10 * len(log.usage))
    ranked = [(rank, usage) for rank, usage in enumerate(log.usage) if name.startswith(f"{usage.label}.")]
    rank, usage = max(ranked, key=lambda found: len(found[1].label))
    rest = name.removeprefix(f"{usage.label}.")
    if is_no_usage(rest) or (usage.is_mixed and not is_count(rest, None)):
        return rest, None
    if (own := _PERPLEXITY.get(rest.split(".")[-1])) is not None:
        return rest, (own, 10 * rank)
    count = counted_by(f"{usage.side} {rest}")
    return rest, None if count == KNOWN else (UNREAD, 0) if count is None else (count, 10 * rank)


def _with_maps(frame: pl.LazyFrame, log: CallLog) -> pl.LazyFrame:
    tags = {
        "environment": pl.coalesce("environment", pl.col("tag_environment")),
        "feature": pl.col("tag_feature"),
        "cache_write_split": pl.when("is_split_assumed").then(pl.lit("assumed")),
    }
    own = {name: pl.col(f"tag_{name}") for name in log.tags}
    frame = with_map(with_tag_columns(frame), "tags", tags | own, pl.String, more="tag_entries")
    counted = pl.max_horizontal("web_search", "items_web_search", "items_grounded")
    meters = {name: pl.col(f"items_{name}") for name in ITEMS}
    by_name = searches(counted, model=pl.col("served_model"), has_usage=pl.col("has_usage"))
    is_deep = pl.col("is_perplexity") & pl.col("served_model").str.contains("deep-research", literal=True)
    is_deep = is_deep.fill_null(value=False)
    meters["web_search"] = pl.when(is_deep).then("search_queries").otherwise(by_name)
    meters["num_search_queries"] = pl.when(~is_deep).then("search_queries")
    size = pl.when(~is_deep).then(pl.col("context_size").str.to_lowercase())
    for wide in ("medium", "high"):
        meters[f"search_context_{wide}"] = pl.when(size == wide).then(1)
    meters |= {name: pl.when(pl.col(f"meter_{name}") > 0).then(f"meter_{name}") for name in log.meters}
    return with_map(frame, "other_meters", meters, METER)


def _completed(frame: pl.LazyFrame, log: CallLog) -> pl.LazyFrame:
    scale = 1e6 / log.duration_scale
    lasting = {name: _duration(pl.col(name) * scale) for name in ("latency", "first_token_after")}
    ended = pl.col("ended")
    # A log that tells the end alone began before it by the whole duration.
    started = pl.coalesce("started", ended - lasting["latency"])
    finished = pl.coalesce(pl.when(ended >= started).then(ended), started + lasting["latency"])
    first = pl.coalesce(
        pl.when(pl.col("first_token") >= started).then("first_token"), started + lasting["first_token_after"]
    )
    operation: pl.Expr = pl.lit("chat")
    named = pl.col("operation_name").str.to_lowercase()
    for pattern, name in reversed(_OPERATIONS):
        operation = (
            pl.when(named.str.contains(pattern).fill_null(value=False))
            .then(pl.lit(name))
            .otherwise(operation)
        )
    is_error, is_cancelled = pl.col("is_error"), pl.col("is_cancelled")
    is_whole = pl.col("prompt").is_not_null() & (
        pl.col("completion").is_not_null() | operation.is_in(["embedding", "rerank"])
    )
    # What is billed by a meter is known where that is told.
    has_meter = pl.any_horizontal(
        pl.lit(value=False), *(pl.col(f"meter_{name}").is_not_null() for name in log.meters)
    )
    adds_up = (pl.col("total") == total_tokens()) | pl.col("is_proven")
    is_hit = pl.col("is_hit").fill_null(value=False)
    is_part = pl.col("record_number") > 1

    def numbered(name: str) -> pl.Expr:
        return pl.concat_str(name, pl.when(is_part).then(pl.lit("#")), pl.when(is_part).then("record_number"),
                             ignore_nulls=True).replace("", None)  # fmt: skip

    reason = first_reason(
        (
            pl.any_horizontal(
                pl.col(f"has_{name}") & pl.col(name).is_null() for name in ("started", "ended")
            ),
            "bad_value",
            "a time is no instant",
        ),
        (started.is_null(), "missing_started_at", next(iter(log.instants.values()))[0]),
        (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
        (pl.col("bad_durations").is_not_null(), "bad_value", pl.col("bad_durations")),
        (pl.col("negative"), "negative_tokens", "a token class is below zero"),
        (~adds_up.fill_null(value=True), "tokens_do_not_add_up", "total"),
    )
    has_id = pl.coalesce("request_id", "response_id").is_not_null()
    own = numbered("request_id") if log.parts is not None else pl.col("request_id")
    # The provider's own id, which its other logs hold too; an answer of the gateway's cache bears that of another call.
    key = pl.coalesce(pl.when(~is_hit).then("response_id"), own)
    span_key = pl.concat_str("trace_id", pl.lit(":"), "span_id")
    currency = pl.col("currency").str.to_uppercase()
    return frame.with_columns(*reason, finished_at=finished, first_token_at=first).with_columns(
        started_at=started,
        request_id=pl.coalesce(own, "response_id"),
        content_hash=pl.when(~has_id).then("row_hash"),
        dedupe_key=pl.when(has_id)
        .then(
            pl.when(pl.col("is_sum") & span_key.is_not_null())
            .then(pl.concat_str(pl.lit("span:"), span_key))
            .otherwise(pl.concat_str(pl.lit("id:"), key))
        ),
        attempt_no=pl.coalesce(
            pl.when(is_hit).then(0), pl.col("attempt").cast(pl.Int32, strict=False), pl.lit(1)
        ).cast(pl.Int32),
        requested_model=pl.coalesce("requested_model", "routed_model", "served_model"),
        routed_model=pl.coalesce("routed_model", "requested_model", "served_model"),
        served_model=pl.coalesce("served_model", "routed_model", "requested_model"),
        service_tier=pl.coalesce("tier", pl.lit("default")),
        queue_seconds=pl.col("queue") / log.duration_scale,
        provider_reported_cost_usd=pl.when(currency.is_null() | (currency == "USD")).then(
            "provider_reported_cost_usd"
        ),
        operation=operation,
        status=pl.when(is_cancelled)
        .then(pl.lit("cancelled"))
        .when(is_error)
        .then(pl.lit("error"))
        .otherwise(pl.lit("ok")),
        error_class=pl.when(is_error).then(
            pl.coalesce(
                "error_class",
                pl.when(pl.col("code").is_not_null()).then(pl.concat_str(pl.lit("http_"), "code")),
                pl.lit("error"),
            )
        ),
        usage_source=pl.when((~pl.col("has_usage") | ~is_whole) & ~has_meter)
        .then(pl.lit("missing"))
        .when(pl.col("is_exclusive"))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        is_gateway_cache_hit=is_hit,
        tenant=pl.coalesce(pl.col("tag_tenant"), "tenant"),
        team=pl.coalesce(pl.col("tag_team"), "team"),
        user_id=pl.coalesce("user_id", pl.col("tag_user_id")),
        session_id=pl.coalesce("session_id", pl.col("tag_session_id")),
        task_class=pl.col("tag_task_class"),
    ).drop("tag_entries")  # fmt: skip


def _duration(microseconds: pl.Expr) -> pl.Expr:
    return pl.duration(microseconds=microseconds.round(0).cast(pl.Int64, strict=False))
