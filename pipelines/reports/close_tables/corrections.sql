-- One row per correction of a closed month that is booked in this one
FROM core.adjustments WHERE booked_on >= $from_on AND booked_on < $to_on
ORDER BY booked_on, accrued_on, adjustment_id
