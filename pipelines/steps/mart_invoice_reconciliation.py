"""mart.invoice_reconciliation: each bill against the part of the ledger that it covers."""

from models.finance.reconciliation import invoice_reconciliation
from pipelines.project import Project
from pipelines.quoting import sql_text
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.bills import around, whole_months
from pipelines.steps.inputs import Inputs

STEP = Step(
    table="mart.invoice_reconciliation",
    reads=(
        around("core.invoice_lines"),
        around("mart.cost_per_meter_daily"),
        around("core.pool_hours"),
        around("ops.completeness"),
        "ref.token_prices",
    ),
    covers=whole_months,
)
_COVERED = """
SELECT DISTINCT source, invoice_issuer_name, billing_account_id, billing_period_start, billing_period_end, provider
FROM core.invoice_lines
WHERE billed_on >= $from_on AND billed_on < $to_on AND provider IS NOT NULL
  AND (charge_category = 'Usage' OR (charge_category = 'Purchase' AND chip IS NOT NULL))
"""
_TOKEN_DIMENSIONS = ("provider", "region", "source", "tenant", "team")
_POOL_DIMENSIONS = ("provider", "region", "deployment")
_LEDGER = """
WITH covered AS ({covered}),
-- A provider's prices are in one currency.
sheets AS (
  SELECT provider, max(currency) AS price_currency FROM ref.token_prices WHERE currency <> 'USD' GROUP BY provider
)
SELECT c.* EXCLUDE (billing_period_end), m.model, m.region, coalesce(m.service_tier, 'default') AS service_tier,
  m.meter, sum(m.quantity) AS quantity, sum(m.unpriced_quantity) AS unpriced_quantity, sum(m.usage_usd) AS usd,
  m.fx_usd_per_unit, s.price_currency{token_detail}
FROM covered c JOIN mart.cost_per_meter_daily m USING (provider) LEFT JOIN sheets s USING (provider)
WHERE m.utc_on >= (c.billing_period_start AT TIME ZONE 'UTC')::DATE
  AND m.utc_on < (c.billing_period_end AT TIME ZONE 'UTC')::DATE AND {tokens}
GROUP BY ALL
UNION ALL BY NAME
SELECT c.* EXCLUDE (billing_period_end), NULL AS model, p.region, p.commitment AS service_tier, p.chip AS meter,
  sum(p.billed_gpu_seconds) FILTER (p.billed_usd IS NOT NULL) AS quantity,
  sum(p.billed_gpu_seconds) FILTER (p.billed_usd IS NULL) AS unpriced_quantity, sum(p.billed_usd) AS usd,
  NULL::DECIMAL(38,12) AS fx_usd_per_unit, sum(p.padding_usd) AS minimum_usd, sum(p.unheld_usd) AS unheld_usd,
  sum(p.unused_commitment_usd) AS unused_commitment_usd{pool_detail}
FROM covered c JOIN core.pool_hours p USING (provider)
WHERE p.pool_hour >= c.billing_period_start AND p.pool_hour < c.billing_period_end AND {pools}
GROUP BY ALL
"""
_ELSEWHERE = """
SELECT l.* FROM core.invoice_lines l
WHERE l.billed_on >= $from_on::DATE - 31 AND l.billed_on < $to_on::DATE + 31
  AND (l.charge_period_start < l.billing_period_start OR l.charge_period_start >= l.billing_period_end)
"""
_RATES = """
SELECT provider, model, meter, max(usd_per_mtok / 1000000)::DECIMAL(38,12) AS book_usd_per_unit
FROM ref.token_prices
WHERE layer = 'list' AND service_tier = 'default' AND region IS NULL AND above_input_tokens IS NULL
  AND schedule IS NULL AND coalesce(currency, 'USD') = 'USD' AND known_to IS NULL AND unit = 'token'
  AND valid_from < ($to_on)::DATE AND (valid_to IS NULL OR valid_to >= ($from_on)::DATE)
GROUP BY ALL
"""
# Of several counters of one provider the one that misses most is taken: they count the same calls.
_GAPS = f"""
WITH covered AS ({_COVERED}),
counted AS (
  SELECT c.* EXCLUDE (billing_period_end), o.model, o.source AS counter, sum(o.gap_input_tokens) AS input,
    sum(o.gap_cache_read_tokens) AS cache_read, sum(o.gap_output_tokens) AS output
  FROM covered c JOIN ops.completeness o USING (provider)
  WHERE o.bucket_hour >= c.billing_period_start AND o.bucket_hour < c.billing_period_end
  GROUP BY ALL
),
classes AS (
  SELECT * EXCLUDE (input, cache_read, output), unnest([
      {{'meter': 'input_uncached', 'gap': input - coalesce(cache_read, 0)}},
      {{'meter': 'cache_read', 'gap': cache_read}},
      {{'meter': 'output_text', 'gap': output}}
    ], recursive := true)
  FROM counted
)
SELECT * EXCLUDE (counter, gap), NULL::VARCHAR AS region, 'default' AS service_tier,
  max(gap)::DECIMAL(38,6) AS quantity
FROM classes WHERE gap > 0 GROUP BY ALL
"""


def ledger_sql(project: Project, *, is_daily: bool = False) -> str:
    """Return the query of what the ledger holds for each bill, as far as its source's `covers` says.

    Args:
        project: whose settings say it.
        is_daily: whether days, logs, tenants and deployments stand apart.
    """
    return _LEDGER.format(
        token_detail=", m.utc_on AS day, m.source AS log_source, m.tenant" if is_daily else "",
        pool_detail=", (p.pool_hour AT TIME ZONE 'UTC')::DATE AS day, p.deployment" if is_daily else "",
        covered=_COVERED,
        tokens=_covers(project, "m", _TOKEN_DIMENSIONS),
        pools=_covers(project, "p", _POOL_DIMENSIONS),
    )


def _covers(project: Project, alias: str, dimensions: tuple[str, ...]) -> str:
    """Return the condition that keeps, for the bills of a source, the part of the ledger that they are for."""
    conditions = [
        f"(c.source <> {sql_text(source.name)} OR "
        f"coalesce({alias}.{name} IN ({', '.join(map(sql_text, source.covered[name]))}), false))"
        for source in project.settings.sources
        for name in dimensions
        if name in source.covered
    ]
    return " AND ".join(conditions) or "true"


def compute(inputs: Inputs, window: Window) -> Frames:
    """Hold the bills whose period begins in the window against the ledger of their periods."""
    days = {"from_on": window.from_on, "to_on": window.to_on}
    lines = inputs.query("FROM core.invoice_lines WHERE billed_on >= $from_on AND billed_on < $to_on", days)
    rows = invoice_reconciliation(
        lines,
        inputs.query(ledger_sql(inputs.project), days),
        rates=inputs.query(_RATES, days),
        gaps=inputs.query(_GAPS, days),
        elsewhere=inputs.query(_ELSEWHERE, days),
    )
    return {STEP.table: rows}
