-- One row per change that would lower what GPUs cost in a month, before it is ranked: what it would save, from which cell
--
-- A plan is mend (the pool stays) or replace (its calls go to an API). Dollars of idle are those beyond the headroom of
-- the target, less what routing calls to the idle pool would save. A commitment to buy is of the size that saves most:
-- of the hours' needs the quantile 1 - committed rate / on-demand rate.
WITH bill AS (
  SELECT concat_ws(', ', 'pool ' || deployment, chip, provider, region) AS spender,
    provider, region, deployment, chip, commitment, CASE WHEN count(DISTINCT model) = 1 THEN min(model) END AS model,
    sum(COLUMNS('^(billed|starting|idle|idle_waste|failed|unheld|unused_commitment)_(usd|gpu_seconds)$')),
    max(target_utilization_ratio) AS target, count(DISTINCT accrued_on) AS day_count,
    sum(unpriced_hour_count) = 0 AND NOT bool_or(is_provisional) AS is_settled
  FROM mart.gpu_bill_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY provider, region, deployment, chip, commitment
),
moved AS (
  SELECT alternative_provider AS provider, alternative_region AS region, alternative_chip AS chip,
    lower(alternative_model) AS model, sum(regret_usd) AS moved_usd
  FROM mart.routing_mistakes
  WHERE kind = 'idle_capacity' AND accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY ALL
),
idle AS (
  SELECT b.*, greatest(idle_waste_usd - coalesce(moved_usd, 0), 0) AS claim_usd, moved_usd
  FROM bill b LEFT JOIN moved m ON m.provider = b.provider AND m.region = b.region AND m.chip = b.chip
    AND (m.model = lower(b.model) OR m.model IS NULL OR b.model IS NULL)
),
bursts AS (
  SELECT provider, region, chip, deployment, count(*) AS burst_count, min(onset_at) AS first_at,
    max(least(cure_usd_per_day, cure_keep_warm_usd_per_day)) AS cure_usd_per_day,
    bool_or(cure_keep_warm_usd_per_day < cure_usd_per_day OR cure_usd_per_day IS NULL) AS is_kept_warm,
    max(cure_replica_count) AS replica_count, max(cure_keep_warm_seconds) AS keep_warm_seconds,
    bool_or(cure_usd_per_day IS NULL AND cure_keep_warm_usd_per_day IS NULL) AS is_unknown
  FROM mart.cold_start_bursts WHERE started_on >= $from_on AND started_on < $to_on
  GROUP BY ALL
),
burst_starts AS (
  SELECT s.provider, s.region, s.chip, s.deployment, s.commitment, count(*) AS start_count, sum(s.start_usd) AS start_usd
  FROM mart.cold_starts s
  WHERE s.started_on >= $from_on AND s.started_on < $to_on AND s.outcome <> 'failed' AND NOT s.is_inferred
    AND EXISTS (
      FROM mart.cold_start_bursts b WHERE b.provider = s.provider AND b.region = s.region AND b.chip = s.chip
        AND b.deployment = s.deployment AND s.requested_at >= b.onset_at AND s.requested_at <= b.ended_at
        AND b.started_on >= $from_on AND b.started_on < $to_on
    )
  GROUP BY ALL
),
needs AS (
  SELECT provider, region, deployment, chip, pool_hour,
    sum(starting_gpu_seconds + draining_gpu_seconds
      + least(serving_gpu_seconds + idle_gpu_seconds, serving_gpu_seconds * 100 / $target_percent)) / 3600 AS gpus
  FROM core.pool_hours
  WHERE commitment = 'on_demand' AND accrued_on >= $from_on AND accrued_on < $to_on AND deployment <> '(none)'
  GROUP BY ALL
),
span AS (
  SELECT min(pool_hour) AS first_hour, max(pool_hour) AS last_hour,
    date_diff('hour', min(pool_hour), max(pool_hour)) + 1 AS hour_count
  FROM core.pool_hours WHERE accrued_on >= $from_on AND accrued_on < $to_on
),
committed AS (
  SELECT provider, region, chip, model, arg_min(commitment, usd_per_gpu_hour) AS commitment,
    min(usd_per_gpu_hour)::DOUBLE AS rate
  FROM ref.gpu_prices
  WHERE commitment IN ('reserved', 'committed') AND known_to IS NULL AND valid_from < $to_on
    AND (valid_to IS NULL OR valid_to >= $to_on)
  GROUP BY ALL
),
rated AS (
  SELECT b.spender, b.provider, b.region, b.deployment, b.chip, b.commitment, b.model,
    3600 * b.billed_usd::DOUBLE / nullif(b.billed_gpu_seconds::DOUBLE, 0) AS rate,
    c.rate AS committed_rate, c.commitment AS offered, hour_count
  FROM bill b JOIN committed c ON c.provider = b.provider AND c.chip = b.chip
    AND coalesce(c.region, b.region) = b.region AND (c.model IS NULL OR lower(c.model) = lower(b.model)), span
  WHERE b.commitment = 'on_demand' AND hour_count >= 7 * 24
),
sized AS (
  -- Hours in which a pool was not there need none of it.
  SELECT r.*, list(coalesce(n.gpus, 0)::DOUBLE ORDER BY n.gpus NULLS FIRST) AS needed
  FROM rated r CROSS JOIN (
    SELECT unnest(generate_series(first_hour, last_hour, INTERVAL 1 HOUR)) AS pool_hour FROM span WHERE first_hour IS NOT NULL
  ) h
  LEFT JOIN needs n ON (n.provider, n.region, n.deployment, n.chip, n.pool_hour)
    = (r.provider, r.region, r.deployment, r.chip, h.pool_hour)
  GROUP BY ALL
),
fitted AS (
  SELECT *, floor(needed[greatest(1, ceil(hour_count * (1 - committed_rate / rate)))::BIGINT]) AS size FROM sized
  WHERE committed_rate < rate
),
bought AS (
  SELECT *, list_sum(list_transform(needed, lambda gpus: least(gpus, size))) * rate
    - size * hour_count * committed_rate AS claim_usd
  FROM fitted WHERE size >= 1
),
offers AS (
  SELECT provider, region, chip, deployment, api_provider, api_region, api_model, sum(api_usd) AS api_usd,
    sum(tokens)::BIGINT AS tokens, count(*) AS day_count, count(api_usd) = count(*) AS is_priced
  FROM (
    SELECT accrued_on, provider, region, chip, deployment, api_provider, api_region, api_model,
      min(api_usd) AS api_usd, max(tokens) AS tokens
    FROM mart.break_even WHERE accrued_on >= $from_on AND accrued_on < $to_on
    GROUP BY ALL
  )
  GROUP BY ALL
),
cheapest AS (
  SELECT * FROM offers WHERE is_priced
  QUALIFY row_number() OVER (
    PARTITION BY provider, region, chip, deployment ORDER BY day_count DESC, api_usd, api_provider, api_model, api_region
  ) = 1
),
whole AS (
  SELECT spender, provider, region, deployment, chip, sum(billed_usd) AS billed_usd,
    CASE WHEN count(DISTINCT model) = 1 THEN min(model) END AS model, bool_or(commitment IN ('reserved', 'committed')) AS is_committed
  FROM bill GROUP BY ALL
)
SELECT CASE chip WHEN 'capacity_unit' THEN 'unused_provisioned_throughput' ELSE 'idle_waste' END AS kind, 'mend' AS plan,
  spender, concat_ws('|', spender, 'gpu_idle', commitment) AS cell, NULL AS needs,
  provider, region, deployment AS route, model, chip, commitment, claim_usd::DECIMAL(38,12) AS claim_usd,
  CASE WHEN commitment IN ('reserved', 'committed') THEN 'low' WHEN is_settled THEN 'high' ELSE 'medium' END AS confidence,
  format('{:,.1f} of {:,.1f} GPU-hours were idle, {:,.1f} of them beyond the headroom that a target of {:.0f}% busy needs',
    idle_gpu_seconds::DOUBLE / 3600, billed_gpu_seconds::DOUBLE / 3600, idle_waste_gpu_seconds::DOUBLE / 3600, 100 * target)
    || CASE WHEN moved_usd > 0 THEN '; what calls routed to it would save is not counted here' ELSE '' END AS evidence,
  CASE WHEN chip = 'capacity_unit' THEN format('Buy fewer units of provisioned throughput for {}', deployment)
    WHEN commitment IN ('reserved', 'committed')
      THEN format('Move work to {}, or let part of its commitment end: its hours are paid for until then', deployment)
    ELSE format('Run fewer replicas of {} while its load is low: scale in sooner, or share its GPUs', deployment) END AS change
