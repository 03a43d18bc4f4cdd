"""Attributes of OTLP spans: which names hold what, new names before old and vendors' ones, and how they are picked.

Counts are told by the words of their names (models/logs/usage_names.py), so that a new spelling is read or shown.
Source: open-telemetry/semantic-conventions (gen_ai), traceloop/openllmetry, OpenInference, Vercel AI SDK, Pydantic AI,
LangSmith, MLflow, Google's ADK (google/adk-python, telemetry), Langtrace, Sentry, OpenLIT, vLLM, Langfuse.
"""

from functools import cache

import polars as pl

from models.logs import langfuse_shape
from models.logs.dimensions import KNOWN as KNOWN_TAGS
from models.logs.picking import UNREAD, Place, opened, picked
from models.logs.usage_names import COUNTS, KNOWN, counted_by

DETAILS = "langfuse.observation.usage_details"
"""Langfuse's SDK writes its counts here, in place of `gen_ai.usage`."""
EVENT = "event:"
"""Start of the attributes of a log record, which have short names."""
KINDS = (
    "openinference.span.kind",
    "langsmith.span.kind",
    "traceloop.span.kind",
    "langfuse.observation.type",
    "mlflow.spanType",
    "gen_ai.span.kind",
    "lmnr.span.type",
)
"""Attributes that say what a span is: a call, or what makes calls."""
TEXTS: dict[str, tuple[str, ...]] = {
    "operation_name": ("gen_ai.operation.name", "llm.request.type"),
    **{f"kind_{number}": (name,) for number, name in enumerate(KINDS)},
    "sdk_operation": ("ai.operationId", "operation.name"),
    "agent_run": ("final_result", "all_messages_events", "pydantic_ai.all_messages", "agent_name"),
    "provider": (
        "gen_ai.provider.name",
        "gen_ai.system",
        "llm.provider",
        "llm.system",
        "ai.model.provider",
        "ls_provider",
        "langsmith.metadata.ls_provider",
        "mlflow.llm.provider",
        "llm.vendor",
    ),
    "requested_model": (
        "gen_ai.request.model",
        "llm.request.model",
        "llm.model_name",
        "ai.model.id",
        "langfuse.observation.model.name",
        "langsmith.metadata.ls_model_name",
        "mlflow.llm.model",
        "embedding.model_name",
        "reranker.model_name",
        f"{EVENT}model",
    ),
    "response_model": ("gen_ai.response.model", "llm.response.model", "ai.response.model"),
    "response_id": ("gen_ai.response.id", "gen_ai.request.id", "ai.response.id", f"{EVENT}request_id"),
    "session_id": (
        "gen_ai.conversation.id",
        "session.id",
        "langfuse.session.id",
        "langsmith.trace.session_id",
        "ai.telemetry.metadata.sessionId",
        "gcp.vertex.agent.session_id",
        "mlflow.trace.session",
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.chat_id",
        f"{EVENT}session.id",
        f"{EVENT}conversation.id",
    ),
    "agent": ("gen_ai.agent.name", "agent_name"),
    "workflow": ("gen_ai.workflow.name", "traceloop.workflow.name"),
    "tier": (
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
        "gen_ai.response.service_tier",
        "gen_ai.request.service_tier",
    ),
    "cost": (
        "gen_ai.usage.cost",
        "gen_ai.usage.total_cost",
        "gen_ai.cost.total_cost",
        "llm.cost.total",
        "operation.cost",
        "mlflow.llm.cost.total_cost",
        "gen_ai.usage.cost_usd",
        f"{EVENT}cost_usd",
    ),
    "error_class": ("error.type",),
    "event_name": (f"{EVENT}event.name",),
    "event_kind": (f"{EVENT}event.kind",),
    "speed": (f"{EVENT}speed",),
    "duration_ms": (f"{EVENT}duration_ms",),
    "route": ("nanodollar.route",),
    "level": ("langfuse.observation.level",),
}
SECONDS: dict[str, tuple[str, ...]] = {
    "first_chunk": (
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.latency.time_to_first_token",
        "gen_ai.server.time_to_first_token",
    ),
    "queue_seconds": ("gen_ai.latency.time_in_queue",),
}
FIELDS = [*TEXTS, *SECONDS, *COUNTS, UNREAD]
"""Text columns that take the place of the attributes."""
_EXACT = {
    name: (field, rank) for field, names in (TEXTS | SECONDS).items() for rank, name in enumerate(names)
}
_PREFIXES = ("gen_ai.usage.", "llm.usage.", "llm.token_count.", "ai.usage.")
_EVENT_COUNTS = {f"{EVENT}tool_token_count": "tool_input", f"{EVENT}total_token_count": "total"}
"""Attributes whose rest names a count, the first before the others."""
_JSON = {
    "gen_ai.usage.input_token_details": "input",
    "gen_ai.usage.output_token_details": "output",
    "llm.token.counts": "",
    "mlflow.chat.tokenUsage": "",
    "mlflow.llm.cost": "",
    "ai.response.providerMetadata": "",
    "gcp.vertex.agent.llm_response": "",
}
"""Attributes that hold an object of counts as text, and the side that they count."""
_MIXED = ("ai.response.providerMetadata", "gcp.vertex.agent.llm_response")
"""They hold more than usage: what counts no tokens in them, or is not known, is no usage."""
_QUOTED = "mlflow."
"""Start of the attributes whose texts are JSON, quotes included."""
_ANSWERS = ("output.value", "gen_ai.output.value")
"""Attributes that hold what a call answered, of which only the provider's id is looked for."""
_ANSWER_ID = r"\"id\"\s*:\s*\"((?:chatcmpl-|cmpl-|resp_|msg_|gen-)[A-Za-z0-9_-]{4,200})\""
_LOWEST = 90
_TAGS = (
    "metadata.",
    "ai.telemetry.metadata.",
    "langfuse.trace.metadata.",
    "langfuse.observation.metadata.",
    "langsmith.metadata.",
    "traceloop.association.properties.",
    "lmnr.association.properties.",
    "trace.metadata.",
    "nanodollar.",
)
"""Attributes whose rest names a tag that the caller gave."""
_LONGEST_TAG = 200
_OWN_TAGS = frozenset(
    {
        "tenant.id", "tenant", "tenant_id", "organization.id", "organization", "org.id", "customer.id", "customer",
        "account.id", "team.id", "team", "user.id", "enduser.id", "user_id", "langfuse.user.id", "feature",
        "feature.name", "feature_name", "environment", "deployment.environment", "deployment.environment.name",
        "project.id", "cost_center", "langfuse.environment", "langfuse.trace.tags", "tag.tags", "langfuse.trace.name",
        "traceloop.entity.name", "ai.telemetry.functionId", "user.email", "user.account_uuid", "user.account_id",
        "query_source", "terminal.type",
    }
)  # fmt: skip
"""Attributes that are tags by their whole name."""


