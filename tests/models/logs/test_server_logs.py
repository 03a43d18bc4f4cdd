"""Logs of the servers themselves: SGLang's request metrics and Vertex AI's request-response log."""

from typing import Any

import polars as pl
import pytest

from tests.models.logs.reading import read_one, read_records, tokens_of

SGLANG: dict[str, Any] = {
    "request_parameters": '{"rid": "r1"}', "id": "r1", "finish_reason": {"type": "stop"}, "prompt_tokens": 1000,
    "cached_tokens": 640, "completion_tokens": 300, "reasoning_tokens": 120, "e2e_latency": 4.2, "queue_time": 0.03,
    "first_token_latency": 0.6, "request_received_ts": 1793610000.0, "request_finished_ts": 1793610004.25,
    "weight_version": "v7",
}  # fmt: skip
VERTEX: dict[str, Any] = {
    "logging_time": "2026-11-02T09:00:12.248Z", "request_id": "5374205265901353984",
    "model": "publishers/google/models/gemini-2.5-pro", "model_version": "default", "api_method": "GenerateContent",
    "endpoint": "projects/p1/locations/us-central1/endpoints/9", "metadata": {"request_latency": 11000.5},
    "full_request": {
        "model": "projects/p1/locations/us-central1/publishers/google/models/gemini-2.5-pro",
        "labels": {"team": "search"},
    },
    "full_response": {
        "response_id": "r_s1", "model_version": "gemini-2.5-pro-002", "create_time": "2026-11-02T09:00:01.034Z",
        "usage_metadata": {"prompt_token_count": 1000, "candidates_token_count": 200, "total_token_count": 1200,
                           "traffic_type": "PROVISIONED_THROUGHPUT"},
    },
}  # fmt: skip


def test_a_line_of_sglang_has_its_times_and_its_wait() -> None:
    row = read_one("sglang_request_metrics", SGLANG)

    assert row["started_at"].isoformat() == "2026-11-02T09:00:00+00:00"
    assert row["finished_at"].isoformat() == "2026-11-02T09:00:04.250000+00:00"
    assert row["first_token_at"].isoformat() == "2026-11-02T09:00:00.600000+00:00"
    assert (row["queue_seconds"], row["provider"], row["status"]) == (0.03, "self_hosted", "ok")
    assert dict(row["tags"]) == {"model_version": "v7"}


def test_an_abort_is_cancelled_and_a_start_that_is_not_told_lies_before_the_end() -> None:
    ended = {name: value for name, value in SGLANG.items() if name != "request_received_ts"}

    row = read_one("sglang_request_metrics", ended | {"finish_reason": {"type": "abort"}})

    assert (row["started_at"].isoformat(), row["status"]) == ("2026-11-02T09:00:00.050000+00:00", "cancelled")


def test_of_sglangs_json_log_the_finished_requests_count() -> None:
    received = {"event": "request.received", "rid": "r1", "obj": {"text": "zebra"}}
    finished = {"event": "request.finished", "rid": "r1", "out": {"text": "zebra", "meta_info": SGLANG}}

    rows = read_records("sglang_request_metrics", [received, finished])

    assert rows["is_ignored"].to_list() == [True, False]
    assert tokens_of(rows.row(1, named=True)) == {
        "input_uncached": 360, "cache_read": 640, "output_text": 180, "reasoning": 120}  # fmt: skip
    assert "zebra" not in rows.write_json()


def test_a_line_of_vertex_says_where_for_whom_and_what_paid() -> None:
    row = read_one("vertex_request_log", VERTEX)

    assert (row["request_id"], row["provider"]) == ("r_s1", "gcp.vertex_ai")
    assert (row["requested_model"], row["served_model"]) == ("gemini-2.5-pro", "gemini-2.5-pro-002")
    assert (row["region"], row["tenant"], row["team"]) == ("us-central1", "p1", "search")
    assert (row["service_tier"], row["route"]) == ("provisioned", VERTEX["endpoint"])
    assert row["started_at"].isoformat() == "2026-11-02T09:00:01.034000+00:00"
    assert row["finished_at"].isoformat() == "2026-11-02T09:00:12.034500+00:00"


def test_of_a_stream_the_last_usage_counts_and_a_call_without_a_response_is_missing() -> None:
    first = {
        "response_id": "r_s2",
        "create_time": "2026-11-02T09:00:01Z",
        "usage_metadata": {"prompt_token_count": 9},
    }
    last = {"usage_metadata": {"prompt_token_count": 9, "candidates_token_count": 4, "total_token_count": 13}}
    unanswered = {name: value for name, value in VERTEX.items() if name != "full_response"}

    streamed = read_one("vertex_request_log", VERTEX | {"full_response": [first, last]})
    failed = read_one("vertex_request_log", unanswered)

    assert tokens_of(streamed) == {"input_uncached": 9, "output_text": 4}
    assert (failed["request_id"], failed["usage_source"]) == ("5374205265901353984", "missing")
    # logged at 12.248 s, 11.0005 s after the call began
    assert failed["started_at"].isoformat() == "2026-11-02T09:00:01.247500+00:00"


