"""Running counters of inference servers and of Baseten: text exposition with instants, or answers of Prometheus' API.

A counter says how much was counted since the server started, so that two readings of one series tell what came in
between (`increases.py`); a gauge says how many requests an engine was working on when it was read. A line of text ends
with the instant of its reading in milliseconds, as `/federate` writes it. Only the metrics named here are read;
everything else, comments included, is passed over.

Where prefill and decode run apart, both engines count a call and its prompt: of an engine that labels name as one of
prefill only the gauge is read, and the call is counted where it is decoded.
Source: vLLM `v1/metrics/loggers.py`, SGLang 0.5.23, text-generation-inference `router/src/server.rs`, Triton's metrics
documentation, Baseten's metrics support matrix, checked 2026-11-29;
https://prometheus.io/docs/instrumenting/exposition_formats.
"""

from collections.abc import Mapping

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
    "tgi_request_success": "request_count",
    "tgi_request_input_length_sum": "input_tokens",
    "tgi_request_generated_tokens_sum": "output_tokens",
    "tgi_batch_current_size": "running_count",
    "nv_inference_request_success": "request_count",
    "baseten_inference_requests_total": "request_count",
    "baseten_llm_input_tokens_total": "input_tokens",
    "baseten_llm_output_tokens_total": "output_tokens",
    "baseten_concurrent_requests": "running_count",
}
"""Metric -> what it counts. `prompt_tokens_total` includes cached tokens; by-source and prefix counters repeat it. TGI
names no model; Triton counts no tokens."""
_SPLITTING = r'(?:^|,)(?:cache_source|finished_reason|status_code|is_async)="(?:[^"\\]|\\.)*"'
"""Labels that part what one engine counts; its other labels name the engine."""
_PREFILL = (
    r"(?:^|,)(?:role|llm_d_ai_role|engine_type|dynamo_component|disaggregation_mode|worker_type|pd_role)="
    r'"(?:[^"\\]*[^a-z"\\])?prefill(?:[^a-z"\\][^"\\]*)?"'
)
"""Labels that name an engine as one of prefill: llm-d, SGLang, Dynamo, the production stack."""
_REPLICA_LABELS = ("replica_id", "pod_uid", "uid", "pod", "pod_name", "kubernetes_pod_name", "instance")
"""Labels that may name the replica, the most telling first."""

_LABEL = r'[A-Za-z_][A-Za-z0-9_]*="(?:[^"\\]|\\.)*"'
SELECT = f"""
WITH {SAMPLES}
SELECT line_number, is_sample AND sample.name = '' AS is_broken, NOT is_sample AS is_empty,
       sample.name AS counter,
       regexp_extract(sample.labels, '(?:^|,)(?:model_name|model)="((?:[^"\\\\]|\\\\.)*)"', 1) AS model,
       list_sort(regexp_extract_all(sample.labels, '{_LABEL}')) AS labels,
       sample.value AS value, CASE WHEN sample.at <> '' THEN {instant("sample.at")} END AS started_at
FROM texts
UNION ALL
SELECT line_number, is_broken, is_empty OR (NOT is_broken AND point IS NULL), labels['__name__'],
       coalesce(labels['model_name'], labels['model']),
       list_sort(list_transform(list_filter(map_entries(labels), lambda e: e."key" <> '__name__'),
                                lambda e: e."key" || '=' || to_json(e."value")::VARCHAR)),
       point[2], {instant("point[1]")}
FROM points
"""


def canonical(frame: pl.LazyFrame, metrics: Mapping[str, str]) -> pl.LazyFrame:
    """Complete samples of counters.

    Args:
        frame: rows of SELECT.
        metrics: metric -> what it counts: a column of raw.usage_counters.
    """
    number = pl.col("value").cast(pl.Float64, strict=False)
    is_count = number.is_between(0, MOST_TOKENS).fill_null(value=False)
    count = pl.when(is_count).then(number).round(0).cast(pl.Int64)
    is_broken = pl.col("is_broken").fill_null(value=False)
    is_empty = pl.col("is_empty").fill_null(value=False)
    metric = pl.coalesce(pl.col("counter"), pl.lit(""))
    is_read = metric.is_in(list(metrics))
    labels = pl.col("labels").list.join(",")
    series = (pl.concat_str("counter", pl.lit("{"), labels, pl.lit("}"))).hash(seed=0).cast(pl.String)
    engine = labels.str.replace_all(_SPLITTING, "").str.strip_prefix(",").hash(seed=0).cast(pl.String)
    gauges = [name for name, what in metrics.items() if what == "running_count"]
    # The engine that decodes counts the call.
    is_prefill = labels.str.contains(_PREFILL).fill_null(value=False) & ~metric.is_in(gauges)
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
            pl.when(metric.is_in([name for name, what in metrics.items() if what == column]))
            .then(count)
            .alias(column)
            for column in sorted({*metrics.values()})
        ),
        record_number=record_number(),
        is_ignored=~is_broken & (is_empty | (~is_read & (metric != "")) | is_prefill),
        provider=pl.when(metric.str.starts_with("baseten_"))
        .then(pl.lit("baseten"))
        .otherwise(pl.lit("self_hosted")),
        model=pl.when(pl.col("model") != "").then("model"),
        series=series,
        engine=engine,
        replica_id=replica,
        dedupe_key=pl.concat_str(series, pl.lit("|"), at),
    )


def metric_signs(starts: tuple[str, ...], *, is_answer: bool) -> tuple[frozenset[str], ...]:
    """Return what tells a scrape whose metrics start so, as text or as one series.

    Args:
        starts: how names start.
        is_answer: whether a whole answer of the query API is told too, whatever its metrics.
    """
    answer = (frozenset({"data.resultType", "data.result"}),) if is_answer else ()
    series = (
        frozenset({f"metric.__name__={start}", values}) for start in starts for values in ("values", "value")
    )
    text = (frozenset({f"line={before}{start}"}) for start in starts for before in ("", "# HELP "))
    return (*answer, *series, *text)


IMPORTER = Importer(
    kind="prometheus",
    table="raw.usage_counters",
    columns=dict.fromkeys(FIELDS, "VARCHAR"),
    select=SELECT,
    canonical=lambda frame: canonical(frame, METRICS),
    formats=("jsonl", "text"),
    signature=metric_signs(("vllm:", "sglang:", "tgi_", "nv_inference_", "baseten_"), is_answer=True),
    rank=12,
)
