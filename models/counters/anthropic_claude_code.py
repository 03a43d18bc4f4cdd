"""Anthropic's Claude Code analytics (`/v1/organizations/usage_report/claude_code`): a day and a person a record.

It counts tokens by model, those of subscriptions included, which no other report of the API has; input, cache reads
and cache writes are disjoint, and no calls are counted. `estimated_cost` is Anthropic's estimate at list prices, in
cents: no bill, and not read. Sessions, lines and commits are not read either.
Source: platform.claude.com/docs/en/build-with-claude/claude-code-analytics-api.
"""

import polars as pl

from models.counters.buckets import INPUT_PARTS, judged
from models.records import Importer, hashed, instant, record_number, text, with_numbers

_COUNTS = {
    "input_uncached_tokens": "input",
    "cache_read_tokens": "cache_read",
    "cache_write_5m_tokens": "cache_creation",
    "output_tokens": "output",
}
_TOKENS = ", ".join(f'"{name}": "VARCHAR"' for name in _COUNTS.values())
_ITEM = (
    '{"date": "VARCHAR", "actor": {"email_address": "VARCHAR", "api_key_name": "VARCHAR"}, '
    '"organization_id": "VARCHAR", "terminal_type": "VARCHAR", "customer_type": "VARCHAR", '
    f'"subscription_type": "VARCHAR", "model_breakdown": [{{"model": "VARCHAR", "tokens": {{{_TOKENS}}}}}]}}'
)
_FIELDS = (
    "date", "actor", "organization_id", "terminal_type", "customer_type", "subscription_type", "model_breakdown",
)  # fmt: skip
_ONE = "json_object({})".format(
    ", ".join(
        f"'{name}', {name}::JSON" if name in ("actor", "model_breakdown") else f"'{name}', {name}"
        for name in _FIELDS
    )
)
_SELECT = f"""
WITH listed AS NOT MATERIALIZED (
  SELECT line_number, data IS NULL AND model_breakdown IS NULL AS is_strange,
         CASE WHEN data IS NOT NULL THEN TRY(from_json(data, '[{_ITEM}]'))
              ELSE [TRY(from_json({_ONE}, '{_ITEM}'))] END AS items
  FROM records
),
opened AS NOT MATERIALIZED (
  SELECT line_number, is_strange, items IS NULL AS is_broken, coalesce(len(items), 1) = 0 AS is_empty,
         unnest(CASE WHEN len(items) > 0 THEN items ELSE [NULL] END) AS i
  FROM listed
),
counted AS NOT MATERIALIZED (
  SELECT line_number, is_strange, is_broken, is_empty OR coalesce(len(i.model_breakdown), 0) = 0 AS is_empty, i,
         unnest(CASE WHEN len(i.model_breakdown) > 0 THEN i.model_breakdown ELSE [NULL] END) AS m
  FROM opened
)
SELECT line_number, is_strange, is_broken, is_empty, {instant('i."date"')} AS started_at,
       {instant('i."date"')} + INTERVAL 24 HOUR AS finished_at, m.model AS model, NULL::VARCHAR AS service_tier,
       i.organization_id AS project, {text("i.actor.email_address")} AS user_id,
       {hashed(text("i.actor.api_key_name"))} AS api_key_id, i.subscription_type AS subscription,
       i.terminal_type AS terminal, i.customer_type AS customer,
       {", ".join(f'm.tokens."{path}" AS {name}' for name, path in _COUNTS.items())}
FROM counted
"""
_FURTHER = ("terminal", "customer", "subscription")


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    frame = with_numbers(frame.with_columns(record_number=record_number()), _COUNTS)
    written = pl.col("cache_write_5m_tokens")
    frame = frame.with_columns(
        counter=pl.lit("claude_code"),
        provider=pl.lit("anthropic"),
        request_count=pl.lit(None, dtype=pl.Int64),
        cache_write_1h_tokens=pl.when(written.is_not_null()).then(pl.lit(0, dtype=pl.Int64)),
        is_ignored=~pl.col("is_strange") & ~pl.col("is_broken") & pl.col("is_empty"),
    )
    return judged(
        frame.with_columns(input_tokens=pl.sum_horizontal(*INPUT_PARTS, ignore_nulls=False)),
        (pl.col("is_strange"), "unknown_shape", "it is no page and no record of Claude Code's analytics"),
        (pl.col("is_broken"), "wrong_shape", "data"),
        further=_FURTHER,
    )


IMPORTER = Importer(
    kind="anthropic_claude_code",
    table="raw.usage_counters",
    columns=dict.fromkeys(("data", *_FIELDS), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(
        frozenset({"data[0].core_metrics", "data[0].model_breakdown"}),
        frozenset({"actor", "core_metrics", "model_breakdown"}),
    ),
    rank=11,
)
