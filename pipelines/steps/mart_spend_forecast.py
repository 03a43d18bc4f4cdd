"""mart.spend_forecast: what this month and the next three will have cost, by scope and scenario."""

from datetime import timedelta

import polars as pl

from models.finance.forecast import spend_forecast
from models.finance.scenarios import scenario_factors
from models.schemas import table
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.months import LONGEST_MONTH, known_until, months_of, moved_by, settled, whole_months

_HISTORY = timedelta(days=400)
_RECENT = timedelta(days=28)
_SCOPES_AT_MOST = 50
"""Providers, tenants and teams that have a forecast of their own: those that spent most lately."""
STEP = Step(
    table="mart.spend_forecast",
    reads=(
        Read("mart.spend_daily", before=_HISTORY, after=LONGEST_MONTH),
        "ref.scenarios",
        "ref.token_prices",
    ),
    outdated_by=(moved_by("mart.spend_forecast", "scenarios"),),
    covers=whole_months,
)
SCOPED = """
scoped AS (
  SELECT accrued_on, provider, model, usd, input_tokens, cache_read_tokens, output_tokens, unnest([
      {'scope_kind': 'total', 'scope': 'total'}, {'scope_kind': 'provider', 'scope': provider},
      {'scope_kind': 'tenant', 'scope': tenant}, {'scope_kind': 'team', 'scope': team}
    ], recursive := true)
  FROM mart.spend_daily WHERE accrued_on > $from_on AND accrued_on <= $to_on
),
shown AS (
  SELECT scope_kind, scope FROM scoped WHERE scope IS NOT NULL AND accrued_on > $recent_on
  GROUP BY scope_kind, scope HAVING sum(usd) > 0
  QUALIFY row_number() OVER (PARTITION BY scope_kind ORDER BY sum(usd) DESC, scope) <= $most
)
"""
_DAILY = f"""
WITH {SCOPED}
SELECT scope_kind, scope, accrued_on, coalesce(sum(usd), 0)::DECIMAL(38,12) AS usd
FROM scoped JOIN shown USING (scope_kind, scope) GROUP BY ALL ORDER BY ALL
"""
_BY_MODEL = f"""
WITH {SCOPED}
SELECT scope_kind, scope, provider, model, coalesce(sum(usd), 0)::DECIMAL(38,12) AS usd,
  sum(input_tokens - cache_read_tokens)::DOUBLE AS plain_tokens, sum(cache_read_tokens)::DOUBLE AS cached_tokens,
  sum(output_tokens)::DOUBLE AS output_tokens
FROM scoped JOIN shown USING (scope_kind, scope) WHERE accrued_on > $recent_on GROUP BY ALL ORDER BY ALL
"""
_PRICES = """
SELECT provider AS to_provider, model AS to_model,
  max(usd_per_mtok) FILTER (meter = 'input_uncached')::DOUBLE AS plain_rate,
  max(usd_per_mtok) FILTER (meter = 'cache_read')::DOUBLE AS cached_rate,
  max(usd_per_mtok) FILTER (meter = 'output_text')::DOUBLE AS output_rate
FROM ref.token_prices
WHERE layer = 'list' AND service_tier = 'default' AND region IS NULL AND above_input_tokens IS NULL
  AND schedule IS NULL AND coalesce(currency, 'USD') = 'USD' AND known_to IS NULL
  AND valid_from <= $at AND (valid_to IS NULL OR valid_to > $at)
  AND (provider, model) IN (SELECT (to_provider, to_model) FROM ref.scenarios)
GROUP BY ALL
"""


def compute(inputs: Inputs, window: Window) -> Frames:
    """Foretell from each open month that begins in the window, as far as its business days have ended."""
    months, kept = settled(inputs, STEP.table, months_of(window))
    known = known_until(inputs, window)
    schema, made = table(STEP.table), [kept]
    if known is None:
        return {STEP.table: kept}
    for month in months:
        as_of = min(known, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1))
        if as_of < month:
            continue
        span = {
            "from_on": as_of - _HISTORY,
            "to_on": as_of,
            "recent_on": as_of - _RECENT,
            "most": _SCOPES_AT_MOST,
        }
        factors = scenario_factors(
            inputs.query(_BY_MODEL, span),
            inputs.whole("ref.scenarios"),
            inputs.query(_PRICES, {"at": window.now}).cast({"to_provider": pl.String, "to_model": pl.String}),
        )
        made.append(spend_forecast(inputs.query(_DAILY, span), factors, month_on=month, as_of=as_of))
    return {STEP.table: pl.concat(made).select(schema.column_names)}
