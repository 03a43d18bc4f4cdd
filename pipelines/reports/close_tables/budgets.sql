-- One row per budget that holds in the month
SELECT * EXCLUDE (thresholds_percent, reached_on) FROM mart.budget_status WHERE month_on = $from_on ORDER BY budget
