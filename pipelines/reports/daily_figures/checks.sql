-- One row per business day x check x table: its results that still count for the day
--
-- A result counts while no later one of the same check looked at all of what it says about the day.
WITH days AS (
  SELECT unnest(CAST($days AS DATE[])) AS day_on, unnest(CAST($starts_at AS TIMESTAMPTZ[])) AS starts_at,
    unnest(CAST($ends_at AS TIMESTAMPTZ[])) AS ends_at
),
results AS (
  SELECT *, coalesce(partition_from LIKE '%T%', false) AS is_hourly FROM ops.check_results
),
of_day AS (
  SELECT results.*, day_on,
    CASE WHEN is_hourly THEN strftime(starts_at, '%Y-%m-%dT%H:%MZ') ELSE CAST(day_on AS VARCHAR) END AS day_from,
    CASE WHEN is_hourly THEN strftime(ends_at, '%Y-%m-%dT%H:%MZ') ELSE CAST(day_on + 1 AS VARCHAR) END AS day_to,
    greatest(coalesce(partition_from, ''), day_from) AS shown_from,
    least(coalesce(partition_to, '~'), day_to) AS shown_to
  FROM results, days
  WHERE coalesce(partition_from, '') < day_to AND coalesce(partition_to, '~') > day_from
),
latest AS (
  SELECT * FROM of_day AS mine
  WHERE NOT EXISTS (
    SELECT 1 FROM of_day AS later
    WHERE later.day_on = mine.day_on AND later.check_name = mine.check_name AND later.table_name = mine.table_name
      AND later.shown_from <= mine.shown_from AND later.shown_to >= mine.shown_to
      AND (later.checked_at, later.run_id) > (mine.checked_at, mine.run_id)
  )
)
SELECT day_on, check_name, table_name, bool_and(is_passed) AS is_passed,
  coalesce(bool_or(severity = 'error') FILTER (NOT is_passed), false) AS is_error,
  count(*) FILTER (NOT is_passed) AS failed_result_count,
  CAST(sum(failed_count) FILTER (NOT is_passed) AS BIGINT) AS failed_count,
  arg_max(summary, (failed_count, checked_at)) FILTER (NOT is_passed) AS summary,
  min(partition_from) FILTER (NOT is_passed AND (partition_from < day_from OR partition_to > day_to)) AS wider_from,
  max(partition_to) FILTER (NOT is_passed AND (partition_from < day_from OR partition_to > day_to)) AS wider_to
FROM latest GROUP BY day_on, check_name, table_name
ORDER BY day_on, bool_and(is_passed), is_error DESC, check_name, table_name
