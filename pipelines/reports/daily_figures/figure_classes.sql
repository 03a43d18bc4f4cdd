SELECT accrued_on AS day_on, coalesce(figure_class, 'not known') AS figure_class, sum(usd) AS usd
FROM mart.spend_daily
WHERE accrued_on >= $from_on AND accrued_on < $to_on AND usd <> 0
GROUP BY ALL
ORDER BY day_on, usd DESC, figure_class
