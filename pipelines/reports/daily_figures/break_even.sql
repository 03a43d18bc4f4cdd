-- One row per business day x owned pool x API provider of the same model: its cheapest offer; pools that cost most first
WITH offers AS (
  SELECT accrued_on AS day_on, * EXCLUDE (accrued_on),
    dense_rank() OVER (
      PARTITION BY accrued_on ORDER BY billed_usd DESC NULLS LAST, deployment, chip, provider, region
    ) AS place
  FROM mart.break_even WHERE accrued_on >= $from_on AND accrued_on < $to_on AND api_usd IS NOT NULL
  QUALIFY row_number() OVER (
    PARTITION BY accrued_on, provider, region, chip, deployment, api_provider ORDER BY api_usd, api_model, api_region, price_id
  ) = 1
)
SELECT * EXCLUDE (place) FROM offers WHERE place <= $groups_at_most
ORDER BY day_on, place, api_usd, api_provider
