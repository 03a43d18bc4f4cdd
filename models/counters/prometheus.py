"""Running counters of vLLM and SGLang: text exposition with instants, or answers of Prometheus' query API.

A counter says how much was counted since the server started, so that two readings of one series tell what came in
between (`increases.py`); a gauge says how many requests an engine was working on when it was read. A line of text ends
with the instant of its reading in milliseconds, as `/federate` writes it. Only the metrics named here are read;
everything else, comments included, is passed over.
Source: vLLM `v1/metrics/loggers.py` and SGLang 0.5.23, checked 2026-11-20, https://github.com/vllm-project/vllm;
https://prometheus.io/docs/instrumenting/exposition_formats.
"""

import polars as pl

from models.exposition import FIELDS, SAMPLES
from models.records import MOST_TOKENS, Importer, first_reason, instant, record_number

METRICS = {
    "vllm:request_success_total": "request_count",
    "vllm:prompt_tokens_total": "input_tokens",
    "vllm:prompt_tokens_cached_total": "cache_read_tokens",
    "vllm:generation_tokens_total": "output_tokens",
    "vllm:num_requests_running": "running_count",
    "sglang:num_requests_total": "request_count",
    "sglang:prompt_tokens_total": "input_tokens",
    "sglang:cached_tokens_total": "cache_read_tokens",
    "sglang:generation_tokens_total": "output_tokens",
    "sglang:num_running_reqs": "running_count",
}
"""Metric -> what it counts. `prompt_tokens_total` includes cached tokens; by-source and prefix counters repeat it."""
_SPLITTING = r'(?:^|,)(?:cache_source|finished_reason)="(?:[^"\\]|\\.)*"'
"""Labels that part what one engine counts; its other labels name the engine."""
_REPLICA_LABELS = ("replica_id", "pod_uid", "uid", "pod", "pod_name", "kubernetes_pod_name", "instance")
"""Labels that may name the replica, the most telling first."""

_LABEL = r'[A-Za-z_][A-Za-z0-9_]*="(?:[^"\\]|\\.)*"'
_SELECT = f"""
WITH {SAMPLES}
SELECT line_number, is_sample AND sample.name = '' AS is_broken, NOT is_sample AS is_empty,
       sample.name AS counter, regexp_extract(sample.labels, 'model_name="((?:[^"\\\\]|\\\\.)*)"', 1) AS model,
       list_sort(regexp_extract_all(sample.labels, '{_LABEL}')) AS labels,
       sample.value AS value, CASE WHEN sample.at <> '' THEN {instant("sample.at")} END AS started_at
FROM texts
UNION ALL
SELECT line_number, is_broken, is_empty OR (NOT is_broken AND point IS NULL), labels['__name__'], labels['model_name'],
       list_sort(list_transform(list_filter(map_entries(labels), lambda e: e."key" <> '__name__'),
                                lambda e: e."key" || '=' || to_json(e."value")::VARCHAR)),
       point[2], {instant("point[1]")}
FROM points
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    number = pl.col("value").cast(pl.Float64, strict=False)
    is_count = number.is_between(0, MOST_TOKENS).fill_null(value=False)
    count = pl.when(is_count).then(number).round(0).cast(pl.Int64)
    is_broken = pl.col("is_broken").fill_null(value=False)
    is_empty = pl.col("is_empty").fill_null(value=False)
    metric = pl.coalesce(pl.col("counter"), pl.lit(""))
    is_read = metric.is_in(list(METRICS))
    labels = pl.col("labels").list.join(",")
    series = (pl.concat_str("counter", pl.lit("{"), labels, pl.lit("}"))).hash(seed=0).cast(pl.String)
    engine = labels.str.replace_all(_SPLITTING, "").str.strip_prefix(",").hash(seed=0).cast(pl.String)
    replica = pl.coalesce(labels.str.extract(rf'(?:^|,){name}="([^",\\]+)"') for name in _REPLICA_LABELS)
    at = pl.col("started_at").dt.epoch("us").cast(pl.String)
    return frame.with_columns(
        *first_reason(
            (is_broken, "wrong_shape", "it is no sample of a counter"),
            (
                metric == "",
                "missing_metric",
                "__name__: ask for the counters themselves, not for a sum of them",
            ),
            (~is_count, "bad_value", "value"),
            (
                pl.col("started_at").is_null(),
                "missing_read_at",
                "the instant of the reading, in milliseconds",
            ),
        ),
        *(
            pl.when(metric.is_in([name for name, what in METRICS.items() if what == column]))
            .then(count)
            .alias(column)
            for column in sorted({*METRICS.values()})
        ),
        record_number=record_number(),
        is_ignored=~is_broken & (is_empty | (~is_read & (metric != ""))),
        provider=pl.lit("self_hosted"),
        model=pl.when(pl.col("model") != "").then("model"),
        series=series,
        engine=engine,
        replica_id=replica,
        dedupe_key=pl.concat_str(series, pl.lit("|"), at),
    )


IMPORTER = Importer(
    kind="prometheus",
    table="raw.usage_counters",
    columns=dict.fromkeys(FIELDS, "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "text"),
    signature=(
        frozenset({"data.resultType", "data.result"}),
        frozenset({"metric.__name__=vllm:", "values"}),
        frozenset({"metric.__name__=sglang:", "values"}),
        *(
            frozenset({f"line={start}{system}:"})
            for system in ("vllm", "sglang")
            for start in ("", "# HELP ")
        ),
    ),
    rank=12,
)
