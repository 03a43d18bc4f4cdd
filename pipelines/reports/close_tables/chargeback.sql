-- One row per payer, kind of cost and rule: they sum to the month's bill
FROM mart.chargeback_monthly WHERE month_on = $from_on
ORDER BY payer, tenant, team, cost_centre, cost_kind, rule