FROM idle WHERE claim_usd > 0
UNION ALL BY NAME
SELECT 'unused_commitment' AS kind, 'mend' AS plan, spender, concat_ws('|', spender, 'gpu_unused_commitment', commitment) AS cell,
  provider, region, deployment AS route, model, chip, commitment, unused_commitment_usd::DECIMAL(38,12) AS claim_usd,
  'medium' AS confidence,
  format('{:,.1f} committed GPU-hours were paid for and used by nobody', unused_commitment_gpu_seconds::DOUBLE / 3600) AS evidence,
  format('Move on-demand work of {} to the commitment, or do not renew the part of it that nobody uses', provider) AS change
FROM bill WHERE unused_commitment_usd > 0
UNION ALL BY NAME
SELECT 'unheld_gpus' AS kind, 'mend' AS plan, spender, concat_ws('|', spender, 'gpu_unheld', commitment) AS cell,
  provider, region, deployment AS route, model, chip, commitment, unheld_usd::DECIMAL(38,12) AS claim_usd,
  CASE WHEN is_settled THEN 'high' ELSE 'medium' END AS confidence,
  format('{:,.1f} GPU-hours of paid nodes were held by no replica', unheld_gpu_seconds::DOUBLE / 3600) AS evidence,
  format('Take nodes that hold no replica out of service sooner, or pack replicas on fewer of them') AS change
