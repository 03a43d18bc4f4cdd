import polars as pl

from models.money import USD
from models.schemas.base import Column, Table

TABLE = Table(
    schema="ops",
    name="completeness_daily",
    grain="One row per UTC day x provider: what was counted and no log tells of, by the counter that misses most",
    columns=(
        Column(name="counted_on", dtype=pl.Date, comment="UTC day"),
        Column(name="provider", dtype=pl.String, comment="Who ran it; self_hosted for owned pools"),
        Column(name="source", dtype=pl.String, comment="Source of the counter"),
        Column(name="bucket_seconds", dtype=pl.Int64, comment="Width of its buckets"),
        Column(name="counted_count", dtype=pl.Int64, comment="Calls that it counted; 0: it counts none"),
        Column(
            name="missing_count",
            dtype=pl.Int64,
            comment="Of them in no log: the gaps above zero of models, each netted over the day's hours",
        ),
        Column(name="counted_tokens", dtype=pl.Int64, comment="Tokens that it counted"),
        Column(name="missing_tokens", dtype=pl.Int64, comment="Of them in no log"),
        Column(name="missing_estimated_usd", dtype=USD, comment="Estimate of what they cost; NULL: none"),
        Column(name="has_unpriced", dtype=pl.Boolean, comment="Whether some of them have no estimate"),
        Column(name="missing_ratio", dtype=pl.Float64, comment="Larger missing share. Never summed"),
    ),
    key=("counted_on", "provider"),
    # A call may be counted in the hour after the one that it began in, so that hours of a day are netted. Of two
    # counters of one provider one is told, so that nothing is told twice.
    select="""
WITH cells AS (
  SELECT (bucket_hour AT TIME ZONE 'UTC')::DATE AS counted_on, provider, source, bucket_seconds, model,
         sum(counted_count) AS calls, sum(gap_count) AS gap_calls, sum(counted_tokens) AS tokens,
         sum(gap_tokens) AS gap_tokens, sum(gap_estimated_usd) AS gap_usd,
         count(*) FILTER (gap_tokens <> 0 AND gap_estimated_usd IS NULL) > 0 AS is_unpriced
  FROM ops.completeness GROUP BY ALL
),
scopes AS (
  SELECT counted_on, provider, source, bucket_seconds,
         coalesce(sum(calls), 0)::BIGINT AS counted_count,
         coalesce(sum(greatest(gap_calls, 0)), 0)::BIGINT AS missing_count,
         coalesce(sum(tokens), 0)::BIGINT AS counted_tokens,
         coalesce(sum(greatest(gap_tokens, 0)), 0)::BIGINT AS missing_tokens,
         CASE WHEN missing_tokens = 0 THEN 0 ELSE sum(gap_usd) FILTER (gap_tokens > 0 AND NOT is_unpriced) END
           ::DECIMAL(38, 12) AS missing_estimated_usd,
         coalesce(bool_or(is_unpriced AND gap_tokens > 0), false) AS has_unpriced
  FROM cells GROUP BY ALL
)
SELECT *, greatest(coalesce(missing_count / nullif(counted_count, 0), 0),
                   coalesce(missing_tokens / nullif(counted_tokens, 0), 0)) AS missing_ratio
FROM scopes QUALIFY row_number() OVER (
  PARTITION BY counted_on, provider ORDER BY missing_tokens DESC, missing_count DESC, source, bucket_seconds) = 1
""",
)
