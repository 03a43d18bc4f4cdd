-- One row per cell of each bill of the month: the bill against the ledger
FROM mart.invoice_reconciliation WHERE billed_on >= $from_on AND billed_on < $to_on
ORDER BY invoice_issuer_name, billing_account_id, invoice_id, billing_period_start, charge_category, provider, model,
  region, service_tier, meter, unit
