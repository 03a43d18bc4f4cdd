"""SQL that reads samples of metrics: lines of a text exposition, or answers of Prometheus' query API.

Source: https://prometheus.io/docs/instrumenting/exposition_formats, https://prometheus.io/docs/prometheus/latest/querying/api.
"""

_SAMPLE = r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+(\S+))?\s*$"
_SERIES = '[{"metric": "JSON", "values": "JSON", "value": "JSON"}]'
FIELDS = ("line", "data", "metric", "values", "value")
"""Top-level fields of a record, as texts: a line, an answer, or one series of an answer."""
SAMPLES = f"""texts AS NOT MATERIALIZED (
  SELECT line_number, regexp_extract(line, '{_SAMPLE}', ['name', 'labels', 'value', 'at']) AS sample,
         line IS NOT NULL AND NOT regexp_matches(line, '^\\s*#') AS is_sample
  FROM records WHERE line IS NOT NULL
),
answers AS NOT MATERIALIZED (
  SELECT line_number, TRY(json_extract_string(data, '$.resultType')) AS result_type,
         CASE WHEN data IS NOT NULL THEN TRY(from_json(data->'$.result', '{_SERIES}'))
              ELSE [{{'metric': TRY(metric::JSON), 'values': TRY("values"::JSON), 'value': TRY("value"::JSON)}}]
         END AS listed
  FROM records WHERE line IS NULL
),
series AS NOT MATERIALIZED (
  SELECT line_number, listed IS NULL AS is_broken, coalesce(len(listed), 0) = 0 AS is_empty,
         unnest(CASE WHEN len(listed) > 0 THEN listed ELSE [NULL] END) AS s
  FROM answers
),
labelled AS NOT MATERIALIZED (
  SELECT line_number, is_broken, is_empty, TRY(from_json(s.metric, '"MAP(VARCHAR, VARCHAR)"')) AS labels,
         CASE WHEN s."values" IS NOT NULL THEN TRY(from_json(s."values", '[["VARCHAR"]]'))
              WHEN s."value" IS NOT NULL THEN [TRY(from_json(s."value", '["VARCHAR"]'))] END AS read
  FROM series
),
points AS NOT MATERIALIZED (
  SELECT line_number, is_broken OR (NOT is_empty AND (labels IS NULL OR read IS NULL)) AS is_broken, is_empty, labels,
         unnest(CASE WHEN len(read) > 0 THEN read ELSE [NULL] END) AS point
  FROM labelled
)"""
"""Two relations of a WITH: `texts`, a row per line (`line_number, sample` of `name, labels, value, at` as texts,
`is_sample`: it is no comment), and `points`, a row per value of an answer (`line_number, is_broken, is_empty`, `labels`
as a map that has the name as `__name__`, and `point`, the instant and the value)."""