@cache
def _place(name: str) -> Place | None:
    """Return the field that an attribute fills and its rank among the names of that field; None for the others."""
    if name in _EXACT:
        return _EXACT[name]
    if name.startswith(EVENT):
        rest = name.removeprefix(EVENT)
        count = _EVENT_COUNTS.get(
            name, counted_by(rest) if rest.endswith(("_tokens", "_token_count")) else None
        )
        return (count, 0) if count in COUNTS else (UNREAD, 0) if rest.endswith("_tokens") else None
    for attribute, side in _JSON.items():
        if name.startswith(f"{attribute}."):
            inner = name.removeprefix(f"{attribute}.")
            count = counted_by(f"{side} {inner}")
            if attribute in _MIXED and (count is None or "token" not in inner.lower()):
                return None
            if count is None:
                return UNREAD, 0
            return None if count == KNOWN else (count, _LOWEST)
    for number, prefix in enumerate(_PREFIXES):
        if name.startswith(prefix) and name not in _JSON:
            rest = name.removeprefix(prefix)
            count = "prompt" if rest in ("tokens", "token_count") else counted_by(rest)
            if count is None:
                return UNREAD, 0
            is_old = rest.startswith(("prompt", "completion"))
            return (
                None
                if count == KNOWN
                else (count, number * 10 + 5 * rest.startswith("details.") + 2 * is_old)
            )
    return None


