"""A rival written by hand in DuckDB SQL: from landed LiteLLM rows to cost per token by hour.

It knows what the sample's rows need and no more: one tier, no pools, no contracts, no foreign sheets, no corrections,
no check. That is what a person would write for a first page, and what all else is paid for beside it.
"""

import duckdb
import polars as pl

from models.prices.providers import canonical_providers
from models.schemas.vocabulary import TOKEN_CLASSES

_INPUTS = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input")
_TOKENS = " + ".join(f"coalesce({name}_tokens, 0)" for name in TOKEN_CLASSES)
_COUNTED = ", ".join(f"{name}_tokens" for name in TOKEN_CLASSES)
_RATES = ", ".join(
    f"max(picodollars_per_unit) FILTER (meter = '{name}') AS {name}_rate" for name in TOKEN_CLASSES
)
_COST = " + ".join(
    f"coalesce({name}_tokens, 0)::HUGEINT * coalesce({name}_rate, 0)" for name in TOKEN_CLASSES
)

HOURLY = f"""
WITH attempts AS (
  SELECT dedupe_key, started_at, names.canonical AS provider, region, route, tenant, is_gateway_cache_hit,
    coalesce(served_model, routed_model, requested_model) AS name, {_COUNTED},
    {" + ".join(f"coalesce({name}_tokens, 0)" for name in _INPUTS)} AS prompt, {_TOKENS} AS tokens
  FROM raw.requests r LEFT JOIN names ON names.provider = r.provider
  QUALIFY row_number() OVER (PARTITION BY dedupe_key ORDER BY started_at, file_hash, line_number) = 1
),
cards AS (
  SELECT price_id, provider, model, region, coalesce(above_input_tokens, -1) AS above, valid_from, valid_to, {_RATES}
  FROM ref.token_prices
  WHERE service_tier = 'default' AND layer = 'list' AND schedule IS NULL AND known_to IS NULL
  GROUP BY ALL
),
priced AS (
  SELECT a.*, coalesce(m.model, a.name) AS model, c.price_id, {_COST} AS picodollars
  FROM attempts a
  LEFT JOIN ref.models m ON m.provider = a.provider AND m.alias = a.name AND m.known_to IS NULL
    AND a.started_at >= m.valid_from AND (m.valid_to IS NULL OR a.started_at < m.valid_to)
  LEFT JOIN cards c ON c.provider = a.provider AND c.model = m.model AND a.started_at >= c.valid_from
    AND (c.valid_to IS NULL OR a.started_at < c.valid_to) AND (c.region = a.region OR c.region IS NULL)
    AND a.prompt > c.above
  QUALIFY row_number() OVER (PARTITION BY dedupe_key ORDER BY c.region NULLS LAST, c.above DESC) = 1
)
SELECT date_trunc('hour', started_at) AS accrued_hour, provider, region, route, model, tenant,
  count(*) FILTER (NOT is_gateway_cache_hit) AS attempt_count,
  sum(CASE WHEN NOT is_gateway_cache_hit THEN tokens ELSE 0 END)::BIGINT AS total_tokens,
  sum(CASE WHEN NOT is_gateway_cache_hit AND price_id IS NOT NULL THEN picodollars END)::HUGEINT AS picodollars
FROM priced GROUP BY ALL
"""
OURS = """
SELECT accrued_hour, provider, region, route, model, tenant, sum(attempt_count)::BIGINT AS attempt_count,
  sum(total_tokens)::BIGINT AS total_tokens, (sum(usage_usd) * 1000000000000)::HUGEINT AS picodollars
FROM mart.cost_per_token_hourly GROUP BY ALL
"""
_DIFFERENCE = """
SELECT count(*), count(*) FILTER (o.total_tokens IS NOT DISTINCT FROM t.total_tokens
  AND o.attempt_count IS NOT DISTINCT FROM t.attempt_count AND coalesce(o.picodollars, 0) = coalesce(t.picodollars, 0))
FROM ours o FULL JOIN theirs t ON (o.accrued_hour, o.provider, o.region, o.route, o.model, o.tenant)
  IS NOT DISTINCT FROM (t.accrued_hour, t.provider, t.region, t.route, t.model, t.tenant)
"""


def by_hour(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Return cost per token by hour and cell, from landed rows."""
    said = con.execute("SELECT DISTINCT provider FROM raw.requests").pl()
    names = canonical_providers(said.with_columns(canonical="provider").lazy()).collect()
    con.register("names", said.with_columns(canonical=names["provider"]))
    return con.execute(HOURLY).pl()


def equal_cells(con: duckdb.DuckDBPyConnection, theirs: pl.DataFrame) -> tuple[int, int]:
    """Return how many cells there are, and how many are equal in attempts, tokens and dollars to the picodollar."""
    con.register("theirs", theirs)
    con.execute(f"CREATE OR REPLACE TEMP TABLE ours AS {OURS}")
    cells, equal = con.execute(_DIFFERENCE).fetchall()[0]
    return int(cells), int(equal)
