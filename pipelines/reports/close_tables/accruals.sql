-- One row per issuer and booking: what was accrued for the month, and what earlier months book in it
FROM mart.accruals_monthly WHERE month_on = $from_on OR booked_on = $from_on
ORDER BY month_on, booked_on, invoice_issuer_name
