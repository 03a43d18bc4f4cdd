"""Bedrock's invocation log: the published example, and records of every operation worked by hand."""

import gzip
import json
import re
from typing import Any

import polars as pl
import pytest

from tests.models.logs.reading import read_one, read_records, shared, tokens_of
from tests.pipelines.landing.test_fuzz import land_alone

KIND = "bedrock_invocation_log"
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"


def record(
    body: Any = None, *, counts: dict[str, int] | None = None, written: int | None = 300, **changes: Any
) -> Any:
    """Return a record: by default 120 fresh and 4,000 read from the cache, 300 out."""
    output: dict[str, Any] = {"outputContentType": "application/json"}
    if written is not None:
        output["outputTokenCount"] = written
    if body is not None:
        output["outputBodyJson"] = body
    known = {"inputTokenCount": 120, "cacheReadInputTokenCount": 4000} if counts is None else counts
    return {
        "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": "2026-11-02T09:00:00Z",
        "accountId": "111122223333", "identity": {"arn": "arn:aws:sts::111122223333:assumed-role/chat-app/s1"},
        "region": "us-east-1", "requestId": "11111111-2222-4333-8444-555555555555", "operation": "Converse",
        "modelId": f"us.{HAIKU}", "input": {"inputContentType": "application/json", **known}, "output": output,
    } | changes  # fmt: skip


CONVERSE = {
    "stopReason": "end_turn", "metrics": {"latencyMs": 2100}, "serviceTier": {"type": "flex"},
    "usage": {"inputTokens": 120, "outputTokens": 300, "totalTokens": 4920, "cacheReadInputTokens": 4000,
              "cacheWriteInputTokens": 500, "cacheDetails": [{"ttl": "5m", "inputTokens": 200},
                                                            {"ttl": "1h", "inputTokens": 300}]},
}  # fmt: skip
WRITES = {"inputTokenCount": 120, "cacheReadInputTokenCount": 4000, "cacheWriteInputTokenCount": 500}
METRICS = {
    "inputTokenCount": 3, "outputTokenCount": 40, "invocationLatency": 1500, "firstByteLatency": 250,
    "cacheReadInputTokenCount": 0, "cacheWriteInputTokenCount": 25000,
}  # fmt: skip
STREAM = [
    {"type": "message_start", "message": {"model": "claude-haiku-4-5", "usage": {
        "input_tokens": 3, "cache_creation_input_tokens": 25000, "cache_read_input_tokens": 0, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 20000, "ephemeral_1h_input_tokens": 5000}}}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "zebra"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 40}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
]  # fmt: skip

BY_HAND = [
    # The log's own counts: three disjoint inputs.
    ("counts alone", record(), {"input_uncached": 120, "cache_read": 4000, "output_text": 300}),
    # 500 written, of no stated lifetime: five minutes.
    ("writes without a lifetime", record(counts=WRITES),
     {"input_uncached": 120, "cache_read": 4000, "cache_write_5m": 500, "output_text": 300}),
    # Converse states both lifetimes: 200 and 300.
    ("Converse", record(CONVERSE, counts=WRITES),
     {"input_uncached": 120, "cache_read": 4000, "cache_write_5m": 200, "cache_write_1h": 300, "output_text": 300}),
    # A stream: the last event's counts, the first event's lifetimes; one output token of its start is not final.
    ("a stream of Claude", record(STREAM, operation="InvokeModelWithResponseStream", written=40, counts={
        "inputTokenCount": 3, "cacheReadInputTokenCount": 0, "cacheWriteInputTokenCount": 25000}),
     {"input_uncached": 3, "cache_write_5m": 20000, "cache_write_1h": 5000, "output_text": 40}),
    # No counts in the log: the body's.
    ("the body alone", record(CONVERSE, counts={}, written=None),
     {"input_uncached": 120, "cache_read": 4000, "cache_write_5m": 200, "cache_write_1h": 300, "output_text": 300}),
    # Claude by InvokeModel tells its thinking: 300 out, 100 of them thought.
    ("thinking", record({"usage": {"input_tokens": 120, "cache_read_input_tokens": 4000, "output_tokens": 300,
                                   "output_tokens_details": {"thinking_tokens": 100}}}, operation="InvokeModel"),
     {"input_uncached": 120, "cache_read": 4000, "output_text": 200, "reasoning": 100}),
    ("Llama", record({"generation": "zebra", "prompt_token_count": 15, "generation_token_count": 12},
                     counts={}, written=None), {"input_uncached": 15, "output_text": 12}),
    ("Titan", record({"inputTextTokenCount": 28, "results": [{"tokenCount": 197, "outputText": "zebra"}]},
                     counts={}, written=None), {"input_uncached": 28, "output_text": 197}),
    ("an embedding", record({"embedding": [0.5]}, counts={"inputTokenCount": 8}, written=None,
                            modelId="amazon.titan-embed-text-v2:0"), {"input_uncached": 8}),
]  # fmt: skip


