-- One row per burst of cold starts that began on the business day, the dearest first
SELECT started_on AS day_on, burst_id, provider, region, chip, deployment, onset_at, ended_at, start_count, expected_count,
  burst_usd, delayed_request_count, abandoned_request_count, delayed_user_count, added_seconds, cause, evidence,
  cure_replica_count, cure_usd_per_day, cure_keep_warm_seconds, cure_keep_warm_usd_per_day, is_history_short
FROM mart.cold_start_bursts WHERE started_on >= $from_on AND started_on < $to_on
ORDER BY started_on, burst_usd DESC NULLS LAST, onset_at, burst_id
