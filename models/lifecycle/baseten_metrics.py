"""Replicas in the metrics that Baseten exports (`https://app.baseten.co/metrics`): how many are active, and starting.

The same scrape is a counter of calls (`prometheus`), which is what a file is taken for where no kind is stated. A line
of text ends with the instant of its reading in milliseconds, as `/federate` writes it. The accelerator is not told:
state it in the source (`columns = {chip = {value = "H100"}}`), or land polls of deployments (`baseten_deployment`).
Source: docs.baseten.co/observability/export-metrics/supported-metrics, read 2026-11-29.
"""

from models.exposition import FIELDS, SAMPLES
from models.lifecycle.objects import count_importer

_PAIR = r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"'
_AT_ONCE = "PARTITION BY labels['deployment_id'], read_at"
_SOURCE = f"""(
  WITH {SAMPLES},
  readings AS (
    SELECT line_number, sample.name AS metric, sample.value AS value, nullif(sample.at, '') AS read_at,
           map(regexp_extract_all(sample.labels, '{_PAIR}', 1),
               regexp_extract_all(sample.labels, '{_PAIR}', 2)) AS labels
    FROM texts
    UNION ALL
    SELECT line_number, labels['__name__'], point[2], point[1], labels FROM points
  )
  SELECT *, max(CASE WHEN metric = 'baseten_replicas_starting' THEN TRY_CAST(value AS DOUBLE) END) OVER ({_AT_ONCE})
           AS starting
  FROM readings
)"""

IMPORTER = count_importer(
    "baseten_metrics",
    columns=dict.fromkeys(FIELDS, "VARCHAR"),
    facts={
        "deployment": "labels['deployment_id']",
        "model": "nullif(labels['model_name'], '')",
        "provider": "'baseten'",
    },
    source=_SOURCE,
    observed_at="read_at",
    ready="value",
    starting="starting",
    ignored="coalesce(metric, '') <> 'baseten_replicas_active'",
    signature=(),
    formats=("jsonl", "text"),
)
