-- One row per thing that the close leaves open, with what it is worth where that is known
SELECT 'usage without a price' AS point, concat_ws(' ', provider, model) AS subject,
  NULL::DECIMAL(38,12) AS usd, sum(unpriced_tokens)::BIGINT AS tokens, 'add its price, and reprice' AS remedy
FROM mart.spend_daily
WHERE accrued_on >= $from_on AND accrued_on < $to_on AND unpriced_tokens > 0 GROUP BY ALL
UNION ALL
SELECT 'no bill yet', invoice_issuer_name, sum(accrued_usd)::DECIMAL(38,12), NULL, 'trued up in the month in which the bill comes'
FROM mart.accruals_monthly WHERE month_on = $from_on
GROUP BY ALL HAVING sum(bill_count) = 0 AND sum(accrued_usd) <> 0
UNION ALL
SELECT 'bill without an exchange rate', invoice_issuer_name, NULL, NULL, 'add the rate to fx.csv'
FROM mart.accruals_monthly WHERE month_on = $from_on AND unknown_count > 0 GROUP BY ALL
UNION ALL
SELECT 'difference that nothing explains', invoice_issuer_name, sum(unexplained_usd)::DECIMAL(38,12), NULL,
  'see reconciliation.csv'
FROM mart.accruals_monthly WHERE booked_on = $from_on GROUP BY ALL HAVING sum(unexplained_usd) <> 0
UNION ALL
SELECT CASE rule WHEN 'unattributed' THEN 'usage of unknown callers' ELSE 'cost that nobody pays' END, cost_kind,
  sum(usd)::DECIMAL(38,12), NULL, 'add a rule to chargeback.yml'
FROM mart.chargeback_monthly WHERE month_on = $from_on AND payer IS NULL GROUP BY ALL HAVING sum(usd) <> 0
UNION ALL
SELECT CASE WHEN any_value(status) = 'disputed' THEN 'statement disputed' ELSE 'statement not signed' END, payer,
  sum(usd)::DECIMAL(38,12), NULL, 'signoffs.yml'
FROM mart.chargeback_monthly
WHERE month_on = $from_on AND payer IS NOT NULL AND status IN ('showback', 'disputed') GROUP BY payer
UNION ALL
SELECT 'cost without an account', cost_kind, sum(usd)::DECIMAL(38,12), NULL, 'add an account to journal.yml'
FROM mart.chargeback_monthly
WHERE month_on = $from_on AND EXISTS (FROM ref.journal_accounts)
  AND cost_kind NOT IN (SELECT cost_kind FROM ref.journal_accounts WHERE side = 'debit' AND cost_kind IS NOT NULL)
  AND NOT EXISTS (FROM ref.journal_accounts WHERE side = 'debit' AND cost_kind IS NULL)
GROUP BY ALL
ORDER BY ALL
