-- One row: what the month of the period's last day had cost by its end
SELECT sum(usd)::DECIMAL(38,12) AS usd FROM (
  SELECT usd FROM mart.spend_daily WHERE accrued_on >= $month_on AND accrued_on < $to_on
  UNION ALL
  SELECT difference_usd FROM core.adjustments WHERE booked_on >= $month_on AND booked_on < $to_on
)