@pytest.mark.parametrize(("one", "tokens"), [pytest.param(*case[1:], id=case[0]) for case in BY_HAND])
def test_a_record_has_the_classes_worked_by_hand(one: dict[str, Any], tokens: dict[str, int]) -> None:
    row = read_one(KIND, one)

    assert tokens_of(row) == tokens
    assert row["usage_source"] == "provider"


def test_the_published_example_has_its_tokens() -> None:
    text = shared("log-bedrock-invocation/model_invocation_log_example.json.txt").read_text()
    # The page leaves the values of a caller's own metadata open.
    text = re.sub(
        r'"requestMetadata": \{.*?\}', '"requestMetadata": {"team": "search"}', text, flags=re.DOTALL
    )
    example = json.loads(text) | {"timestamp": "2026-11-02T09:00:00Z"}

    row = read_one(KIND, example)

    assert tokens_of(row) == {"input_uncached": 15, "output_text": 12}
    assert (row["request_id"], dict(row["tags"])) == ("<requestId>", {"team": "search"})


def test_times_tier_caller_region_and_tags_are_read() -> None:
    given = {"app": "x", "letter": "Dear"}
    row = read_one(KIND, record(CONVERSE, counts=WRITES, inferenceRegion="us-west-2", requestMetadata=given))

    assert row["started_at"].isoformat() == "2026-11-02T09:00:00+00:00"
    assert row["finished_at"].isoformat() == "2026-11-02T09:00:02.100000+00:00"
    assert (row["service_tier"], row["region"], row["tenant"]) == ("flex", "us-east-1", "111122223333")
    assert (row["team"], row["user_id"]) == ("chat-app", "s1")
    assert dict(row["tags"]) == {"app": "x", "inference_region": "us-west-2"}
    assert read_one(KIND, record(counts=WRITES))["tags"] == {"cache_write_split": "assumed"}


def test_optimized_latency_chooses_the_price_wherever_it_stands() -> None:
    # docs.aws.amazon.com/bedrock/latest/userguide/latency-optimized-inference.html
    optimized = {"performanceConfig": {"latency": "optimized"}}
    converse = {
        "usage": {"inputTokens": 9, "outputTokens": 1, "totalTokens": 10},
        "stopReason": "end_turn",
    } | optimized

    assert read_one(KIND, record(**optimized))["service_tier"] == "optimized"
    assert read_one(KIND, record(converse, counts={}, written=None))["service_tier"] == "optimized"
    envelope = {"started_at": "2026-11-02T09:00:00Z", "requested_model": HAIKU, "response": converse}
    assert read_one("bedrock_response", envelope)["service_tier"] == "optimized"


def test_of_a_stream_the_first_byte_is_the_first_token() -> None:
    row = read_one(KIND, record(STREAM, counts={}, written=None))

    assert row["first_token_at"].isoformat() == "2026-11-02T09:00:00.250000+00:00"
    assert row["finished_at"].isoformat() == "2026-11-02T09:00:01.500000+00:00"


