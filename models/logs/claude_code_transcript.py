"""Claude Code's transcripts (`~/.claude/projects/**/*.jsonl`): an answer stands on several lines of one message id.

Each line of an answer repeats its counts as they were then: the last is final, and dedupe makes one attempt of them.
The three input counts are disjoint; `output_tokens` includes thinking. Lines of other types, and answers that Claude
Code wrote itself (model `<synthetic>`, errors), are passed over. A session that was resumed or branched repeats answers
of the one before under their ids. An advisor's samplings are calls of their own, `#2` and so on (iterations.py). A
line's `requestId` is the id that Claude Code's own events have (dedupe.py). What was asked and answered is not read.
Source: Claude Code's documentation (sessions), ryoppippi/ccusage.
"""

import polars as pl

from models.json_fields import json_field, json_struct
from models.logs.cache_writes import split_writes
from models.logs.iterations import iteration_calls
from models.logs.tokens import TokenRule, disjoint
from models.logs.unread import unread_usage
from models.records import METER, Importer, first_reason, instant, money, text, tried, with_map, with_numbers

KIND = "claude_code_transcript"
_USAGE = {
    "prompt": "input_tokens",
    "completion": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "written": "cache_creation_input_tokens",
    "cache_write_5m": "cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h": "cache_creation.ephemeral_1h_input_tokens",
    "web_search": "server_tool_use.web_search_requests",
    "web_fetch": "server_tool_use.web_fetch_requests",
}
_TEXTS = {"tier": "service_tier", "speed": "speed", "geo": "inference_geo"}
_PATHS = {name: f"$.usage.{path}" for name, path in (_USAGE | _TEXTS).items()}
_PATHS |= {"message_id": "$.id", "model": "$.model"}
_COUNTS = tuple(_USAGE)
_READ = frozenset({*_USAGE.values(), "iterations"})
_COLUMNS = (
    "type",
    "uuid",
    "timestamp",
    "sessionId",
    "requestId",
    "message",
    "cwd",
    "isSidechain",
    "isApiErrorMessage",
    "agentId",
    "costUSD",
)
_SELECT = f"""
WITH called AS NOT MATERIALIZED (
  SELECT *, CASE WHEN "type" = 'assistant' AND contains(message, '"iterations"')
    THEN {iteration_calls("message::JSON")} END AS calls FROM records
),
split AS NOT MATERIALIZED (
  SELECT * EXCLUDE (message, calls, part), part.number AS record_number, part.message AS message
  FROM (SELECT *, unnest(CASE WHEN len(calls) > 0 THEN list_transform(calls, lambda call, i: {{'number': i::INTEGER,
      'message': json_merge_patch(message::JSON, '{{"usage": null}}'::JSON, call)::VARCHAR}})
    ELSE [{{'number': 1::INTEGER, 'message': message}}] END) AS part FROM called)
),
parsed AS NOT MATERIALIZED (
  SELECT *, CASE WHEN "type" = 'assistant' THEN {json_struct("message", _PATHS.values())} END AS m FROM split
)
SELECT line_number, record_number, "type" AS line_type, {text("uuid")} AS uuid,
       {instant('"timestamp"')} AS written_at, {text('"timestamp"')} IS NOT NULL AS has_time,
       {text('"sessionId"')} AS session_id, {text('"requestId"')} AS call_id,
       regexp_extract("cwd", '([^/\\\\]+)[/\\\\]*$', 1) AS project, "isSidechain" = 'true' AS is_sidechain,
       {text('"agentId"')} AS agent_id, "isApiErrorMessage" = 'true' AS is_own_error,
       {money('"costUSD"')} AS provider_reported_cost_usd,
       {tried('"message"', "json_extract({}, '$.usage')::VARCHAR")} AS usage_text,
       {", ".join(f"{json_field('m', path)} AS {name}" for name, path in _PATHS.items())}
FROM parsed
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    frame = split_writes(with_numbers(frame, _COUNTS))
    frame = disjoint(frame, TokenRule(cache_in_prompt=False))
    is_answer = (pl.col("line_type") == "assistant").fill_null(value=False)
    is_own = (pl.col("model") == "<synthetic>").fill_null(value=False) | pl.col("is_own_error").fill_null(
        value=False
    )
    # What an advisor or a compaction used is a call of its own.
    is_further = pl.col("record_number") > 1
    whole_id = pl.coalesce("message_id", "call_id", "uuid")
    request_id = (
        pl.when(is_further).then(pl.concat_str(whole_id, pl.lit("#"), "record_number")).otherwise(whole_id)
    )
    tags = {
        "agent": pl.coalesce("agent_id", pl.lit("claude-code")),
        "project": pl.when(pl.col("project") != "").then(pl.col("project")),
        "is_sidechain": pl.when("is_sidechain").then(pl.lit("true")),
        "cache_write_split": pl.when("is_split_assumed").then(pl.lit("assumed")),
    }
    frame = with_map(frame, "tags", tags, pl.String)
    meters = {name: pl.when(pl.col(name) > 0).then(pl.col(name)) for name in ("web_search", "web_fetch")}
    frame = with_map(frame, "other_meters", meters, METER)
    return frame.with_columns(
        *first_reason(
            (pl.col("line_type").is_null(), "unknown_shape", "type"),
            (request_id.is_null(), "missing_request_id", "message.id"),
            (pl.col("written_at").is_null() & pl.col("has_time"), "bad_value", "timestamp is no instant"),
            (pl.col("written_at").is_null(), "missing_started_at", "timestamp"),
            (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
        ),
        is_ignored=pl.col("line_type").is_not_null() & (~is_answer | is_own),
        request_id=request_id,
        logical_request_id=pl.when(is_further).then(whole_id).otherwise("call_id"),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        started_at=pl.col("written_at"),
        finished_at=pl.col("written_at"),
        provider=pl.when(pl.col("message_id").str.starts_with("msg_bdrk_"))
        .then(pl.lit("aws.bedrock"))
        .when(pl.col("message_id").str.starts_with("msg_vrtx_"))
        .then(pl.lit("gcp.vertex_ai"))
        .otherwise(pl.lit("anthropic")),
        region=pl.when(~pl.col("geo").is_in(["not_available", ""])).then(pl.col("geo")),
        requested_model=pl.col("model"),
        routed_model=pl.col("model"),
        served_model=pl.col("model"),
        service_tier=pl.when(pl.col("speed") == "fast")
        .then(pl.lit("fast"))
        .otherwise(pl.coalesce(pl.col("tier").replace({"standard": "default"}), pl.lit("default"))),
        operation=pl.lit("chat"),
        status=pl.lit("ok"),
        usage_source=pl.when(pl.col("prompt").is_null() | pl.col("completion").is_null())
        .then(pl.lit("missing"))
        .otherwise(pl.lit("provider")),
        unread_usage=unread_usage("usage_text", "message.usage", _READ),
        is_gateway_cache_hit=pl.lit(value=False),
        dedupe_key=pl.concat_str(pl.lit("id:"), request_id),
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.requests",
    columns=dict.fromkeys(_COLUMNS, "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(
        frozenset({"type=assistant", "sessionId", "message.usage"}),
        frozenset({"type=user", "sessionId", "uuid", "message"}),
    ),
    rank=18,
)
