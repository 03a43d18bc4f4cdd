"""Anthropic's usage analytics (`/v1/organizations/analytics/usage`): an item a group of keys and a span of time.

Its three input numbers are disjoint; `requests` are calls. Ask for a bucket width: without one an item covers the whole
range, and what is longer than a day is refused. Cost items are passed over: they are bills. Groups of `rbac_group_id`
overlap, and are passed over too.
Source: platform.claude.com/docs/en/api/admin-api (usage and cost analytics), Python SDK 2.12.0.
"""

import polars as pl

from models.counters.buckets import INPUT_PARTS, judged
from models.json_fields import json_field, json_shape
from models.records import Importer, hashed, instant, record_number, text, with_numbers

_USAGE = {
    "request_count": "requests",
    "input_uncached_tokens": "uncached_input_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_5m_tokens": "cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h_tokens": "cache_creation.ephemeral_1h_input_tokens",
    "output_tokens": "output_tokens",
}
_GROUP = {
    "model": "model",
    "service_tier": "service_tier",
    "project": "workspace_id",
    "user_id": "actor",
}
_ITEM = json_shape(
    [
        "starting_at",
        "ending_at",
        "group",
        *(f"usage.{path}" for path in _USAGE.values()),
    ]
)
_ONE = """json_object(
  'starting_at', starting_at, 'ending_at', ending_at, 'group', "group"::JSON, 'usage', "usage"::JSON)"""


def _group(name: str) -> str:
    return text(f"""TRY(json_extract_string(i."group", '$.{name}'))""")


_COUNTS_SQL = ", ".join(f"{json_field('i', f'usage.{path}')} AS {name}" for name, path in _USAGE.items())
_SELECT = f"""
WITH listed AS NOT MATERIALIZED (
  SELECT line_number, data IS NULL AND starting_at IS NULL AS is_strange,
         CASE WHEN data IS NOT NULL THEN TRY(from_json(data, '[{_ITEM}]'))
              ELSE [TRY(from_json({_ONE}, '{_ITEM}'))] END AS items
  FROM records
),
opened AS NOT MATERIALIZED (
  SELECT line_number, is_strange, items IS NULL AS is_broken, coalesce(len(items), 1) = 0 AS is_empty,
         unnest(CASE WHEN len(items) > 0 THEN items ELSE [NULL] END) AS i
  FROM listed
)
SELECT line_number, is_strange, is_broken,
       is_empty OR i."usage" IS NULL OR {_group("rbac_group_id")} IS NOT NULL AS is_empty,
       {instant("i.starting_at")} AS started_at, {instant("i.ending_at")} AS finished_at,
       {", ".join(f"{_group(path)} AS {name}" for name, path in _GROUP.items())},
       {hashed(_group("api_key_id"))} AS api_key_id,
       {_COUNTS_SQL},
       i."group" AS further
FROM opened
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    frame = with_numbers(frame.with_columns(record_number=record_number()), _USAGE)
    frame = frame.with_columns(
        counter=pl.lit("analytics"),
        provider=pl.lit("anthropic"),
        is_ignored=~pl.col("is_strange") & ~pl.col("is_broken") & pl.col("is_empty").fill_null(value=False),
        input_tokens=pl.sum_horizontal(*INPUT_PARTS, ignore_nulls=False),
        service_tier=pl.col("service_tier").replace("standard", "default"),
        further=pl.col("further").hash(seed=0).cast(pl.String),
    )
    return judged(
        frame,
        (pl.col("is_strange"), "unknown_shape", "it is no page and no item of usage"),
        (pl.col("is_broken"), "wrong_shape", "data"),
        further=("further",),
    )


IMPORTER = Importer(
    kind="anthropic_analytics",
    table="raw.usage_counters",
    columns=dict.fromkeys(("data", "starting_at", "ending_at", "group", "usage"), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(
        frozenset({"data[0].starting_at", "data[0].group", "data[0].usage"}),
        frozenset({"starting_at", "ending_at", "group", "usage"}),
    ),
    rank=11,
)
