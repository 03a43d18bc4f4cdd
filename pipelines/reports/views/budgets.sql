-- One row per budget in the month of the period's last day
SELECT budget, budget_usd, month_to_date_usd, spent_usd, remaining_usd, projected_usd, run_out_on::VARCHAR AS run_out_on,
  as_of_on::VARCHAR AS as_of_on
FROM mart.budget_status WHERE month_on = $month_on ORDER BY budget
