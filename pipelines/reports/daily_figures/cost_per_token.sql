-- One row per business day x dimension (model, route, chip, total) x group; the groups after the largest are one row without a name
WITH cells AS (
  SELECT accrued_on AS day_on, is_provisional, coalesce(route, '(not known)') AS route,
    CASE WHEN route = '(unallocated)' THEN route ELSE coalesce(model, '(not known)') END AS model,
    CASE WHEN route = '(unallocated)' THEN route ELSE coalesce(chip, '(not known)') END AS chip,
    COLUMNS('^(request|attempt|gateway_cache_hit|unpriced)_count$|^(input|output|total|unpriced|priced_input|priced_output)_tokens$'),
    COLUMNS('_usd$')
  FROM mart.cost_per_token_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
),
grouped AS (
  SELECT day_on,
    CASE grouping(model, route, chip) WHEN 3 THEN 'model' WHEN 5 THEN 'route' WHEN 6 THEN 'chip' ELSE 'total' END AS dimension,
    coalesce(model, route, chip) AS name, bool_or(is_provisional) AS is_provisional,
    CAST(sum(COLUMNS('_count$|_tokens$')) AS BIGINT), sum(COLUMNS('_usd$'))
  FROM cells GROUP BY GROUPING SETS ((day_on, model), (day_on, route), (day_on, chip), (day_on))
),
ranked AS (
  SELECT *, count(*) OVER (PARTITION BY day_on, dimension) AS group_size,
    row_number() OVER (
      PARTITION BY day_on, dimension
      ORDER BY name = '(unallocated)', available_usd DESC NULLS LAST, total_tokens DESC, name
    ) AS place
  FROM grouped
)
SELECT day_on, dimension,
  CASE WHEN place > $groups_at_most AND group_size > $groups_at_most + 1 AND name <> '(unallocated)' THEN NULL ELSE name END AS name,
  count(*) AS members, bool_or(is_provisional) AS is_provisional,
  CAST(sum(COLUMNS('_count$|_tokens$')) AS BIGINT), sum(COLUMNS('_usd$'))
FROM ranked GROUP BY 1, 2, 3
ORDER BY day_on, dimension, min(place)