FROM bill WHERE unheld_usd > 0
UNION ALL BY NAME
SELECT 'failed_starts' AS kind, 'mend' AS plan, spender, concat_ws('|', spender, 'gpu_failed', commitment) AS cell,
  provider, region, deployment AS route, model, chip, commitment, failed_usd::DECIMAL(38,12) AS claim_usd,
  CASE WHEN is_settled THEN 'high' ELSE 'medium' END AS confidence,
  format('{:,.1f} GPU-hours went to starts that failed', failed_gpu_seconds::DOUBLE / 3600) AS evidence,
  format('Mend the starts of {} that fail: mart.cold_starts has their reasons', deployment) AS change
FROM bill WHERE failed_usd > 0
UNION ALL BY NAME
SELECT 'cold_starts' AS kind, 'mend' AS plan, spender, concat_ws('|', spender, 'gpu_starting', b.commitment) AS cell,
  b.provider, b.region, b.deployment AS route, model, b.chip, b.commitment,
  (start_usd - cure_usd_per_day * day_count)::DECIMAL(38,12) AS claim_usd, 'medium' AS confidence,
  format('{:,} starts in {:,} bursts cost ${:,.2f}; their cure costs ${:,.2f} in the same {:,} days', start_count, burst_count,
    start_usd::DOUBLE, (cure_usd_per_day * day_count)::DOUBLE, day_count) AS evidence,
  CASE WHEN is_kept_warm THEN format('Keep idle replicas of {} {:,.0f} s longer', b.deployment, keep_warm_seconds)
    ELSE format('Keep {:,} more replicas of {} warm', replica_count, b.deployment) END AS change
FROM bill b JOIN burst_starts s USING (provider, region, chip, deployment, commitment)
  JOIN bursts USING (provider, region, chip, deployment)
WHERE NOT is_unknown AND start_usd > cure_usd_per_day * day_count
UNION ALL BY NAME
SELECT 'commitment_to_buy' AS kind, 'mend' AS plan, spender, concat_ws('|', spender, 'gpu_serving', commitment) AS cell,
  provider, region, deployment AS route, model, chip, commitment, claim_usd::DECIMAL(38,12) AS claim_usd, 'medium' AS confidence,
  format('its load needs {:.0f} GPUs or more in enough of {:,} hours that ${:,.4f} an hour always costs less than ${:,.4f} on demand',
    size, hour_count, committed_rate, rate) AS evidence,
  format('Commit to {:.0f} GPUs ({} {}) for {}', size, offered, chip, deployment) AS change
FROM bought WHERE claim_usd > 0
UNION ALL BY NAME
SELECT 'buy_instead_of_own' AS kind, 'replace' AS plan, spender, NULL AS cell,
  w.provider, w.region, w.deployment AS route, w.model, w.chip, NULL AS commitment,
  (billed_usd - api_usd)::DECIMAL(38,12) AS claim_usd, CASE WHEN is_committed THEN 'low' ELSE 'medium' END AS confidence,
  format('its {:,} tokens cost ${:,.2f} here and ${:,.2f} at the list price of {}', tokens, billed_usd::DOUBLE,
    api_usd::DOUBLE, concat_ws(' ', api_provider, api_model)) || '; answers and speed are not compared' AS evidence,
  format('Send the calls of {} to {} at {} and give its GPUs back', w.deployment, api_model, api_provider) AS change
FROM whole w JOIN cheapest USING (provider, region, chip, deployment)
WHERE billed_usd > api_usd
