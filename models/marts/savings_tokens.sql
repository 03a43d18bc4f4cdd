-- One row per change that would lower what is bought by the token in a month, before it is ranked
--
-- A call of a conversation reads again what its calls before have sent: all input of the session but the longest, where
-- its calls follow each other within five minutes; calls that share a prefix read again at most the shortest of them.
-- What the cache saves is less the premium of writing the longest once. Work that can wait is known by its name alone.
WITH attempts AS (
  SELECT provider, region, route, model, coalesce(c.model_family, f.model_family) AS family, task_class, service_tier,
    session_id, prefix_hash, started_at, price_id, effective_usd, accrued_on, chip, cost_basis,
    coalesce(input_uncached_tokens, 0) AS uncached, coalesce(cache_read_tokens, 0) AS cached,
    coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0) AS written
  FROM core.request_costs c LEFT JOIN ref.model_families f ON f.name = lower(c.model)
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND cost_basis = 'token' AND price_state = 'priced'
    AND is_first_accrual AND coalesce(attempt_no, 1) <> 0
),
rates AS (
  SELECT price_id, max(picodollars_per_unit) FILTER (meter = 'input_uncached') AS plain,
    max(picodollars_per_unit) FILTER (meter = 'cache_read' AND NOT coalesce(is_assumed, false)) AS cached,
    coalesce(max(picodollars_per_unit) FILTER (meter = 'cache_write_5m'), 0) AS written
  FROM ref.token_prices WHERE known_to IS NULL GROUP BY ALL
),
repeats AS (
  SELECT provider, region, route, model, family, price_id, session_id IS NOT NULL AS is_session,
    CASE WHEN session_id IS NOT NULL THEN sum(uncached + cached + written) - max(uncached + cached + written)
      ELSE (count(*) - 1) * min(uncached + cached + written) END AS again,
    max(uncached + cached + written) AS longest, sum(cached + written) AS known, sum(uncached) AS uncached, count(*) AS calls
  FROM attempts WHERE session_id IS NOT NULL OR prefix_hash IS NOT NULL
  GROUP BY provider, region, route, model, family, price_id, session_id, CASE WHEN session_id IS NULL THEN prefix_hash END
  HAVING count(*) > 1 AND max(uncached + cached + written) >= 1024
    AND (epoch_us(max(started_at)) - epoch_us(min(started_at))) / 1e6 <= 300 * (count(*) - 1)
),
missed AS (
  SELECT provider, region, route, model, family, is_session, sum(calls)::BIGINT AS calls,
    sum(least(again - r.known, uncached))::BIGINT AS tokens,
    sum(least(again - r.known, uncached) * (plain - p.cached) - greatest(p.written - plain, 0) * longest)::HUGEINT AS picodollars
  FROM repeats r JOIN rates p USING (price_id)
  WHERE again > r.known AND plain > p.cached
    AND least(again - r.known, uncached) * (plain - p.cached) > greatest(p.written - plain, 0) * longest
  GROUP BY ALL
),
batch_rates AS (
  SELECT d.price_id, min(b.picodollars_per_unit::DOUBLE / nullif(d.picodollars_per_unit, 0)) AS ratio
  FROM ref.token_prices d JOIN ref.token_prices b ON b.provider = d.provider AND b.model = d.model AND b.meter = d.meter
    AND b.region IS NOT DISTINCT FROM d.region AND b.layer = d.layer AND b.service_tier = 'batch'
    AND b.contract IS NOT DISTINCT FROM d.contract AND b.above_input_tokens IS NOT DISTINCT FROM d.above_input_tokens
    AND b.schedule IS NOT DISTINCT FROM d.schedule
  WHERE d.meter = 'input_uncached' AND d.service_tier = 'default'
    AND d.known_to IS NULL AND b.known_to IS NULL AND b.valid_from < $to_on AND (b.valid_to IS NULL OR b.valid_to >= $to_on)
  GROUP BY ALL
),
waiting AS (
  SELECT provider, region, route, model, family, count(*) AS calls, min(ratio) AS ratio, sum(effective_usd) AS usd,
    sum(effective_usd * (1 - ratio)::DECIMAL(18,6)) AS saved_usd,
    any_value(coalesce(task_class, route)) AS name
  FROM attempts JOIN batch_rates USING (price_id)
  WHERE regexp_matches(lower(concat_ws(' ', route, task_class)),
      '(^|[^a-z])(batch|offline|nightly|bulk|backfill|etl|eval|evals|evaluation|indexing|embedding|embeddings|enrichment)([^a-z]|$)')
    AND session_id IS NULL AND ratio < 1
  GROUP BY ALL
),
-- What owning would cost is known from pools of the same weights: tokens of a GPU-second at their best, and its price.
speeds AS (
  SELECT e.provider, e.region, e.chip, e.deployment, f.model_family AS family,
    max(e.capacity_tokens / nullif(b.seconds, 0)) AS speed, sum(b.usd)::DOUBLE / nullif(sum(b.seconds), 0) AS usd_per_second
  FROM (
    SELECT DISTINCT accrued_on, provider, region, chip, deployment, model, capacity_tokens FROM mart.break_even
    WHERE accrued_on >= $from_on AND accrued_on < $to_on AND capacity_tokens > 0
  ) e
  JOIN (
    SELECT accrued_on, provider, region, chip, deployment, sum(billed_usd) AS usd, sum(billed_gpu_seconds)::DOUBLE AS seconds
    FROM mart.gpu_bill_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on AND unpriced_hour_count = 0 GROUP BY ALL
  ) b USING (accrued_on, provider, region, chip, deployment)
  JOIN ref.model_families f ON f.name = lower(e.model)
  GROUP BY ALL
),
bought AS (
  SELECT family, sum(usd) AS usd, sum(tokens)::DOUBLE AS tokens, max(day_count) AS day_count
  FROM (
    SELECT f.model_family AS family, usd, input_tokens + output_tokens AS tokens,
      (SELECT count(DISTINCT accrued_on) FROM mart.spend_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on) AS day_count
    FROM mart.spend_daily JOIN ref.model_families f ON f.name = lower(model)
    WHERE component = 'tokens' AND usd IS NOT NULL AND accrued_on >= $from_on AND accrued_on < $to_on
  )
  GROUP BY ALL
),
owning AS (
  SELECT s.*, b.usd, b.day_count, ceil(b.tokens / (speed * $target_percent / 100 * day_count * 86400)) AS gpus
  FROM bought b JOIN speeds s USING (family)
  WHERE speed > 0 AND usd_per_second > 0
),
owned AS (
  SELECT *, gpus * day_count * 86400 * usd_per_second AS own_usd FROM owning
  QUALIFY row_number() OVER (PARTITION BY family ORDER BY gpus * usd_per_second, deployment, chip, provider, region) = 1
),
judged AS (
  SELECT m.route, m.kind, m.provider, m.region, m.model, m.chip, m.alternative_provider, m.alternative_region,
    m.alternative_model, m.alternative_chip, count(*) AS calls, sum(regret_usd) AS usd, sum(cost_usd) AS cost_usd,
    sum(regret_usd * coalesce(confidence_ratio, 0)::DECIMAL(9,6))::DOUBLE / nullif(sum(regret_usd)::DOUBLE, 0) AS sureness
  FROM mart.routing_mistakes m
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND regret_usd > 0
  GROUP BY ALL
),
places AS (
  SELECT component, provider, region, route, model, chip, arg_max(deployment, usd) AS deployment,
    arg_max(commitment, usd) AS commitment
  FROM mart.spend_daily
  WHERE component IN ('tokens', 'gpu_serving') AND accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY ALL
),
placed AS (
  SELECT j.*, p.component, p.deployment, p.commitment, f.model_family AS family
  FROM judged j
  JOIN places p ON p.provider IS NOT DISTINCT FROM j.provider AND p.region IS NOT DISTINCT FROM j.region
    AND p.route IS NOT DISTINCT FROM j.route AND p.model IS NOT DISTINCT FROM j.model
    AND p.chip IS NOT DISTINCT FROM j.chip
  LEFT JOIN ref.model_families f ON f.name = lower(j.model)
  QUALIFY row_number() OVER (
    PARTITION BY j.route, j.kind, j.provider, j.region, j.model, j.chip, j.alternative_provider, j.alternative_region,
      j.alternative_model, j.alternative_chip ORDER BY p.component DESC
  ) = 1
),
changes AS (
  SELECT 'routing' AS kind, 'mend' AS plan, component, deployment, commitment, provider, region, route, model, family, chip,
    CASE WHEN kind = 'idle_capacity' THEN concat_ws(', ', alternative_chip, alternative_provider, alternative_region) END AS needs,
    usd AS claim_usd,
    CASE WHEN sureness >= 0.8 THEN 'high' WHEN sureness >= 0.5 THEN 'medium' ELSE 'low' END AS confidence,
    format('{:,} calls cost ${:,.2f}: {}', calls, cost_usd::DOUBLE, replace(kind, '_', ' ')) AS evidence,
    CASE WHEN kind = 'cache_affinity_lost' THEN format('Keep calls of {} where their prefix is cached', coalesce(route, '(no route)'))
      ELSE format('Route {} from {} to {}', coalesce(route, '(no route)'),
        concat_ws(' at ', coalesce(model, '(no model)'), provider),
        concat_ws(' at ', coalesce(alternative_model, model), alternative_provider)) END AS change
  FROM placed
  UNION ALL BY NAME
  SELECT 'cache_not_used' AS kind, 'mend' AS plan, 'tokens' AS component, provider, region, route, model, family,
    picodollars::DECIMAL(38,0) * 0.000000000001::DECIMAL(13,12) AS claim_usd,
    CASE WHEN is_session THEN 'medium' ELSE 'low' END AS confidence,
    CASE WHEN is_session THEN format('{:,} calls of conversations sent {:,} input tokens again at the full rate', calls, tokens)
      ELSE format('{:,} calls share prefixes: at most {:,} input tokens were sent again at the full rate', calls, tokens) END AS evidence,
    format('Mark the prompts of {} to {} for caching at {}, their fixed part first', coalesce(route, '(no route)'),
      coalesce(model, '(no model)'), coalesce(provider, '(no provider)')) AS change
  FROM missed
  UNION ALL BY NAME
  SELECT 'batch_not_used' AS kind, 'mend' AS plan, 'tokens' AS component, provider, region, route, model, family,
    saved_usd AS claim_usd, 'low' AS confidence,
    format('{:,} calls cost ${:,.2f} at the immediate rate; their name ({}) says that they can wait, and the batch rate is {:.0f}% of it',
      calls, usd::DOUBLE, name, 100 * ratio) AS evidence,
    format('Send {} through the batch interface of {}', coalesce(route, '(no route)'), provider) AS change
  FROM waiting WHERE saved_usd > 0
)
SELECT kind, plan,
  CASE WHEN deployment IS NOT NULL THEN concat_ws(', ', 'pool ' || deployment, chip, provider, region)
    ELSE 'API calls of ' || coalesce(family, model, '(no model)') END AS spender,
  CASE WHEN deployment IS NOT NULL
    THEN concat_ws('|', concat_ws(', ', 'pool ' || deployment, chip, provider, region), component, coalesce(commitment, '-'))
    ELSE concat_ws('|', 'API calls of ' || coalesce(family, model, '(no model)'), component, coalesce(provider, '-'),
      coalesce(region, '-'), coalesce(route, '-'), coalesce(model, '-')) END AS cell,
  needs, provider, region, route, model, chip, commitment, claim_usd::DECIMAL(38,12) AS claim_usd, confidence, evidence, change
FROM changes
UNION ALL BY NAME
SELECT 'own_instead_of_buy' AS kind, 'replace' AS plan, 'API calls of ' || family AS spender, NULL AS cell,
  'family ' || family AS needs, provider, region, deployment AS route, family AS model, chip, NULL AS commitment,
  (usd - own_usd::DECIMAL(38,12))::DECIMAL(38,12) AS claim_usd, 'low' AS confidence,
  format('its API calls cost ${:,.2f}; {:.0f} GPUs at the best speed and the price of {} would cost ${:,.2f} in {:,} days. '
    'Assumed: the same mix of tokens, {}% busy, GPUs to be had one by one', usd::DOUBLE, gpus, deployment, own_usd, day_count,
    $target_percent) AS evidence,
  format('Serve {} on {:.0f} more {} GPUs at {} instead of APIs', family, gpus, chip, provider) AS change
FROM owned WHERE usd::DOUBLE > own_usd