@pytest.mark.parametrize(
    ("model_id", "served", "tier"),
    [
        (HAIKU, HAIKU, "default"),
        (f"us.{HAIKU}", f"us.{HAIKU}", "default"),
        (f"global.{HAIKU}", f"global.{HAIKU}", "default"),
        (f"arn:aws:bedrock:us-east-1:1:inference-profile/eu.{HAIKU}", f"eu.{HAIKU}", "default"),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{HAIKU}", HAIKU, "default"),
        ("arn:aws:bedrock:us-east-1:1:provisioned-model/abc", "arn:aws:bedrock:us-east-1:1:provisioned-model/abc",
         "provisioned"),
        ("arn:aws:bedrock:us-east-1:1:imported-model/abc", "arn:aws:bedrock:us-east-1:1:imported-model/abc",
         "provisioned"),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
         "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "default"),
    ],
)  # fmt: skip
def test_the_served_model_is_what_an_id_or_a_profile_names_and_hourly_models_are_provisioned(
    model_id: str, served: str, tier: str
) -> None:
    row = read_one(KIND, record(modelId=model_id))

    assert (row["route"], row["served_model"], row["service_tier"]) == (model_id, served, tier)


def test_a_throttled_call_is_an_error_without_usage_and_one_cut_short_is_missing() -> None:
    throttled = read_one(KIND, record(counts={}, written=None, errorCode="ThrottlingException"))
    cut = read_one(KIND, record(written=None))

    assert (throttled["status"], throttled["error_class"], throttled["usage_source"]) == (
        "error", "ThrottlingException", "missing")  # fmt: skip
    assert (cut["usage_source"], cut["input_uncached_tokens"]) == ("missing", 120)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (record(schemaType="Other"), "unknown_shape"),
        (record(requestId=None), "missing_request_id"),
        (record(timestamp=None), "missing_started_at"),
        (record(timestamp="soon"), "bad_value"),
        (record(counts={"inputTokenCount": -1}), "negative_tokens"),
        (record(counts={"inputTokenCount": 1.5}), "bad_value"),
        (record({"usage": {"totalTokens": 9}}), "tokens_do_not_add_up"),
        (
            record({"usage": {"cacheDetails": [{"ttl": "1h", "inputTokens": 900}]}}, counts=WRITES),
            "negative_tokens",
        ),
        (record("zebra"), "bad_value"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(one: dict[str, Any], reason: str) -> None:
    rows = read_records(KIND, [one])

    assert rows["quarantine_reason"].to_list() == [reason]
    assert "zebra" not in rows.write_json()


def test_a_packed_file_of_a_bucket_lands_whole_and_says_what_it_summed_to() -> None:
    lines = [json.dumps(one | {"requestId": f"r-{n}"}) for n, (_, one, _) in enumerate(BY_HAND)]

    usable = land_alone(KIND, gzip.compress("\n".join(lines).encode(), mtime=0)).usable

    assert usable.height == len(BY_HAND)
    assert usable["cache_read_tokens"].sum() == 5 * 4000
    assert usable["cache_write_1h_tokens"].sum() == 300 + 5000 + 300
    assert usable.filter(pl.col("operation") == "embedding")["input_uncached_tokens"].to_list() == [8]
    assert "zebra" not in usable.write_json()


def test_bytes_that_are_no_text_refuse_their_record_and_no_other_of_the_same_wrapping() -> None:
    messages = [
        json.dumps(record(requestId=f"r-{n}", accountId=f"Zoe {n}"), ensure_ascii=False) for n in range(3)
    ]
    wrapped = json.dumps(
        {"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "message": m} for m in messages]}
    )

    outcome = land_alone(KIND, wrapped.replace("Zoe 1", "Zo\xeb 1").encode("latin-1"))

    assert outcome.usable["request_id"].to_list() == ["r-0", "r-2"]
    assert outcome.bad.select("line_number", "reason").rows() == [(2, "wrong_encoding")]


def test_an_identity_that_is_no_json_leaves_the_others_theirs() -> None:
    records = [
        record(
            requestId=f"r{number}",
            identity="none" if number % 3 == 0 else {"arn": f"arn:aws:iam::1:user/{number}"},
        )
        for number in range(3000)
    ]

    rows = read_records(KIND, records)

    assert rows["user_id"].to_list() == [None if number % 3 == 0 else str(number) for number in range(3000)]
