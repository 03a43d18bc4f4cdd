-- One row per business day in a closed period
SELECT day_on, period
FROM (FROM ops.closed_periods WHERE reopened_at IS NULL) JOIN (SELECT unnest(CAST($days AS DATE[])) AS day_on) ON day_on >= closed_from AND day_on < closed_to
ORDER BY day_on, period
