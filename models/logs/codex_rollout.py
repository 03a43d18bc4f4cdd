"""Codex' rollouts (`~/.codex/sessions/**/rollout-*.jsonl`): cumulative counts, written again and again.

A `token_count` event states the total of the session and what the last call used. One whose total is that of an event
before repeats it. A call's counts are those of `last_token_usage`; where that is absent, what the total grew by. Input
includes what was cached, output includes reasoning. The model is that of the turn before. An event is written when the
answer ends. What was asked and answered is not read. Source: openai/codex (protocol), ryoppippi/ccusage.
"""

import polars as pl

from models.json_fields import json_field, json_struct
from models.logs.tokens import TokenRule, disjoint, total_tokens
from models.logs.unread import unread_usage
from models.records import Importer, first_reason, instant, text, tried, with_map, with_numbers

_USAGE = {
    "prompt": "input_tokens",
    "cache_read": "cached_input_tokens",
    "completion": "output_tokens",
    "reasoning": "reasoning_output_tokens",
    "total": "total_tokens",
}
_PATHS = {f"last_{name}": f"$.info.last_token_usage.{path}" for name, path in _USAGE.items()}
_PATHS |= {f"all_{name}": f"$.info.total_token_usage.{path}" for name, path in _USAGE.items()}
_PATHS |= {
    "event": "$.type",
    "session": "$.id",
    "turn_model": "$.model",
    "turn_tier": "$.service_tier",
    "model_provider": "$.model_provider",
    "event_model": "$.info.model",
    "cwd": "$.cwd",
}
_COUNTS = tuple(name for name in _PATHS if name.startswith(("last_", "all_")))
_SELECT = f"""
WITH parsed AS NOT MATERIALIZED (
  SELECT *, CASE WHEN "type" IN ('session_meta', 'turn_context') OR payload LIKE '%"token_count"%'
    THEN {json_struct("payload", _PATHS.values())} END AS m FROM records
)
SELECT line_number, 1::INTEGER AS record_number, "type" AS line_type, {text("id")} AS old_session,
       {tried("CASE WHEN m IS NOT NULL THEN payload END", "json_extract({}, '$.info.last_token_usage')::VARCHAR")}
         AS usage_text,
       {instant('"timestamp"')} AS written_at, {text('"timestamp"')} IS NOT NULL AS has_time,
       {", ".join(f"{text(json_field('m', path))} AS {name}" for name, path in _PATHS.items())}
FROM parsed
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    frame = with_numbers(frame, _COUNTS)
    is_meta, is_turn = pl.col("line_type") == "session_meta", pl.col("line_type") == "turn_context"
    is_old_meta = pl.col("line_type").is_null() & pl.col("old_session").is_not_null()
    is_count = ((pl.col("line_type") == "event_msg") & (pl.col("event") == "token_count")).fill_null(
        value=False
    )
    has_counts = pl.col("all_total").is_not_null() | pl.col("last_total").is_not_null()
    session = pl.when(is_meta.fill_null(value=False)).then("session").when(is_old_meta).then("old_session")
    # Several files may be read together: each begins with its session.
    frame = frame.with_columns(session=session.forward_fill()).with_columns(
        is_call=is_count & has_counts,
        turn_model=pl.when(is_turn).then("turn_model").forward_fill().over("session"),
        turn_tier=pl.when(is_turn).then("turn_tier").forward_fill().over("session"),
        model_provider=pl.when(is_meta).then("model_provider").forward_fill().over("session"),
        project=pl.when(is_meta)
        .then(pl.col("cwd").str.extract(r"([^/\\]+)[/\\]*$"))
        .forward_fill()
        .over("session"),
    )
    # As after a break of hours, which dedupe does not look across.
    last_total = pl.when("is_call").then("all_total").forward_fill().shift(1).over("session")
    is_repeated = (pl.col("all_total") == last_total).fill_null(value=False)
    counts = {}
    for name in _USAGE:
        before = pl.when("is_call").then(f"all_{name}").forward_fill().shift(1).over("session").fill_null(0)
        grown = pl.col(f"all_{name}") - before
        counts[name] = (
            pl.when(pl.col("last_total").is_not_null())
            .then(f"last_{name}")
            .otherwise(pl.when(grown >= 0).then(grown))
        )
    frame = disjoint(frame.with_columns(is_repeated=is_repeated, **counts), TokenRule())
    model = pl.coalesce("event_model", "turn_model")
    request_id = pl.concat_str("session", pl.lit(":"), pl.coalesce("all_total", "last_total"))
    known = ["session_meta", "turn_context", "event_msg", "response_item", "compacted"]
    is_other = pl.col("line_type").is_in(known) | is_old_meta | pl.col("line_type").is_not_null()
    frame = with_map(frame, "tags", {"agent": pl.lit("codex"), "project": pl.col("project")}, pl.String)
    return frame.with_columns(
        *first_reason(
            (~is_other.fill_null(value=False), "unknown_shape", "type"),
            (pl.col("written_at").is_null() & pl.col("has_time"), "bad_value", "timestamp is no instant"),
            (pl.col("written_at").is_null(), "missing_started_at", "timestamp"),
            (pl.col("session").is_null(), "missing_request_id", "no session_meta before it"),
            (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            (
                (pl.col("total") != total_tokens()).fill_null(value=False),
                "tokens_do_not_add_up",
                "total_tokens",
            ),
        ),
        is_ignored=is_other.fill_null(value=False) & (~pl.col("is_call") | pl.col("is_repeated")),
        request_id=request_id,
        session_id=pl.col("session"),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        started_at=pl.col("written_at"),
        finished_at=pl.col("written_at"),
        provider=pl.coalesce("model_provider", pl.lit("openai")),
        requested_model=model,
        routed_model=model,
        served_model=model,
        service_tier=pl.coalesce("turn_tier", pl.lit("default")),
        operation=pl.lit("chat"),
        status=pl.lit("ok"),
        usage_source=pl.when(pl.col("prompt").is_null() | pl.col("completion").is_null())
        .then(pl.lit("missing"))
        .otherwise(pl.lit("provider")),
        unread_usage=unread_usage("usage_text", "info.last_token_usage", frozenset(_USAGE.values())),
        is_gateway_cache_hit=pl.lit(value=False),
        dedupe_key=pl.concat_str(pl.lit("codex:"), request_id),
    )


IMPORTER = Importer(
    kind="codex_rollout",
    table="raw.requests",
    columns=dict.fromkeys(("timestamp", "type", "payload", "id"), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(
        frozenset({"type=session_meta", "payload"}),
        frozenset({"type=turn_context", "payload"}),
        frozenset({"type=event_msg", "payload.type"}),
        frozenset({"type=response_item", "payload.type"}),
    ),
    rank=19,
    is_joint=True,
)
