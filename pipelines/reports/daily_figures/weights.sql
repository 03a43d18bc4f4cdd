-- One row per business day x model x chip whose weight in force lies outside of what the engines' counters say
SELECT accrued_on AS day_on, model, chip, estimated_weight, low_weight, high_weight, in_force_weight, in_force_from
FROM mart.prefill_weights WHERE accrued_on >= $from_on AND accrued_on < $to_on AND NOT is_in_force_within
ORDER BY ALL
