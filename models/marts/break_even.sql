-- One row per accrued_on x owned pool (provider x region x chip x deployment) x API offer of the same model
--
-- Owning costs what the pool was billed that day; the API would have cost that day's own token mix at its list price,
-- cached tokens at its cache rate (the plain rate where it has none). Break-even tokens a day = billed / API price of
-- the mix. Capacity is the pool's best hour of the trailing seven days (tokens per serving GPU-second) times the
-- GPU-seconds billed that day: above it the answer is never at this size. Owning costs the pool's overhead as well.
WITH pools AS (
  SELECT accrued_on, provider, region, chip, deployment, CASE WHEN count(DISTINCT model) = 1 THEN min(model) END AS model,
    CASE WHEN count(billed_usd) = count(*) THEN sum(billed_usd) END AS billed_usd,
    sum(billed_gpu_seconds) AS billed_gpu_seconds
  FROM core.pool_hours
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND deployment <> '(none)'
  GROUP BY accrued_on, provider, region, chip, deployment
),
charges AS (
  SELECT accrued_on, provider, region, chip, route AS deployment,
    CASE WHEN count(effective_usd) = count(*) THEN sum(effective_usd) END AS overhead_usd
  FROM core.other_charges
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND chip IS NOT NULL
  GROUP BY ALL
),
worked AS (
  SELECT accrued_on, accrued_hour, provider, region, chip, deployment,
    COLUMNS('.*_tokens')
  FROM core.request_costs
  WHERE cost_basis = 'gpu' AND accrued_on > $from_on - 7 AND accrued_on < $to_on AND chip IS NOT NULL
),
classes AS (
  UNPIVOT worked ON COLUMNS('.*_tokens') INTO NAME class VALUE tokens
),
mix AS (
  SELECT accrued_on, provider, region, chip, deployment, replace(class, '_tokens', '') AS class,
    CAST(sum(tokens) AS HUGEINT) AS tokens
  FROM classes WHERE accrued_on >= $from_on
  GROUP BY ALL HAVING sum(tokens) > 0
),
hours AS (
  SELECT accrued_on, accrued_hour AS pool_hour, provider, region, chip, deployment, sum(tokens) AS tokens
  FROM classes GROUP BY ALL
),
serving AS (
  SELECT accrued_on, pool_hour, provider, region, chip, deployment, sum(serving_gpu_seconds) AS serving_gpu_seconds
  FROM core.pool_hours WHERE accrued_on > $from_on - 7 AND accrued_on < $to_on
  GROUP BY ALL HAVING sum(serving_gpu_seconds) >= 60
),
speeds AS (
  SELECT accrued_on, provider, region, chip, deployment, max(tokens / serving_gpu_seconds) AS speed
  FROM hours JOIN serving USING (accrued_on, pool_hour, provider, region, chip, deployment)
  GROUP BY ALL
),
capacity AS (
  SELECT pools.accrued_on, provider, region, chip, deployment, max(speed) AS speed
  FROM pools JOIN speeds USING (provider, region, chip, deployment)
  WHERE speeds.accrued_on <= pools.accrued_on AND speeds.accrued_on > pools.accrued_on - 7
  GROUP BY ALL
),
prices AS (
  SELECT price_id, meter, provider, region, model, model_family, picodollars_per_unit AS rate, valid_from, valid_to
  FROM ref.token_prices
  WHERE layer = 'list' AND unit = 'token' AND schedule IS NULL AND above_input_tokens IS NULL AND known_to IS NULL
    AND service_tier = 'default' AND coalesce(currency, 'USD') = 'USD'
),
offers AS (
  SELECT DISTINCT price_id, provider, region, model, coalesce(model_family, model) AS model_family, valid_from, valid_to
  FROM prices
),
compared AS (
  SELECT pools.accrued_on, pools.provider, pools.region, pools.chip, pools.deployment, offers.price_id,
    any_value(offers.provider) AS api_provider, any_value(offers.region) AS api_region,
    any_value(offers.model) AS api_model,
    CAST(sum(mix.tokens) AS BIGINT) AS tokens,
    CASE WHEN count(coalesce(own.rate, plain.rate)) = count(*)
      THEN CAST(sum(mix.tokens * coalesce(own.rate, plain.rate)) AS HUGEINT) END AS picodollars
  FROM pools
  LEFT JOIN ref.model_families families ON families.name = lower(pools.model)
  JOIN offers ON offers.model_family = coalesce(families.model_family, pools.model)
    AND offers.valid_from <= pools.accrued_on AND (offers.valid_to IS NULL OR offers.valid_to > pools.accrued_on)
  JOIN mix ON (mix.accrued_on, mix.provider, mix.region, mix.chip, mix.deployment)
    = (pools.accrued_on, pools.provider, pools.region, pools.chip, pools.deployment)
  LEFT JOIN prices own ON own.price_id = offers.price_id AND own.valid_from = offers.valid_from
    AND own.valid_to IS NOT DISTINCT FROM offers.valid_to AND own.meter = mix.class
  LEFT JOIN prices plain ON plain.price_id = offers.price_id AND plain.valid_from = offers.valid_from
    AND plain.valid_to IS NOT DISTINCT FROM offers.valid_to AND plain.meter = CASE
      WHEN mix.class LIKE 'cache_%_audio' THEN 'audio_input' WHEN mix.class LIKE 'cache_%_image' THEN 'image_input'
      WHEN mix.class LIKE 'cache_%' THEN 'input_uncached' END
  GROUP BY pools.accrued_on, pools.provider, pools.region, pools.chip, pools.deployment, offers.price_id
),
settled AS (
  SELECT compared.*, pools.model, pools.billed_usd,
    CASE WHEN charges.accrued_on IS NULL THEN 0 ELSE charges.overhead_usd END AS overhead_usd,
    pools.billed_usd + CASE WHEN charges.accrued_on IS NULL THEN 0 ELSE charges.overhead_usd END AS owning_usd,
    CAST(picodollars * CAST(0.000000000001 AS DECIMAL(13, 12)) AS DECIMAL(38, 12)) AS api_usd,
    CAST(round(speed * billed_gpu_seconds) AS BIGINT) AS capacity_tokens,
    CASE WHEN picodollars > 0
      THEN CAST(ceil(CAST(owning_usd AS DOUBLE) * tokens / (CAST(picodollars AS DOUBLE) / 1e12)) AS BIGINT)
    END AS break_even_tokens
  FROM compared JOIN pools USING (accrued_on, provider, region, chip, deployment)
  LEFT JOIN capacity USING (accrued_on, provider, region, chip, deployment)
  LEFT JOIN charges USING (accrued_on, provider, region, chip, deployment)
)
SELECT accrued_on, provider, region, chip, deployment, model, api_provider, api_region, api_model, price_id,
  tokens, billed_usd, overhead_usd, api_usd,
  1e6 * CAST(owning_usd AS DOUBLE) / tokens AS owning_usd_per_mtok,
  1e6 * CAST(billed_usd AS DOUBLE) / tokens AS available_usd_per_mtok,
  1e6 * CAST(api_usd AS DOUBLE) / tokens AS api_usd_per_mtok,
  break_even_tokens, capacity_tokens,
  tokens / nullif(capacity_tokens, 0) AS used_ratio,
  break_even_tokens / nullif(capacity_tokens, 0) AS break_even_ratio,
  CASE WHEN owning_usd IS NULL OR api_usd IS NULL THEN NULL
    WHEN owning_usd <= api_usd THEN 'owning'
    WHEN break_even_tokens IS NULL OR break_even_tokens > capacity_tokens THEN 'never_at_this_size'
    ELSE 'api' END AS cheaper
FROM settled
