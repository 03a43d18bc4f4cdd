"""Vertex AI's request-response log, exported from its BigQuery table: Gemini's `usage_metadata`, Claude's `usage`.

`create_time` is the start, `metadata.request_latency` its length in milliseconds; where no response tells a time, the
start lies before `logging_time` by that length. The table may hold a sample of the calls: its setting says how many.
Source: google-genai Python SDK 3.4.0, elastic/integrations gcp_vertexai.
"""

import polars as pl

from models.json_fields import json_field
from models.logs.cache_writes import split_writes
from models.logs.gemini_shape import COUNTS, COUNTS_SQL, LISTS, METERS_SQL, RULE, TIERS, both, complete
from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer
from models.records import instant

_CLAUDE = {
    "claude_prompt": ("$.usage.input_tokens",),
    "claude_completion": ("$.usage.output_tokens",),
    "claude_read": ("$.usage.cache_read_input_tokens",),
    "written": ("$.usage.cache_creation_input_tokens",),
    "cache_write_5m": ("$.usage.cache_creation.ephemeral_5m_input_tokens",),
    "cache_write_1h": ("$.usage.cache_creation.ephemeral_1h_input_tokens",),
    "partner_prompt": ("$.usage.prompt_tokens",),
    "partner_completion": ("$.usage.completion_tokens",),
}
_LOGGED = "$.logging_time"
_PLACE = r"^projects/([^/]+)/locations/([^/]+)/"


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    latency = pl.duration(microseconds=(pl.col("seconds_total") * 1e3).round(0).cast(pl.Int64, strict=False))
    frame = split_writes(complete(frame))
    # Claude's input stands beside its cache: the prompt that this log's rule expects includes it.
    cached = pl.sum_horizontal("claude_read", "cache_write_5m", "cache_write_1h")
    asked = pl.col("resource").str.extract(r"([^/]+)$")
    return frame.with_columns(
        prompt=pl.coalesce("prompt", pl.col("claude_prompt") + cached, "partner_prompt"),
        completion=pl.coalesce("completion", "claude_completion", "partner_completion"),
        cache_read=pl.coalesce("cache_read", "claude_read"),
        created=pl.when("has_created")
        .then("created")
        .otherwise(pl.coalesce(pl.col("logged") - latency, "logged")),
        tier=pl.col("traffic"),
        region=pl.col("asked_at").str.extract(_PLACE, 2),
        beside_tenant=pl.coalesce("beside_tenant", pl.col("asked_at").str.extract(_PLACE, 1)),
        beside_team=pl.coalesce("beside_team", "team_label"),
        beside_task_class=pl.coalesce("beside_task_class", "task_label"),
        beside_requested_model=pl.coalesce("beside_requested_model", asked),
        beside_route=pl.coalesce("beside_route", "endpoint", "asked_at"),
        object=pl.col("method"),
    )


IMPORTER = response_importer(
    ResponseFormat(
        kind="vertex_request_log",
        provider="gcp.vertex_ai",
        fields={
            "response_id": ("$.response_id", "$.responseId", "$.id"),
            "model": ("$.model_version", "$.modelVersion"),
            "created": ("$.create_time", "$.createTime"),
            "traffic": both("trafficType"),
            "resource": ("$.model",),
            "asked_at": ("$.full_request.model",),
            "team_label": ("$.full_request.labels.team",),
            "task_label": ("$.full_request.labels.task_class",),
            "endpoint": ("$.endpoint",),
            "method": ("$.api_method",),
        },
        counts={**COUNTS, **_CLAUDE},
        counts_sql=COUNTS_SQL,
        lists=(*LISTS, _LOGGED),
        columns_sql={"logged": instant(json_field("m", _LOGGED))},
        seconds={"total": ("$.metadata.request_latency",)},
        seconds_scale=1000,
        finished_after=("total",),
        meters={"tool_use_prompt": both("toolUsePromptTokenCount")},
        meters_sql=METERS_SQL,
        rule=RULE,
        nested={"full_response": "$"},
        beside=("logging_time", "model", "endpoint", "api_method", "metadata", "full_request"),
        tiers=TIERS,
        amend=_amend,
        signature=(frozenset({"full_response", "logging_time"}),),
        rank=14,
    )
)
