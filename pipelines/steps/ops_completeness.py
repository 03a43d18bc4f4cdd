"""ops.completeness: the logs of UTC hours and days against the counters that cover them."""

from datetime import datetime, timedelta

import polars as pl

from models.counters.completeness import LOGGED, completeness
from models.counters.increases import MOST_APART
from models.counters.latest import latest
from models.periods import floor_hour
from models.prices.providers import canonical_providers
from models.schemas import table
from models.schemas.vocabulary import INPUT_TOKEN_COLUMNS, OUTPUT_TOKEN_COLUMNS
from pipelines.project import Project
from pipelines.steps.base import Frames, Read, Step, Window, utc_midnight
from pipelines.steps.inputs import Inputs

_DAY = timedelta(days=1)


def _whole_days(window: Window, _project: Project) -> Window:
    """Counters may tell days only, and a day has one rate: an hour brings its whole UTC day up to date, so far."""
    ends = utc_midnight(window.end - timedelta.resolution) + _DAY
    return Window(
        utc_midnight(window.start),
        max(window.end, min(ends, floor_hour(window.now))),
        window.now,
        window.time_zone,
    )


STEP = Step(
    table="ops.completeness",
    also=("ops.counter_duplicates",),
    reads=(
        Read("raw.usage_counters", before=MOST_APART, after=MOST_APART),
        "core.request_costs",
        "ref.models",
        "ref.token_prices",
    ),
    covers=_whole_days,
)


def _sum(columns: tuple[str, ...]) -> str:
    return " + ".join(f"coalesce({name}, 0)" for name in columns)


_CACHE_READS = tuple(name for name in INPUT_TOKEN_COLUMNS if name.startswith("cache_read"))
# A call that failed without usage, and one that the gateway's cache answered, are counted by nobody.
_LOGGED = f"""
WITH attempts AS (
  SELECT date_trunc('hour', accrued_hour) AS hour, is_first_accrual, price_state <> 'unpriced' AS is_priced,
         cost_basis = 'gpu' OR provider IN ('self_hosted', 'vllm', 'sglang') AS is_own,
         CASE WHEN is_own THEN 'self_hosted' ELSE provider END AS provider,
         CASE WHEN is_own THEN served_model ELSE coalesce(model, served_model) END AS model,
         {_sum(INPUT_TOKEN_COLUMNS)} AS input, {_sum(_CACHE_READS)} AS cache_read,
         {_sum(OUTPUT_TOKEN_COLUMNS)} AS output, input_usd, output_usd,
         is_first_accrual AND (status <> 'error' OR input + output > 0) AS is_call
  FROM core.request_costs
  WHERE accrued_hour >= $start AND accrued_hour < $end AND coalesce(attempt_no, 1) <> 0
)
SELECT hour, provider, model, count(*) FILTER (is_call) AS request_count, sum(input)::BIGINT AS input_tokens,
       sum(cache_read)::BIGINT AS cache_read_tokens, sum(output)::BIGINT AS output_tokens,
       coalesce(sum(input_usd) FILTER (is_priced), 0)::DECIMAL(38, 12) AS input_usd,
       coalesce(sum(input) FILTER (is_priced), 0) AS priced_input_tokens,
       coalesce(sum(output_usd) FILTER (is_priced), 0)::DECIMAL(38, 12) AS output_usd,
       coalesce(sum(output) FILTER (is_priced), 0) AS priced_output_tokens
FROM attempts WHERE provider IS NOT NULL AND model IS NOT NULL GROUP BY ALL
"""
_NAMED = """
SELECT c.* REPLACE (coalesce((
  SELECT min(m.model) FROM ref.models m
  WHERE m.provider = c.provider AND m.alias = c.model AND m.valid_from <= c.started_at
    AND (m.valid_to IS NULL OR m.valid_to > c.started_at) AND m.known_to IS NULL
), c.model) AS model) FROM counts c
"""
_PRICES = """
SELECT provider, model, meter, picodollars_per_unit, valid_from, valid_to FROM ref.token_prices
WHERE layer = 'list' AND service_tier = 'default' AND region IS NULL AND above_input_tokens IS NULL
  AND schedule IS NULL AND coalesce(currency, 'USD') = 'USD' AND known_to IS NULL
"""


def compute(inputs: Inputs, window: Window) -> Frames:
    """Compare what was counted in the hours of UTC days with what was logged."""
    start, end = window.start, window.end
    counts, replaced = pl.collect_all(latest(landed_counters(inputs, start, end).lazy()))
    if counts.is_empty():
        return {"ops.completeness": table("ops.completeness").empty(), "ops.counter_duplicates": replaced}
    named = canonical_providers(counts.lazy()).collect()
    named = inputs.query(_NAMED, frames={"counts": named})
    # The day that the last hour lies in, in case that its counter tells days only.
    last = utc_midnight(end - timedelta(microseconds=1))
    logged = inputs.query(_LOGGED, {"start": start, "end": last + _DAY}).with_columns(
        (pl.col(f"{side}_usd") * 10**12).cast(pl.Int128).alias(f"{side}_picodollars")
        for side in ("input", "output")
    )
    rows = completeness(
        table("raw.usage_counters").conform(named.lazy()),
        logged.lazy().select(pl.col(name).cast(dtype) for name, dtype in LOGGED.items()),
        inputs.query(_PRICES).lazy(),
        ended_by=window.now,
    ).collect()
    is_within = (pl.col("bucket_hour") >= start) & (pl.col("bucket_hour") < end)
    hours = pl.col("started_hour")
    return {
        "ops.completeness": rows.filter(is_within),
        "ops.counter_duplicates": replaced.filter((hours >= start) & (hours < end)),
    }


def landed_counters(inputs: Inputs, start: datetime, end: datetime) -> pl.DataFrame:
    """Return every delivery of the buckets that start in a range, and of the readings that reach into it."""
    return inputs.query(
        "SELECT * FROM raw.usage_counters WHERE started_at >= $early AND started_at < $late "
        "AND (series IS NOT NULL OR (started_at >= $start AND started_at < $end))",
        {"start": start, "end": end, "early": start - MOST_APART, "late": end + MOST_APART},
    )
