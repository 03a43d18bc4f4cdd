-- One row per business day x rule x where the weights of tokens are from: the requests whose serving dollars were split so
SELECT accrued_on AS day_on, allocation_rule, weights_from, count(*) AS request_count
FROM core.request_costs
WHERE accrued_on >= $from_on AND accrued_on < $to_on AND cost_basis = 'gpu' AND is_first_accrual AND allocation_rule IS NOT NULL
GROUP BY ALL ORDER BY day_on, request_count DESC, allocation_rule, weights_from
