-- explain_cost: every step from a log row to dollars, one row per attempt x accrual x meter x price card. Finds a
-- request by its own id or by the logical request that it belongs to; an unpriced attempt keeps its row with NULL dollars.
CREATE OR REPLACE MACRO explain_cost(wanted_id) AS TABLE
SELECT c.source, c.request_id, c.logical_request_id, c.attempt_no, c.status, c.started_at, c.accrued_hour, c.accrued_on,
  c.provider, c.region, c.route, c.requested_model, c.routed_model, c.served_model, c.model, c.service_tier, c.tenant,
  c.price_state, c.unpriced_reason, c.usage_source, c.cost_basis,
  l.meter, l.quantity,
  CASE WHEN c.cost_basis = 'gpu' THEN
      concat_ws(', ', 'share of what the pool-hour served, by weight', 'at grain ' || c.allocation_grain)
    WHEN p.price_id IS NOT NULL THEN concat_ws(', ',
      CASE p.layer WHEN 'contracted' THEN 'contract ' || p.contract ELSE 'list price' END,
      'tier ' || p.service_tier, 'region ' || p.region,
      CASE WHEN p.above_input_tokens IS NOT NULL
        THEN p.long_context_mode || ' above ' || p.above_input_tokens || ' input tokens' END,
      'at ' || p.schedule || ' UTC',
      CASE p.priced_at WHEN 'finished' THEN 'as of completion' END) END AS rule,
  p.unit, p.currency, p.rate_per_mtok, p.usd_per_mtok, l.picodollars_per_unit, p.is_rounded,
  c.fx_usd_per_unit, c.fx_on,
  g.usd_per_gpu_hour, c.chip, c.deployment, c.commitment, c.allocation_grain, c.allocation_weight,
  h.serving_usd AS pool_serving_usd, h.billed_usd AS pool_billed_usd,
  l.effective_usd, c.list_usd AS attempt_list_usd, c.effective_usd AS attempt_effective_usd,
  c.estimated_usd, c.saved_usd, c.gateway_reported_usd,
  coalesce(l.price_id, c.price_id) AS price_id, coalesce(p.sheet_version, c.sheet_version) AS sheet_version,
  coalesce(p.sheet_path, g.sheet_path) AS sheet_path, coalesce(p.sheet_line, g.sheet_line) AS sheet_line,
  coalesce(p.valid_from, g.valid_from) AS valid_from, coalesce(p.known_from, g.known_from) AS known_from,
  coalesce(p.source_url, g.source_url) AS source_url,
  f.path AS log_path, r.file_hash, r.line_number AS log_line, r.record_number,
  w.run_id, w.loaded_at, c.is_provisional
FROM (
  SELECT * FROM core.request_costs WHERE request_id = wanted_id OR logical_request_id = wanted_id
) c
LEFT JOIN (
  SELECT * FROM core.cost_lines WHERE request_id = wanted_id OR logical_request_id = wanted_id
) l ON l.source = c.source AND l.request_id = c.request_id AND l.started_at = c.started_at
  AND l.accrued_hour = c.accrued_hour AND l.accrued_on = c.accrued_on
LEFT JOIN ref.token_prices p ON p.price_id = l.price_id AND p.meter = l.meter
LEFT JOIN ref.gpu_prices g ON g.price_id = c.price_id
LEFT JOIN core.pool_hours h ON h.provider = c.provider AND h.region = c.region AND h.chip = c.chip
  AND h.deployment = c.deployment AND h.commitment = c.commitment
  AND h.pool_hour = c.accrued_hour AND h.accrued_on = c.accrued_on
LEFT JOIN (
  SELECT * FROM core.requests WHERE request_id = wanted_id OR logical_request_id = wanted_id
) r ON r.source = c.source AND r.request_id = c.request_id AND r.started_at = c.started_at
LEFT JOIN ops.landed_files f ON f.file_hash = r.file_hash AND f.source = r.source
LEFT JOIN ops.partitions w ON w.table_name = 'core.request_costs'
  AND w.partition_key = strftime(c.accrued_hour AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%MZ')
ORDER BY c.started_at, c.request_id, c.accrued_hour, c.accrued_on, l.meter, l.price_id;

-- spend: the whole of [from_on, to_on), one row per day x component x dimensions; components sum to the total.
-- 'booked' puts a correction of a closed period on the day it was booked, 'corrected' on the day it corrects.
CREATE OR REPLACE MACRO spend(from_on, to_on, view) AS TABLE
SELECT spent_on, component, provider, region, route, model, chip, tenant, CAST(sum(usd) AS DECIMAL(38,12)) AS spend_usd
FROM (
  SELECT accrued_on AS spent_on, CASE cost_basis WHEN 'gpu' THEN 'gpu_serving' ELSE 'tokens' END AS component,
    provider, region, route, model, chip, tenant, CAST(effective_usd AS DECIMAL(38,12)) AS usd
  FROM core.request_costs
  UNION ALL
  SELECT accrued_on, 'gpu_' || part, provider, region, deployment, model, chip, NULL, part_usd
  FROM (
    SELECT accrued_on, provider, region, deployment, model, chip,
      unnest([
        {'part': 'starting', 'part_usd': starting_usd}, {'part': 'idle', 'part_usd': idle_usd},
        {'part': 'draining', 'part_usd': draining_usd}, {'part': 'failed', 'part_usd': failed_usd},
        {'part': 'padding', 'part_usd': padding_usd}, {'part': 'unheld', 'part_usd': unheld_usd},
        {'part': 'unused_commitment', 'part_usd': unused_commitment_usd}
      ], recursive := true)
    FROM core.pool_hours
  )
  UNION ALL
  SELECT accrued_on, 'other_charges', provider, region, route, model, NULL, tenant, effective_usd
  FROM core.other_charges
  UNION ALL
  SELECT
    CASE view WHEN 'booked' THEN booked_on ELSE accrued_on END,
    'adjustments', NULL, NULL, deployment, NULL, NULL, NULL, difference_usd
  FROM core.adjustments
)
WHERE CASE WHEN view IN ('booked', 'corrected') THEN usd <> 0
    ELSE error('spend() knows the views booked and corrected: write spend(from_on, to_on, ''booked'').') END
  AND spent_on >= CAST(from_on AS DATE) AND spent_on < CAST(to_on AS DATE)
GROUP BY ALL;
