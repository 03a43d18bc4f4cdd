-- One row per earlier month and cause: why the month cost more or less
SELECT against_on, cause, sum(difference_usd)::DECIMAL(38,12) AS difference_usd
FROM mart.spend_variance WHERE month_on = $from_on
GROUP BY ALL HAVING sum(difference_usd) <> 0
ORDER BY against_on DESC, abs(sum(difference_usd)) DESC, cause