def _tag(name: str, wanted: frozenset[str]) -> str | None:
    """Return the tag that an attribute gives; None for the others."""
    name = name.removeprefix(EVENT)
    if name in _OWN_TAGS or name in wanted:
        return name
    prefix = next((prefix for prefix in _TAGS if name.startswith(prefix)), None)
    rest = None if prefix is None else name.removeprefix(prefix)
    return rest if rest in KNOWN_TAGS or rest in wanted else None


def pick_attributes(spans: pl.DataFrame) -> pl.DataFrame:
    """Return spans with a text column for each of FIELDS and the list `tag_entries` in place of `attributes`.

    Args:
        spans: column `attributes`, lists of `k` (name) and `v` (value as text).

    Of several names of a field the first in its order counts, of a name written twice the first value; a count of 0
    gives way to any other count.
    """
    entries = spans.select(row=pl.int_range(pl.len()), entry="attributes").explode("entry").unnest("entry")
    entries = entries.filter(pl.col("v").is_not_null())
    names = entries["k"].unique().drop_nulls().sort().to_list()
    if any(name.startswith(_QUOTED) for name in names):
        plain = (
            pl.when(pl.col("k").str.starts_with(_QUOTED))
            .then(pl.col("v").str.strip_chars('"'))
            .otherwise("v")
        )
        entries = entries.with_columns(v=plain)
    wanted = frozenset(str(spans["wanted_tags"].drop_nulls().first() or "").split(","))
    tags = {name: tag for name in names if (tag := _tag(name, wanted)) is not None}
    tagged = _tag_entries(entries.filter(pl.col("k").is_in(list(tags))), tags, spans.height)
    objects = [name for name in names if name in _JSON]
    usage = entries.filter(pl.col("k").is_in([name for name in names if _place(name) is not None]))
    if objects:
        usage = usage.vstack(opened(entries.filter(pl.col("k").is_in(objects))))
    if any(name in names for name in _ANSWERS):
        usage = usage.vstack(_answered(entries))
    places = {name: place for name in usage["k"].unique() if (place := _place(name)) is not None}
    columns = picked(usage, places, [*TEXTS, *SECONDS, *COUNTS], COUNTS, spans.height)
    done = spans.drop("attributes").with_columns(*columns, tagged)
    if DETAILS not in names:
        return done
    details = entries.filter(pl.col("k") == DETAILS)
    return langfuse_shape.with_details(done, details.select("row", "v"))


def _answered(entries: pl.DataFrame) -> pl.DataFrame:
    """Return the ids of logged answers as entries: a gateway's log of the call bears the same."""
    answers = entries.filter(pl.col("k").is_in(_ANSWERS))
    found = answers.select("row", k=pl.lit("gen_ai.request.id"), v=pl.col("v").str.extract(_ANSWER_ID, 1))
    return found.drop_nulls()


def _tag_entries(tagged: pl.DataFrame, tags: dict[str, str], height: int) -> pl.Series:
    shape = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))
    listed = pl.Series("tag_entries", [None], dtype=shape).new_from_index(0, height)
    if tagged.is_empty():
        return listed
    by_row = (
        tagged.filter(pl.col("v").str.len_bytes() <= _LONGEST_TAG)
        .select("row", key=pl.col("k").replace_strict(list(tags), list(tags.values())), value="v")
        .group_by("row", maintain_order=True)
        .agg(pair=pl.struct("key", "value"))
    )
    place = pl.Series([None], dtype=pl.UInt32).new_from_index(0, height)
    place = place.scatter(by_row["row"], pl.int_range(len(by_row), dtype=pl.UInt32, eager=True))
    return by_row["pair"].gather(place).alias("tag_entries")
