-- One row: when what the period shows was last computed
SELECT max(loaded_at) AS loaded_at FROM ops.partitions
WHERE table_name IN ('mart.spend_daily', 'mart.savings', 'mart.budget_status')
  AND try_cast(partition_key AS DATE) >= $month_on AND try_cast(partition_key AS DATE) < $to_on
