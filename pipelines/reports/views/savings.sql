-- One row per change that would have saved money in the month of the period's last day
SELECT rank, change, saving_usd, month_usd, confidence, evidence, instead, kind FROM mart.savings
WHERE month_on = $month_on ORDER BY rank
