-- One row per charge of a business day: FOCUS 1.4 Cost and Usage in snake case; columns that it leaves out are NULL
WITH tokens AS (
  -- A log may say nothing of who served; FOCUS asks for a name.
  SELECT accrued_on, coalesce(provider, '(unknown)') AS provider, model, region, service_tier, source, tenant, team,
    meter, sum(quantity) AS quantity,
    sum(unpriced_quantity) AS unpriced, sum(usage_usd) AS usd, sum(list_usd) AS list_usd,
    list_contains($tokens, meter) AS is_token
  FROM mart.cost_per_meter_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY ALL
),
token_charges AS (
  SELECT accrued_on, provider, region, tenant, NULL::VARCHAR AS deployment, model AS x_model_id, meter AS x_token_class,
    service_tier AS x_service_tier, source AS x_source, team AS x_team, NULL::VARCHAR AS x_chip,
    NULL::VARCHAR AS x_pool_part, NULL::VARCHAR AS commitment, NULL::VARCHAR AS status,
    CASE WHEN quantity > 0 OR unpriced = 0 THEN usd END AS usd, coalesce(list_usd, usd) AS list_usd,
    quantity AS consumed, unpriced AS x_unpriced_quantity, CASE WHEN is_token THEN 'Tokens' ELSE 'Units' END AS unit,
    CASE WHEN is_token THEN (quantity * 0.000001)::DECIMAL(38,12) ELSE quantity END AS pricing_quantity,
    CASE WHEN is_token THEN '1000000 Tokens' ELSE 'Units' END AS pricing_unit,
    CASE WHEN NOT is_token THEN NULL WHEN list_contains($outputs, meter) THEN 'Output' ELSE 'Input' END AS direction,
    CASE WHEN NOT is_token OR list_contains($outputs, meter) THEN NULL WHEN meter LIKE 'cache_read%' THEN 'Read'
      WHEN meter LIKE 'cache_write%' THEN 'Write' ELSE 'Uncached' END AS cache_action,
    'AI and Machine Learning' AS service_category, 'Generative AI' AS service_subcategory,
    concat(provider, ' model inference') AS service_name, concat_ws('/', provider, model, meter, service_tier) AS sku,
    concat_ws(' ', model, replace(meter, '_', ' ')) AS description
  FROM tokens
),
pool_parts AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment, unnest([
    {'part': 'starting', 'usd': starting_usd, 'seconds': starting_gpu_seconds},
    {'part': 'idle', 'usd': idle_usd, 'seconds': idle_gpu_seconds},
    {'part': 'draining', 'usd': draining_usd, 'seconds': draining_gpu_seconds},
    {'part': 'failed', 'usd': failed_usd, 'seconds': failed_gpu_seconds},
    {'part': 'padding', 'usd': padding_usd, 'seconds': padding_gpu_seconds},
    {'part': 'unheld', 'usd': unheld_usd, 'seconds': unheld_gpu_seconds},
    {'part': 'unused_commitment', 'usd': unused_commitment_usd, 'seconds': unused_commitment_gpu_seconds}
  ], recursive := true), NULL::VARCHAR AS model, NULL::VARCHAR AS tenant, NULL::VARCHAR AS team, NULL::VARCHAR AS source
  FROM core.pool_hours WHERE accrued_on >= $from_on AND accrued_on < $to_on
),
serving AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment, sum(serving_usd)::DOUBLE AS pool_usd,
    sum(serving_gpu_seconds)::DOUBLE AS pool_seconds
  FROM core.pool_hours WHERE accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY ALL
),
served AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment, 'serving' AS part, model, tenant, team, source,
    sum(effective_usd) AS usd
  FROM core.request_costs WHERE cost_basis = 'gpu' AND accrued_on >= $from_on AND accrued_on < $to_on
    AND effective_usd IS NOT NULL
  GROUP BY ALL
),
pools AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment, part, model, tenant, team, source, usd,
    -- The seconds of what a pool served are split as its dollars are.
    coalesce(pool_seconds * usd::DOUBLE / nullif(pool_usd, 0), 0)::DECIMAL(38,12) AS seconds
  FROM served LEFT JOIN serving USING (accrued_on, provider, region, chip, deployment, commitment)
  UNION ALL BY NAME
  SELECT accrued_on, provider, region, chip, deployment, commitment, part, model, tenant, team, source, sum(usd) AS usd,
    sum(seconds) AS seconds
  FROM pool_parts GROUP BY ALL HAVING sum(usd) <> 0 OR sum(seconds) <> 0
),
pool_charges AS (
  SELECT accrued_on, provider, region, tenant, deployment, model AS x_model_id, NULL::VARCHAR AS x_token_class,
    commitment AS x_service_tier, source AS x_source, team AS x_team, chip AS x_chip, part AS x_pool_part, commitment,
    CASE WHEN commitment IN ('reserved', 'committed') THEN
      CASE WHEN part = 'unused_commitment' THEN 'Unused' ELSE 'Used' END END AS status,
    usd, usd AS list_usd, seconds AS consumed, NULL::DECIMAL(38,12) AS x_unpriced_quantity, 'GPU-Seconds' AS unit,
    seconds AS pricing_quantity, 'GPU-Seconds' AS pricing_unit, NULL::VARCHAR AS direction, NULL::VARCHAR AS cache_action,
    'Compute' AS service_category, 'Virtual Machines' AS service_subcategory,
    concat(provider, ' accelerators') AS service_name, concat_ws('/', provider, chip, commitment, part) AS sku,
    concat_ws(' ', chip, commitment, replace(part, '_', ' ')) AS description
  FROM pools
),
other_charges AS (
  SELECT accrued_on, coalesce(provider, '(overhead)') AS provider, region, tenant, route AS deployment,
    model AS x_model_id, meter AS x_token_class, NULL::VARCHAR AS x_service_tier, NULL::VARCHAR AS x_source,
    NULL::VARCHAR AS x_team, chip AS x_chip, NULL::VARCHAR AS x_pool_part, NULL::VARCHAR AS commitment,
    NULL::VARCHAR AS status, sum(effective_usd) AS usd, sum(effective_usd) AS list_usd, sum(quantity) AS consumed,
    NULL::DECIMAL(38,12) AS x_unpriced_quantity, 'Units' AS unit, sum(quantity) AS pricing_quantity,
    'Units' AS pricing_unit, NULL::VARCHAR AS direction, NULL::VARCHAR AS cache_action,
    'Management and Governance' AS service_category, 'Other (Management and Governance)' AS service_subcategory,
    concat(coalesce(provider, '(overhead)'), ' other charges') AS service_name,
    concat_ws('/', coalesce(provider, '(overhead)'), meter) AS sku, meter AS description
  FROM core.other_charges WHERE accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY ALL
),
charges AS (
  FROM token_charges UNION ALL BY NAME FROM pool_charges UNION ALL BY NAME FROM other_charges
),
priced AS (
  SELECT *, CASE WHEN pricing_quantity > 0 AND usd IS NOT NULL
    THEN (usd::DOUBLE / pricing_quantity::DOUBLE)::DECIMAL(38,18) END AS paid_price,
    CASE WHEN pricing_quantity > 0 AND usd IS NOT NULL
    THEN (list_usd::DOUBLE / pricing_quantity::DOUBLE)::DECIMAL(38,18) END AS list_price,
    CASE WHEN status IS NOT NULL THEN concat_ws('/', provider, region, x_chip, commitment) END AS commitment_id
  FROM charges
)
SELECT accrued_on, usd AS billed_cost, usd AS effective_cost, usd AS contracted_cost,
  CASE WHEN usd IS NOT NULL THEN list_usd END AS list_cost, provider AS billing_account_id, provider AS billing_account_name,
  'Provider' AS billing_account_type, 'USD' AS billing_currency,
  date_trunc('month', accrued_on)::TIMESTAMP AT TIME ZONE $zone AS billing_period_start,
  (date_trunc('month', accrued_on) + INTERVAL 1 MONTH)::TIMESTAMP AT TIME ZONE $zone AS billing_period_end,
  'Usage' AS charge_category, description AS charge_description, 'Usage-Based' AS charge_frequency,
  accrued_on::TIMESTAMP AT TIME ZONE $zone AS charge_period_start,
  (accrued_on + 1)::TIMESTAMP AT TIME ZONE $zone AS charge_period_end,
  CASE WHEN status IS NOT NULL THEN 'Usage' END AS commitment_discount_category, commitment_id AS commitment_discount_id,
  commitment_id AS commitment_discount_name, CASE WHEN status IS NOT NULL THEN consumed END AS commitment_discount_quantity,
  status AS commitment_discount_status, CASE WHEN status IS NOT NULL THEN 'Reservation' END AS commitment_discount_type,
  CASE WHEN status IS NOT NULL THEN unit END AS commitment_discount_unit,
  CASE WHEN status IS DISTINCT FROM 'Unused' AND coalesce(consumed, 0) <> 0 THEN consumed END AS consumed_quantity,
  CASE WHEN status IS DISTINCT FROM 'Unused' AND coalesce(consumed, 0) <> 0 THEN unit END AS consumed_unit,
  paid_price AS contracted_unit_price, provider AS host_provider_name, provider AS invoice_issuer_name,
  list_price AS list_unit_price,
  CASE WHEN commitment = 'spot' THEN 'Dynamic' WHEN status IS NOT NULL THEN 'Committed' ELSE 'Standard' END AS pricing_category,
  'USD' AS pricing_currency, paid_price AS pricing_currency_contracted_unit_price,
  usd AS pricing_currency_effective_cost, list_price AS pricing_currency_list_unit_price, pricing_quantity, pricing_unit,
  region AS region_id, region AS region_name, deployment AS resource_id, deployment AS resource_name,
  CASE WHEN deployment IS NOT NULL THEN 'Deployment' END AS resource_type, service_category, service_name,
  provider AS service_provider_name, service_subcategory, sku AS sku_id, description AS sku_meter,
  json_merge_patch('{}', json_object('x_ModelId', x_model_id, 'x_TokenDirection', direction,
    'x_TokenCacheAction', cache_action, 'x_TokenClass', x_token_class, 'x_ServiceTier', x_service_tier,
    'x_Chip', x_chip, 'x_PoolPart', x_pool_part))::VARCHAR AS sku_price_details,
  sku AS sku_price_id, tenant AS sub_account_id, tenant AS sub_account_name,
  CASE WHEN tenant IS NOT NULL THEN 'Tenant' END AS sub_account_type,
  CASE WHEN x_team IS NOT NULL THEN json_object('x_Team', x_team)::VARCHAR END AS tags,
  x_model_id, x_token_class, x_service_tier, x_source, x_team, x_chip, x_pool_part,
  nullif(x_unpriced_quantity, 0) AS x_unpriced_quantity
FROM priced
ORDER BY ALL
