"""Running counters of routers: Dynamo's frontend, llm-d's endpoint picker, SGLang's gateway, vLLM's router.

A router counts the calls that its engines count too, so that it is a source of its own, and both are held against the
logs. Of a scrape that holds engines' metrics beside them those are passed over. A histogram's sum is what it counted.
llm-d writes each count under two names (`inference_objective_*` is deprecated for `llm_d_epp_*`): where one reading has
both, the older is passed over. vLLM's router names no model.
Source: ai-dynamo/dynamo frontend metrics, kubernetes-sigs/gateway-api-inference-extension and llm-d endpoint picker
(`metrics.go`), scrapes of sglang-router 0.3.2 and vllm-router 0.1.17 that ran here, 2026-11-29.
"""

import polars as pl

from models.counters.prometheus import SELECT, canonical, metric_signs
from models.exposition import FIELDS
from models.records import Importer

_TOKENS = "smg_router_tokens_total"
_TYPES = {
    "input": "input_tokens",
    "prompt": "input_tokens",
    "output": "output_tokens",
    "completion": "output_tokens",
}
"""SGLang's gateway tells what it counts by the label `token_type`; what else it says is a part of these."""
METRICS = {
    "dynamo_frontend_requests_total": "request_count",
    "dynamo_frontend_input_sequence_tokens_sum": "input_tokens",
    "dynamo_frontend_cached_tokens_sum": "cache_read_tokens",
    "dynamo_frontend_output_sequence_tokens_sum": "output_tokens",
    "inference_objective_request_total": "request_count",
    "inference_objective_input_tokens_sum": "input_tokens",
    "inference_objective_prompt_cached_tokens_sum": "cache_read_tokens",
    "inference_objective_output_tokens_sum": "output_tokens",
    "inference_model_request_total": "request_count",
    "inference_model_input_tokens_sum": "input_tokens",
    "inference_model_output_tokens_sum": "output_tokens",
    "llm_d_epp_request_total": "request_count",
    "llm_d_epp_request_input_tokens_sum": "input_tokens",
    "llm_d_epp_request_cached_tokens_sum": "cache_read_tokens",
    "llm_d_epp_request_output_tokens_sum": "output_tokens",
    "smg_router_requests_total": "request_count",
    "vllm_router_requests_total": "request_count",
    **{f"{_TOKENS}:{kind}": what for kind, what in _TYPES.items()},
}


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    kind = pl.col("labels").list.join(",").str.extract(r'(?:^|,)token_type="([^"]*)"')
    is_typed = (pl.col("counter") == _TOKENS).fill_null(value=False)
    is_newer = pl.col("counter").str.starts_with("llm_d_epp_request_").any().over("started_at")
    is_older = pl.col("counter").str.contains("^inference_(?:objective|model)_").fill_null(value=False)
    named = pl.when(is_typed).then(pl.concat_str("counter", pl.lit(":"), kind)).otherwise("counter")
    counts = canonical(frame.with_columns(counter=pl.coalesce(named, "counter")), METRICS)
    return counts.with_columns(is_ignored=pl.col("is_ignored") | (is_older & is_newer))


IMPORTER = Importer(
    kind="router_metrics",
    table="raw.usage_counters",
    columns=dict.fromkeys(FIELDS, "VARCHAR"),
    select=SELECT,
    canonical=_canonical,
    formats=("jsonl", "text"),
    signature=metric_signs(
        (
            "dynamo_frontend_",
            "inference_objective_",
            "inference_model_",
            "llm_d_epp_",
            "smg_",
            "vllm_router_",
        ),
        is_answer=False,
    ),
    rank=12,
)