@pytest.mark.parametrize(
    ("kind", "record", "reason"),
    [
        ("sglang_request_metrics", SGLANG | {"request_received_ts": None, "request_finished_ts": None},
         "missing_started_at"),
        ("sglang_request_metrics", SGLANG | {"e2e_latency": "long"}, "bad_value"),
        ("sglang_request_metrics", SGLANG | {"prompt_tokens": 1.5}, "bad_value"),
        ("sglang_request_metrics", {"id": "r1"}, "missing_started_at"),
        ("vertex_request_log", VERTEX | {"logging_time": None, "full_response": {}}, "missing_started_at"),
        ("vertex_request_log", VERTEX | {"full_response": {"create_time": "soon"}}, "bad_value"),
        ("vertex_request_log", VERTEX | {"full_response": {"create_time": "2026-11-02T09:00:01Z", "usage_metadata": {
            "prompt_token_count": 9, "candidates_token_count": 4, "total_token_count": 99}}}, "tokens_do_not_add_up"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_reason(
    kind: str, record: dict[str, Any], reason: str
) -> None:
    rows = read_records(kind, [record]).filter(~pl.col("is_ignored"))

    assert rows["quarantine_reason"].to_list() == [reason]


ROUTED = (
    "Routing request rq-{} with session id {} to http://vllm-llama-engine-service:8000 at 1793610000.5, process time = "
    "0.0012"
)
# As vllm_router/log.py of the production stack writes a line, and as its web server does.
STACK = f"""\
\x1b[32;20m[2026-11-02 02:00:00,512] INFO:\x1b[0m {ROUTED.format(1, "u1")} \x1b[3m(request.py:330:vllm_router.x)\x1b[0m
[2026-11-02 02:00:00,512] INFO: {ROUTED.format(2, "None")} (request.py:330:vllm_router.x)
[2026-11-02 02:00:00,600] INFO: Scraping metrics from 2 serving engine(s) (engine_stats.py:1:vllm_router.x)
INFO:     10.0.0.1:55000 - "POST /v1/chat/completions HTTP/1.1" 200 OK
[2026-11-02 02:00:01,000] INFO: Routing request rq-3 to http://10.0.0.5:8000 at 1793610001.0, process time = 0.1 (x:1:y)
"""


def test_the_production_stacks_router_tells_which_engine_took_a_call() -> None:
    rows = read_records("vllm_router_log", [{"line": line} for line in STACK.splitlines()])
    told = rows.filter(~pl.col("is_ignored"))

    assert told["quarantine_reason"].to_list() == [None] * 3
    assert told.select("request_id", "session_id", "route", "usage_source").rows() == [
        ("rq-1", "u1", "vllm-llama-engine-service", "missing"),
        ("rq-2", None, "vllm-llama-engine-service", "missing"),
        ("rq-3", None, "10.0.0.5", "missing"),
    ]
    assert told["started_at"][0].isoformat() == "2026-11-02T09:00:00.500000+00:00"


# As text-generation-inference's router writes its log: router/src/server.rs, tracing-subscriber.
TGI = """\
2026-11-02T08:59:00.400000Z  INFO text_generation_router::server: router/src/server.rs:2311: Connected
2026-11-02T09:00:01.500000Z  INFO generate{parameters=GenerateParameters { stop: ["zebra"], do_sample: true } \
total_time="1.5s" validation_time="500.5µs" queue_time="60.25ms" inference_time="1.2s" time_per_token="59.999999ms" \
seed="None"}: text_generation_router::server: router/src/server.rs:402: Success
2026-11-02T09:00:02.500000Z ERROR generate{parameters=GenerateParameters { }}: text_generation_router::infer: x: Busy
"""


def test_tgis_line_of_a_call_tells_its_times_and_none_of_its_prompt() -> None:
    rows = read_records("tgi_log", [{"line": line} for line in TGI.splitlines()])

    assert rows["is_ignored"].to_list() == [True, False, True]
    (row,) = rows.filter(~pl.col("is_ignored")).to_dicts()
    assert (row["quarantine_reason"], row["usage_source"], row["queue_seconds"]) == (None, "missing", 0.06025)
    assert (row["started_at"].isoformat(), row["finished_at"].isoformat()) == (
        "2026-11-02T09:00:00+00:00", "2026-11-02T09:00:01.500000+00:00",
    )  # fmt: skip
    # 1.2 s at 59.999999 ms a token.
    assert row["tag_entries"] == [{"key": "generated_tokens", "value": "20"}]
    assert "zebra" not in rows.write_json()


_TGI_AT = {"started_at": "2026-11-02T09:00:00Z", "served_model": "llama"}


@pytest.mark.parametrize(
    ("record", "tokens", "source"),
    [
        # huggingface.co/docs/text-generation-inference: the answer with its headers
        (
            {"response": {"generated_text": "x", "details": {"generated_tokens": 20, "prefill": []}},
             "headers": {"x-prompt-tokens": "7", "x-generated-tokens": "20", "x-total-time": "1500"}},
            {"input_uncached": 7, "output_text": 20}, "provider",
        ),
        (
            {"generated_text": "x", "details": {"generated_tokens": 3, "prefill": [{"id": 1}, {"id": 2}]}},
            {"input_uncached": 2, "output_text": 3}, "provider",
        ),
        (
            {"response": 'data:{"index":1,"token":{"id":1},"generated_text":null,"details":null}\n\n'
                         'data:{"index":2,"token":{"id":2},"generated_text":"x","details":{"generated_tokens":2,'
                         '"input_length":5}}\n\n'},
            {"input_uncached": 5, "output_text": 2}, "provider",
        ),
        ({"generated_text": "x", "details": {"generated_tokens": 3, "prefill": []}}, {"output_text": 3}, "missing"),
    ],
)  # fmt: skip
def test_a_native_answer_of_tgi_counts_what_it_or_its_headers_tell(
    record: dict[str, Any], tokens: dict[str, int], source: str
) -> None:
    row = read_one("tgi_response", _TGI_AT | record)

    assert (row["provider"], row["served_model"], row["usage_source"]) == ("self_hosted", "llama", source)
    assert {name: count for name, count in tokens_of(row).items() if count} == tokens
