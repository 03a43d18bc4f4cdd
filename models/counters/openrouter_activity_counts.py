"""OpenRouter's activity by day as a counter: calls and tokens of each model, endpoint and workspace.

The same file is a bill (`openrouter_activity`), and is read as one unless `kind` says otherwise. Cached input is
counted inside the prompt, reasoning inside the completion; both are OpenRouter's native counts.
Source: openrouter.ai/docs/api-reference (activity), openrouter Python SDK 1.3.84.
"""

import polars as pl

from models.counters.buckets import judged
from models.json_fields import json_shape
from models.records import Importer, hashed, instant, record_number, text, with_numbers

_COUNTS = {
    "request_count": "requests",
    "input_tokens": "prompt_tokens",
    "cache_read_tokens": "cached_tokens",
    "output_tokens": "completion_tokens",
}
_FIELDS = ("date", "model", "endpoint_id", "provider_name", "workspace_id", *_COUNTS.values())
_ITEM = json_shape(_FIELDS)
_SELECT = f"""
WITH listed AS NOT MATERIALIZED (
  SELECT line_number, data IS NULL AND "date" IS NULL AS is_strange,
         CASE WHEN data IS NOT NULL THEN TRY(from_json(data, '[{_ITEM}]'))
              ELSE [{{{", ".join(f"'{name}': {name}" for name in _FIELDS)}}}] END AS items
  FROM records
),
opened AS NOT MATERIALIZED (
  SELECT line_number, is_strange, items IS NULL AS is_broken, coalesce(len(items), 1) = 0 AS is_empty,
         unnest(CASE WHEN len(items) > 0 THEN items ELSE [NULL] END) AS i
  FROM listed
)
SELECT line_number, is_strange, is_broken, is_empty, {instant('i."date"')} AS started_at,
       {instant('i."date"')} + INTERVAL 24 HOUR AS finished_at, {text("i.model")} AS model,
       NULL::VARCHAR AS service_tier, {text("i.workspace_id")} AS project, NULL::VARCHAR AS user_id,
       {hashed("NULL::VARCHAR")} AS api_key_id, nullif(concat_ws(' ', i.endpoint_id, i.provider_name), '') AS endpoint,
       {", ".join(f"i.{path} AS {name}" for name, path in _COUNTS.items())}
FROM opened
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    frame = with_numbers(frame.with_columns(record_number=record_number()), _COUNTS)
    none = pl.lit(None, dtype=pl.Int64)
    frame = frame.with_columns(
        counter=pl.lit("activity"),
        provider=pl.lit("openrouter"),
        input_uncached_tokens=none,
        cache_write_5m_tokens=none,
        cache_write_1h_tokens=none,
        is_ignored=~pl.col("is_strange") & ~pl.col("is_broken") & pl.col("is_empty"),
    )
    return judged(
        frame,
        (pl.col("is_strange"), "unknown_shape", "it is no page and no record of activity"),
        (pl.col("is_broken"), "wrong_shape", "data"),
        further=("endpoint",),
    )


IMPORTER = Importer(
    kind="openrouter_activity_counts",
    table="raw.usage_counters",
    columns=dict.fromkeys(("data", *_FIELDS), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "csv", "parquet"),
    # Its records are those of a bill.
    signature=(),
)
