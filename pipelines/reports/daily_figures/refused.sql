-- One row per business day x file with records that could not be used and may be of the day, and that ops.coverage leaves out
--
-- A record that could not be used has no instant: it may be of any day on which its file has others, and where the file
-- has none, of any day before the file came. What ops.coverage counts are files of which an attempt of the day is.
WITH days AS (
  SELECT unnest(CAST($days AS DATE[])) AS day_on, unnest(CAST($starts_at AS TIMESTAMPTZ[])) AS starts_at,
    unnest(CAST($ends_at AS TIMESTAMPTZ[])) AS ends_at
)
SELECT day_on, f.file_hash, f.source, f.quarantined_count
FROM ops.landed_files f, days
WHERE f.quarantined_count > 0
  AND CASE WHEN f.first_at IS NULL THEN f.landed_at >= starts_at ELSE f.first_at < ends_at AND f.last_at >= starts_at END
  AND (f.first_at IS NULL
    OR NOT EXISTS (SELECT 1 FROM ops.coverage c WHERE c.accrued_on = day_on AND c.source = f.source))
ORDER BY day_on, f.source, f.file_hash
