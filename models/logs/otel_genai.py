"""OpenTelemetry GenAI spans and coding agents' events as OTLP JSON lines, old and new attribute names.

`input_tokens` includes cache reads and writes, `output_tokens` includes reasoning, unless the span's own total or the
instrumentation that wrote it says otherwise. An older instrumentation of a cache-exclusive provider is recognised by
its negative remainder. A span that sums what the calls beneath it used (an agent, a chain, a workflow, an AI SDK's
outer call) is marked `is_sum` and is no attempt; other spans, metrics and an export without spans are passed over. Of
logs the events of coding agents are read: Claude Code's `api_request`, Codex' `sse_event` of a completed response,
Gemini CLI's `api_response`, each one call that began `duration_ms` before. Where a span has several names of one count,
the new one counts, but a 0 hides no count.
Source: open-telemetry/semantic-conventions (gen_ai), opentelemetry-proto.
"""

import polars as pl

from models.logs.cache_writes import split_writes
from models.logs.dimensions import with_tag_columns
from models.logs.fees import searches
from models.logs.otel_attributes import FIELDS, KINDS, SECONDS, pick_attributes
from models.logs.otel_events import as_calls
from models.logs.otel_select import COLUMNS, SELECT
from models.logs.served_by import sole_owner
from models.logs.spans import with_parents
from models.logs.tokens import TokenRule, disjoint, total_tokens
from models.logs.totals import settle_totals
from models.logs.usage_names import COUNTS
from models.records import METER, Importer, first_reason, record_number, with_map, with_numbers

_INFERENCE = (
    "chat", "text_completion", "generate_content", "embeddings", "completion", "embedding", "responses", "response",
    "chat.completions", "text.completions", "messages", "rerank", "image_generation", "transcription", "speech",
    "fine_tune", "generate", "converse", "invoke_model",
)  # fmt: skip
"""Values of `gen_ai.operation.name` and `llm.request.type` that are calls of a model."""
_NO_INFERENCE = (
    "invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "retrieval", "plan", "framework", "agent",
    "workflow", "task", "chain", "tool", "vectordb", "execute_event_loop_cycle", "run", "guardrail",
)  # fmt: skip
_CALLS = ("llm", "generation", "embedding", "chat_model", "reranker", "rerank")
_CALLERS = (
    "agent", "chain", "tool", "retriever", "guardrail", "evaluator", "prompt", "parser", "workflow", "task", "span",
    "event", "executor", "evaluation", "pipeline", "crew", "flow", "entry", "step", "invoke_agent",
)  # fmt: skip
"""Values of KINDS."""
_FRAMEWORKS = (
    "gcp.vertex.agent", "strands-agents", "strands", "langchain", "langgraph", "llamaindex", "llama_index", "crewai",
    "pydantic-ai", "pydantic_ai", "haystack", "semantic-kernel", "semantic_kernel", "autogen", "agent_framework",
    "microsoft.agent_framework", "microsoft.agents", "openai_agents", "dspy", "smolagents", "agno", "mastra", "gateway",
    "_other", "unknown",
)  # fmt: skip
"""What some frameworks write as the provider: they call one, and are none."""
_APART = ["anthropic", "bedrock"]
_REASONING_APART = ["gemini", "google", "vertex", "gcp", "x_ai", "xai", "grok"]
_FIRST_NS, _LAST_NS = 946_684_800 * 10**9, 4_102_444_800 * 10**9
_TAG_LIST = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))
FIELDS_BESIDE = (
    "service", "region", "environment", "old_environment", "resource_tenant", "resource_team", "pod", "instance",
    "scope",
)  # fmt: skip
"""What a span's resource and scope tell, as columns beside its attributes."""
_SERVER = ("2", "SPAN_KIND_SERVER")


def canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected spans into canonical columns; `is_ignored` marks spans that are no inference."""
    held = {name: dtype for name, dtype in frame.collect_schema().items() if name != "attributes"}
    frame = frame.map_batches(
        pick_attributes,
        predicate_pushdown=False,
        projection_pushdown=False,
        schema=pl.Schema({**held, **dict.fromkeys(FIELDS, pl.String()), "tag_entries": _TAG_LIST}),
    )
    frame = frame.with_columns(record_number=record_number("is_event"))
    frame = as_calls(frame)
    operation = pl.col("operation_name").str.to_lowercase()
    is_counted = (
        pl.col("prompt").is_not_null()
        | pl.col("completion").is_not_null()
        | pl.col("tool_input").is_not_null()
    )
    is_inference = _is_inference(operation, is_counted)
    is_sum = (~is_inference & is_counted & pl.col("trace_id").is_not_null()).fill_null(value=False)
    is_broken = pl.col("span_id").is_null() & ~pl.col("is_empty") & ~pl.col("is_event")
    frame = with_numbers(
        frame.with_columns(
            is_sum=is_sum,
            is_ignored=~is_inference & ~is_sum & ~is_broken,
            # OpenInference writes `aws` for Bedrock.
            provider=pl.when(~pl.col("provider").str.to_lowercase().is_in(_FRAMEWORKS)).then(
                pl.col("provider").replace("aws", "aws.bedrock")
            ),
            is_ai_sdk=pl.col("sdk_operation").str.starts_with("ai.").fill_null(value=False),
        ),
        COUNTS,
        (*SECONDS, "duration_ms"),
    )
    frame = with_parents(frame.with_columns(is_usable=is_inference | is_sum))
    frame = frame.with_columns(
        provider=pl.coalesce("provider", sole_owner(pl.coalesce("response_model", "requested_model")))
    )
    who = pl.concat_str(
        "provider", pl.coalesce("response_model", "requested_model"), separator=" ", ignore_nulls=True
    )
    who = who.str.to_lowercase()
    frame = settle_totals(
        split_writes(frame),
        # The AI SDK and Strands hand on what these providers count, which is without the cache; version 6 of the SDK
        # tells the rest too.
        cache_apart=(
            (pl.col("is_ai_sdk") | pl.col("scope").str.contains("strands").fill_null(value=False))
            & who.str.contains_any(_APART)
        ).fill_null(value=False),
        reasoning_apart=who.str.contains_any(_REASONING_APART).fill_null(value=False),
        model=pl.coalesce("response_model", "requested_model"),
    )
    frame = disjoint(frame, TokenRule(has_exclusive_variant=True))
    ended = _instant("ended")
    began = ended - pl.duration(
        microseconds=(pl.col("duration_ms").fill_null(0) * 1e3).round(0).cast(pl.Int64)
    )
    started = pl.when("is_event").then(began).otherwise(_instant("started"))
    is_error = pl.col("status_code").is_in(["2", "STATUS_CODE_ERROR"]).fill_null(value=False) | (
        pl.col("error_class").is_not_null() | (pl.col("level") == "ERROR").fill_null(value=False)
    )
    kind = (
        pl.when(operation.str.starts_with("embedding") | _says(("embedding",)) | _embeds())
        .then(pl.lit("embedding"))
        .when(operation.is_in(["text_completion", "text.completions"]))
        .then(pl.lit("completion"))
        .when(operation.str.starts_with("rerank") | _says(("rerank", "reranker")))
        .then(pl.lit("rerank"))
        .when(operation == "image_generation")
        .then(pl.lit("image"))
        .when(operation.is_in(["transcription", "speech"]))
        .then(pl.lit("audio"))
        .otherwise(pl.lit("chat"))
    )
    is_whole = (pl.col("prompt").is_not_null() & pl.col("completion").is_not_null()) | (kind == "embedding")
    # An embedding's total is its input; some sum what they were told, some all classes.
    adds_up = (pl.col("total") == total_tokens()) | pl.col("is_proven")
    no_instant = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    span_key = pl.concat_str("trace_id", pl.lit(":"), "span_id")
    tags = {
        "agent": pl.col("agent"),
        "workflow": pl.col("workflow"),
        "environment": pl.coalesce("environment", "old_environment", pl.col("tag_environment")),
        "feature": pl.col("tag_feature"),
        "service": pl.col("service"),
        "cache_write_split": pl.when("is_split_assumed").then(pl.lit("assumed")),
    }
    frame = with_map(with_tag_columns(frame), "tags", tags, pl.String, more="tag_entries")
    searched = searches(
        pl.col("web_search"),
        model=pl.coalesce("response_model", "requested_model"),
        has_usage=pl.col("has_usage"),
    )
    frame = with_map(frame, "other_meters", {"web_search": searched}, METER)
    reason, detail = first_reason(
        (
            pl.coalesce("span_id", "response_id", "content_hash").is_null(),
            "missing_request_id",
            "spanId",
        ),
        (pl.col("started").is_null() | (pl.col("started") == "0"), "missing_started_at", "startTimeUnixNano"),
        (started.is_null(), "bad_value", "startTimeUnixNano is no instant"),
        (ended.is_null() & (pl.col("ended") != "0"), "bad_value", "endTimeUnixNano is no instant"),
        (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
        (pl.col("negative"), "negative_tokens", "a token class is below zero"),
        (~adds_up.fill_null(value=True), "tokens_do_not_add_up", "total_tokens"),
    )
    frame = frame.with_columns(reason, detail)
    done = frame.with_columns(
        # A sum that cannot be read is no call that is lost.
        is_ignored=pl.col("is_ignored") | (pl.col("is_sum") & pl.col("quarantine_reason").is_not_null()),
        request_id=pl.coalesce(pl.when(~pl.col("is_sum")).then("response_id"), span_key),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        started_at=started,
        # Two clocks may put an end before the start: then it is not known.
        finished_at=pl.when(ended >= started).then(ended).otherwise(no_instant),
        first_token_at=started
        + pl.duration(microseconds=(pl.col("first_chunk") * 1e6).round(0).cast(pl.Int64, strict=False)),
        routed_model=pl.col("requested_model"),
        requested_model=pl.coalesce("requested_model", "response_model"),
        served_model=pl.coalesce("response_model", "requested_model"),
        replica_id=pl.when(pl.col("span_kind").is_in(_SERVER)).then(pl.coalesce("pod", "instance")),
        service_tier=pl.coalesce("tier", pl.lit("default")),
        tenant=pl.coalesce(pl.col("tag_tenant"), "resource_tenant"),
        team=pl.coalesce(pl.col("tag_team"), "resource_team", "service"),
        user_id=pl.col("tag_user_id"),
        session_id=pl.coalesce("session_id", pl.col("tag_session_id")),
        task_class=pl.col("tag_task_class"),
        provider_reported_cost_usd=pl.col("cost")
        .cast(pl.Float64, strict=False)
        .cast(pl.Decimal(38, 12), strict=False),
        parent_span_id=pl.col("parent_span_id"),
        operation=kind,
        status=pl.when(is_error).then(pl.lit("error")).otherwise(pl.lit("ok")),
        usage_source=pl.when(~pl.col("has_usage") | ~is_whole)
        .then(pl.lit("missing"))
        .when(pl.col("is_exclusive"))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        is_gateway_cache_hit=pl.lit(value=False),
        content_hash=pl.when(pl.col("response_id").is_null()).then(pl.col("content_hash")),
        dedupe_key=pl.when(pl.col("response_id").is_not_null() & ~pl.col("is_sum"))
        .then(pl.concat_str(pl.lit("id:"), "response_id"))
        .otherwise(pl.concat_str(pl.lit("span:"), span_key)),
    )
    return done.drop("tag_entries")


def _says(words: tuple[str, ...]) -> pl.Expr:
    """Return whether one of the attributes that say what a span is has one of some words."""
    return pl.any_horizontal(
        pl.col(f"kind_{number}").str.strip_chars('"').str.to_lowercase().is_in(words).fill_null(value=False)
        for number in range(len(KINDS))
    )


def _embeds() -> pl.Expr:
    return pl.col("sdk_operation").str.contains(r"^ai\.embed").fill_null(value=False)


def _is_inference(operation: pl.Expr, is_counted: pl.Expr) -> pl.Expr:
    """Return whether a span is a call of a model, by what it says of itself; else by whether it counts tokens."""
    sdk = pl.col("sdk_operation").str.starts_with("ai.").fill_null(value=False)
    is_outer = sdk & ~pl.col("sdk_operation").str.contains(r"^ai\.[A-Za-z]+\.do[A-Z]").fill_null(value=False)
    says_call, says_caller = _says(_CALLS), _says(_CALLERS)
    is_named = operation.is_in(_INFERENCE).fill_null(value=False)
    is_other = operation.is_in(_NO_INFERENCE).fill_null(value=False)
    is_run = operation.is_null() & pl.col("agent_run").is_not_null()
    by_name = is_named & (says_call | ~says_caller)
    by_kind = says_call & ~is_other
    by_count = is_counted & ~says_caller & ~is_other & ~is_run
    return ~is_outer & (by_name | by_kind | by_count)


def _instant(column: str) -> pl.Expr:
    nanoseconds = pl.col(column).cast(pl.Int64, strict=False)
    nanoseconds = pl.when(nanoseconds.is_between(_FIRST_NS, _LAST_NS)).then(nanoseconds)
    return pl.from_epoch(nanoseconds // 1000, time_unit="us").dt.replace_time_zone("UTC")


IMPORTER = Importer(
    kind="otel_genai",
    table="raw.requests",
    columns=COLUMNS,
    select=SELECT,
    canonical=canonical,
    formats=("jsonl",),
    signature=(frozenset({"resourceSpans"}), frozenset({"resourceLogs"})),
    rank=11,
)
