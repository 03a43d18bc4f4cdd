-- One row per business day x model x chip x half hour of one engine: the sums that mart.prefill_weights is fitted to
--
-- An interval lies between the last whole scrapes of an engine in two minutes, at most five minutes apart. It counts
-- where the engine worked on a request at each scrape, no counter fell (a restart), and at least half as many requests
-- ran as on average that day. An engine's chip is that of its replica, else the only chip of that day's pools of its
-- model.
WITH readings AS (
  -- A reading that was delivered twice is one.
  SELECT source, engine, series, started_at, max(model) AS model, max(replica_id) AS replica_id,
    max(input_tokens) AS input_tokens, max(cache_read_tokens) AS cache_read_tokens, max(output_tokens) AS output_tokens,
    max(running_count) AS running_count
  FROM raw.usage_counters
  WHERE engine IS NOT NULL AND request_count IS NULL AND started_at >= $start - INTERVAL 10 MINUTE AND started_at < $end
  GROUP BY ALL
),
scrapes AS (
  SELECT source, engine, started_at, max(model) AS model, max(replica_id) AS replica_id,
    sum(input_tokens) - sum(cache_read_tokens) AS prefilled, sum(cache_read_tokens) AS cached,
    sum(output_tokens) AS decoded, sum(running_count) AS running
  FROM readings GROUP BY ALL
  HAVING prefilled IS NOT NULL AND decoded IS NOT NULL AND running IS NOT NULL AND max(model) IS NOT NULL
),
minutes AS (
  SELECT source, engine, date_trunc('minute', started_at) AS minute, max(model) AS model,
    max(replica_id) AS replica_id, max(started_at) AS read_at, arg_max(prefilled, started_at) AS prefilled,
    arg_max(cached, started_at) AS cached, arg_max(decoded, started_at) AS decoded,
    arg_max(running, started_at) AS last_running, min(running) AS least_running, avg(running) AS mean_running
  FROM scrapes GROUP BY source, engine, minute
),
intervals AS (
  SELECT source, engine, model, replica_id, read_at, mean_running,
    CAST(read_at AT TIME ZONE $zone AS DATE) AS accrued_on,
    epoch(read_at - lag(read_at) OVER line) AS seconds,
    CAST(prefilled - lag(prefilled) OVER line AS DOUBLE) AS prefilled,
    CAST(decoded - lag(decoded) OVER line AS DOUBLE) AS decoded,
    cached - lag(cached) OVER line AS cached,
    least(least_running, lag(last_running) OVER line) AS least_running
  FROM minutes WINDOW line AS (PARTITION BY source, engine ORDER BY minute)
),
busy AS (
  SELECT *, mean_running >= avg(mean_running) OVER (PARTITION BY source, engine, accrued_on) / 2 AS is_at_load
  FROM intervals
  WHERE read_at >= $start AND seconds <= 300 AND prefilled >= 0 AND cached >= 0 AND decoded >= 0 AND least_running > 0
),
replica_chips AS (
  SELECT replica_id, min(chip) AS chip FROM core.replica_events
  WHERE chip IS NOT NULL GROUP BY replica_id HAVING count(DISTINCT chip) = 1
),
model_chips AS (
  SELECT accrued_on, lower(model) AS name, min(chip) AS chip FROM core.pool_hours
  WHERE model IS NOT NULL GROUP BY ALL HAVING count(DISTINCT chip) = 1
)
SELECT busy.accrued_on, model, coalesce(r.chip, m.chip) AS chip, source, engine,
  time_bucket(INTERVAL '30 minutes', read_at) AS block, count(*) AS interval_count, sum(seconds) AS seconds,
  sum(prefilled) AS prefilled, sum(decoded) AS decoded,
  sum(prefilled * prefilled / seconds) AS prefilled_squared, sum(decoded * decoded / seconds) AS decoded_squared,
  sum(prefilled * decoded / seconds) AS product
FROM busy
LEFT JOIN replica_chips r ON r.replica_id = busy.replica_id
LEFT JOIN model_chips m ON m.name = lower(busy.model) AND m.accrued_on = busy.accrued_on
WHERE is_at_load
GROUP BY ALL ORDER BY ALL
