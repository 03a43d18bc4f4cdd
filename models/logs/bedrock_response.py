"""Response bodies of Amazon Bedrock's InvokeModel and Converse, with the response headers beside.

Bodies name no request and often no count: `headers` gives `x-amzn-requestid` and the token counts. The time is read
beside (`started_at`), and so is the model (`requested_model`) where the body has none. A line of batch results holds
the body in `modelOutput`, has the tier `batch` and no time.
Source: botocore 1.44 bedrock-runtime, recorded responses.
"""

import polars as pl

from models.logs.bedrock_shape import COUNTS, COUNTS_SQL, LATENCY, LISTS, RULE, SECONDS, TIER, tier_of
from models.logs.cache_writes import split_writes
from models.logs.response_format import Paths, ResponseFormat
from models.logs.responses import response_importer

_HEADERS: Paths = {
    name: (*COUNTS[name], f'$.headers."x-amzn-bedrock-{header}-token-count"')
    for name, header in (
        ("prompt", "input"),
        ("completion", "output"),
        ("cache_read", "cache-read-input"),
        ("written", "cache-write-input"),
    )
}


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_optimized = tier_of(pl.col("tier"), pl.col("latency")) == "optimized"
    return split_writes(frame).with_columns(
        tier=pl.when(is_optimized).then(pl.lit("optimized")).otherwise("tier")
    )


IMPORTER = response_importer(
    ResponseFormat(
        kind="bedrock_response",
        provider="aws.bedrock",
        fields={
            "response_id": ('$.headers."x-amzn-requestid"', "$.id"),
            "model": ("$.model",),
            "created": ("$.created",),
            "tier": (*TIER, '$.headers."x-amzn-bedrock-service-tier"'),
            "latency": (*LATENCY, '$.headers."x-amzn-bedrock-performanceconfig-latency"'),
            "batch_key": ("$.recordId",),
        },
        counts={**COUNTS, **_HEADERS},
        counts_sql=COUNTS_SQL,
        lists=LISTS,
        seconds=SECONDS,
        seconds_scale=1000,
        first_token_after=("first",),
        finished_after=("total",),
        nested={"response": "$", "modelOutput": "$"},
        beside=("headers", "recordId"),
        rule=RULE,
        # Ids like AI21's 1234 are no ids.
        id_pattern="^(msg_|chatcmpl-)|^[0-9a-f]{8}-[0-9a-f]{4}-",
        tiers={"standard": "default"},
        amend=_amend,
        signature=(
            frozenset({"usage.inputTokens", "stopReason"}),
            frozenset({"inputTextTokenCount", "results"}),
            frozenset({"generation_token_count", "prompt_token_count"}),
            frozenset({"amazon-bedrock-invocationMetrics"}),
            frozenset({"recordId", "modelInput"}),
        ),
        rank=54,
    )
)
