-- One row per accrued_on x route x task_class x cost_basis x provider x model: each model beside a proprietary reference on the same traffic
--
-- The reference of a route and class is what the project names, else the proprietary model that it sent most attempts to.
-- Cost is compared on the available basis: of an owned pool its idle and starts are inside, as in mart.cost_per_token_daily,
-- whose overhead of a day is cut over task classes by allocation weight. The reference's cost is that of the same tokens at
-- its list prices of the day, converted by the tokenizers' factors where quality.yml states both. A minute is available
-- where any attempt that began in it was answered; what the caller broke off tells nothing.
WITH slices AS (
  SELECT *, coalesce(attempt_no, 1) <> 0 AS is_call,
    is_first_accrual AND coalesce(attempt_no, 1) <> 0 AS is_attempt,
    coalesce(cache_write_5m_tokens, 0) AS written, coalesce(cache_write_1h_tokens, 0) AS written_1h,
    coalesce(input_uncached_tokens, 0)
      + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0) + coalesce(video_input_tokens, 0)
      + coalesce(other_input_tokens, 0) AS plain,
    coalesce(cache_read_tokens, 0) + coalesce(cache_read_audio_tokens, 0) + coalesce(cache_read_image_tokens, 0) AS cached,
    coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0) + coalesce(audio_output_tokens, 0)
      + coalesce(image_output_tokens, 0) + coalesce(other_output_tokens, 0) AS answered,
    CASE WHEN cost_basis = 'gpu' AND price_state <> 'unpriced' THEN CAST(allocation_weight * 1000000 AS HUGEINT) END AS weight
  FROM core.request_costs WHERE accrued_on >= $from_on AND accrued_on < $to_on AND coalesce(attempt_no, 1) <> 0
),
overheads AS (
  SELECT accrued_on, provider, region, route, model, chip, tenant, team, feature, environment, service_tier, operation,
    CAST(sum(available_usd - coalesce(usage_usd, 0)) * 1000000000000 AS HUGEINT) AS overhead
  FROM mart.cost_per_token_daily
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND cost_basis = 'gpu'
    AND route IS DISTINCT FROM '(unallocated)' AND route IS DISTINCT FROM '(reserved)'
  GROUP BY ALL
),
weights AS (
  SELECT accrued_on, provider, region, route, model, chip, tenant, team, feature, environment, service_tier, operation,
    task_class, sum(weight) AS weight, count(*) AS rows
  FROM slices WHERE cost_basis = 'gpu' GROUP BY ALL
),
running AS (
  SELECT w.*, o.overhead,
    sum(coalesce(w.weight, 0)) OVER (pot ORDER BY task_class ROWS UNBOUNDED PRECEDING) AS so_far,
    sum(coalesce(w.weight, 0)) OVER (pot) AS whole,
    row_number() OVER (pot ORDER BY task_class) AS place
  FROM weights w JOIN overheads o ON (o.accrued_on, o.provider, o.region, o.route, o.model, o.chip, o.tenant, o.team,
      o.feature, o.environment, o.service_tier, o.operation)
    IS NOT DISTINCT FROM (w.accrued_on, w.provider, w.region, w.route, w.model, w.chip, w.tenant, w.team,
      w.feature, w.environment, w.service_tier, w.operation)
  WINDOW pot AS (PARTITION BY w.accrued_on, w.provider, w.region, w.route, w.model, w.chip, w.tenant, w.team, w.feature,
    w.environment, w.service_tier, w.operation)
),
shares AS (
  SELECT accrued_on, route, task_class, provider, model,
    sum(CASE WHEN whole > 0 THEN share_so_far(overhead, so_far, whole) - share_so_far(overhead, so_far - coalesce(weight, 0), whole)
      WHEN place = 1 THEN overhead ELSE 0 END) AS overhead
  FROM running GROUP BY ALL
),
minutes AS (
  SELECT accrued_on, route, task_class, cost_basis, provider, model,
    count(*) AS active_minute_count, count(*) FILTER (is_up) AS available_minute_count
  FROM (
    SELECT accrued_on, route, task_class, cost_basis, provider, model, date_trunc('minute', started_at) AS minute,
      bool_or(status = 'ok') AS is_up
    FROM slices WHERE is_attempt AND status <> 'cancelled' GROUP BY ALL
  ) GROUP BY ALL
),
cells AS (
  SELECT accrued_on, route, task_class, cost_basis, provider, model, any_value(model_family) AS family,
    count(*) FILTER (is_attempt) AS attempt_count,
    count(*) FILTER (is_attempt AND status = 'ok') AS ok_count,
    count(*) FILTER (is_attempt AND status = 'error') AS error_count,
    CAST(sum(plain + written + written_1h + cached + answered) AS BIGINT) AS total_tokens,
    CAST(coalesce(sum(plain + written + written_1h + cached + answered) FILTER (price_state <> 'unpriced'), 0) AS BIGINT) AS priced_tokens,
    CAST(coalesce(sum(plain) FILTER (price_state <> 'unpriced'), 0) AS BIGINT) AS priced_plain,
    CAST(coalesce(sum(written) FILTER (price_state <> 'unpriced'), 0) AS BIGINT) AS priced_written,
    CAST(coalesce(sum(written_1h) FILTER (price_state <> 'unpriced'), 0) AS BIGINT) AS priced_written_1h,
    CAST(coalesce(sum(cached) FILTER (price_state <> 'unpriced'), 0) AS BIGINT) AS priced_cached,
    CAST(coalesce(sum(answered) FILTER (price_state <> 'unpriced'), 0) AS BIGINT) AS priced_answered,
    sum(effective_usd) AS usage_usd,
    quantile_cont(duration_seconds, [0.5, 0.95]) FILTER (is_attempt AND status = 'ok') AS durations,
    quantile_cont(first_token_seconds, [0.5, 0.95]) FILTER (is_attempt AND status = 'ok') AS first_tokens,
    -- Whole microseconds sum to one figure in any order.
    1e6 * sum(answered) FILTER (is_attempt AND status = 'ok' AND duration_seconds > 0)
      / nullif(sum(CAST(1e6 * (duration_seconds - coalesce(first_token_seconds, 0)) AS BIGINT))
        FILTER (is_attempt AND status = 'ok' AND duration_seconds > 0), 0) AS output_tokens_per_second
  FROM slices GROUP BY accrued_on, route, task_class, cost_basis, provider, model
),
makers AS (
  SELECT DISTINCT accrued_on, cost_basis, provider, model, developer, is_open_weights
  FROM mart.cost_per_token_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
),
scored AS (
  SELECT c.*, m.developer, m.is_open_weights, n.active_minute_count, n.available_minute_count,
    ok_count / nullif(ok_count + error_count, 0) AS available_request_ratio,
    n.available_minute_count / n.active_minute_count AS available_minute_ratio,
    CAST(usage_usd + coalesce(CASE WHEN c.cost_basis = 'gpu' THEN s.overhead END, 0) * 0.000000000001::DECIMAL(13,12)
      AS DECIMAL(38,12)) AS available_usd,
    f.tokens_ratio
  FROM cells c
  LEFT JOIN shares s ON (s.accrued_on, s.route, s.task_class, s.provider, s.model)
    IS NOT DISTINCT FROM (c.accrued_on, c.route, c.task_class, c.provider, c.model)
  LEFT JOIN minutes n ON (n.accrued_on, n.route, n.task_class, n.cost_basis, n.provider, n.model)
    IS NOT DISTINCT FROM (c.accrued_on, c.route, c.task_class, c.cost_basis, c.provider, c.model)
  LEFT JOIN (SELECT accrued_on, cost_basis, provider, model, any_value(developer) AS developer,
      any_value(is_open_weights) AS is_open_weights FROM makers GROUP BY ALL) m
    ON (m.accrued_on, m.cost_basis, m.provider, m.model) IS NOT DISTINCT FROM (c.accrued_on, c.cost_basis, c.provider, c.model)
  LEFT JOIN factors f ON f.name = coalesce((SELECT name FROM factors WHERE name = c.model), c.family, c.model)
),
busiest AS (
  SELECT accrued_on, route, task_class, arg_max(provider, (attempt_count, provider, model)) AS provider,
    arg_max(model, (attempt_count, provider, model)) AS model
  FROM scored WHERE NOT is_open_weights AND cost_basis = 'token' GROUP BY ALL
),
chosen AS (
  SELECT s.*, coalesce(r.provider, d.provider, b.provider) AS reference_provider,
    coalesce(r.model, d.model, b.model) AS reference_model
  FROM scored s
  LEFT JOIN wanted_references r ON r.route = s.route
  LEFT JOIN wanted_references d ON d.route = '*'
  LEFT JOIN busiest b ON (b.accrued_on, b.route, b.task_class) IS NOT DISTINCT FROM (s.accrued_on, s.route, s.task_class)
),
rates AS (
  SELECT DISTINCT ON (c.accrued_on, c.reference_provider, c.reference_model) c.accrued_on, c.reference_provider,
    c.reference_model, p.model_family AS reference_family, p.plain, coalesce(p.cached, p.plain) AS cached,
    coalesce(p.written, p.plain) AS written, coalesce(p.written_1h, p.written, p.plain) AS written_1h, p.answered
  FROM (SELECT DISTINCT accrued_on, reference_provider, reference_model FROM chosen WHERE reference_model IS NOT NULL) c
  JOIN (
    SELECT provider, model, price_id, valid_from, valid_to, any_value(model_family) AS model_family,
      max(usd_per_mtok) FILTER (meter = 'input_uncached')::DOUBLE AS plain,
      max(usd_per_mtok) FILTER (meter = 'cache_read')::DOUBLE AS cached,
      max(usd_per_mtok) FILTER (meter = 'cache_write_5m')::DOUBLE AS written,
      max(usd_per_mtok) FILTER (meter = 'cache_write_1h')::DOUBLE AS written_1h,
      max(usd_per_mtok) FILTER (meter = 'output_text')::DOUBLE AS answered
    FROM ref.token_prices
    WHERE layer = 'list' AND service_tier = 'default' AND region IS NULL AND above_input_tokens IS NULL AND schedule IS NULL
      AND known_to IS NULL AND coalesce(currency, 'USD') = 'USD'
    GROUP BY provider, model, price_id, valid_from, valid_to
  ) p ON p.provider = c.reference_provider AND p.model = c.reference_model
    AND p.valid_from < c.accrued_on + 1 AND (p.valid_to IS NULL OR p.valid_to >= c.accrued_on + 1)
  ORDER BY c.accrued_on, c.reference_provider, c.reference_model, p.valid_from DESC
)
SELECT c.* EXCLUDE (durations, first_tokens, priced_plain, priced_written, priced_written_1h, priced_cached, priced_answered),
  c.durations[1] AS p50_seconds, c.durations[2] AS p95_seconds,
  c.first_tokens[1] AS p50_first_token_seconds, c.first_tokens[2] AS p95_first_token_seconds,
  1e6 * CAST(c.available_usd AS DOUBLE) / nullif(c.priced_tokens, 0) AS available_usd_per_mtok,
  250 * c.tokens_ratio * CAST(c.available_usd AS DOUBLE) / nullif(c.priced_tokens, 0) AS available_usd_per_1k_characters,
  (c.provider, c.model) IS NOT DISTINCT FROM (c.reference_provider, c.reference_model) AND c.cost_basis = 'token' AS is_reference,
  o.available_minute_ratio AS reference_available_minute_ratio,
  o.available_request_ratio AS reference_available_request_ratio,
  o.durations[1] AS reference_p50_seconds, o.durations[2] AS reference_p95_seconds,
  o.first_tokens[1] AS reference_p50_first_token_seconds, o.first_tokens[2] AS reference_p95_first_token_seconds,
  o.output_tokens_per_second AS reference_output_tokens_per_second,
  c.tokens_ratio IS NOT NULL AND g.tokens_ratio IS NOT NULL AS is_converted,
  (c.priced_plain * a.plain + c.priced_written * a.written + c.priced_written_1h * a.written_1h + c.priced_cached * a.cached
    + c.priced_answered * a.answered) / 1e6 * coalesce(g.tokens_ratio / c.tokens_ratio, 1) AS reference_usd,
  CAST(c.available_usd AS DOUBLE) / nullif(reference_usd, 0) AS cost_ratio
FROM chosen c
LEFT JOIN scored o ON o.cost_basis = 'token' AND (o.accrued_on, o.route, o.task_class, o.provider, o.model)
  IS NOT DISTINCT FROM (c.accrued_on, c.route, c.task_class, c.reference_provider, c.reference_model)
LEFT JOIN rates a ON (a.accrued_on, a.reference_provider, a.reference_model)
  = (c.accrued_on, c.reference_provider, c.reference_model)
LEFT JOIN factors g ON g.name = coalesce((SELECT name FROM factors WHERE name = c.reference_model), a.reference_family, c.reference_model)
