-- One row per business day x meter of charges without a request
SELECT accrued_on AS day_on, meter, sum(effective_usd) AS usd, count(*) FILTER (effective_usd IS NULL) AS unpriced_count
FROM core.other_charges WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY ALL ORDER BY ALL
