-- One row per business day x model x chip x provider, models on several chips first: the same model side by side
WITH chips AS (
  SELECT accrued_on AS day_on, coalesce(model_family, '(several)') AS model_family, chip, provider, cost_basis, usage_usd,
    available_usd, usage_usd_per_mtok, available_usd_per_mtok, tokens_per_gpu_second,
    input_tokens + output_tokens AS tokens, serving_gpu_seconds / nullif(billed_gpu_seconds, 0) AS serving_ratio,
    count(*) OVER family AS chip_count, max(available_usd) OVER family AS most_usd
  FROM mart.cost_by_chip WHERE accrued_on >= $from_on AND accrued_on < $to_on
  WINDOW family AS (PARTITION BY accrued_on, model_family)
),
ranked AS (
  SELECT *, dense_rank() OVER (
    PARTITION BY day_on ORDER BY chip_count = 1, most_usd DESC NULLS LAST, model_family
  ) AS place
  FROM chips
)
SELECT * EXCLUDE (place, most_usd) FROM ranked WHERE place <= $groups_at_most
ORDER BY day_on, place, available_usd_per_mtok NULLS LAST, chip, provider
