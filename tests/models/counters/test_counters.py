"""Usage that others counted, as its formats have it: pages, buckets, running counters."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from models.importers import importers
from pipelines.landing.read import Layout, Reader
from pipelines.landing.records import Records
from pipelines.landing.split import Piece
from pipelines.warehouse.connect import memory_connection
from tests.models.logs.reading import read_lines, read_records, shared

COUNTS = (
    "request_count", "input_tokens", "input_uncached_tokens", "cache_read_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "output_tokens",
)  # fmt: skip
ANTHROPIC = {
    "uncached_input_tokens": 50, "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 3},
    "cache_read_input_tokens": 40, "output_tokens": 9, "model": "claude-sonnet-4-5", "api_key_id": "apikey_1",
    "workspace_id": None, "service_tier": "standard",
}  # fmt: skip
MATRIX = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [
            {
                "metric": {"__name__": "vllm:prompt_tokens_total", "model_name": "m", "engine": "0"},
                "values": [[1793610000, "5"], [1793610015.5, "7e2"]],
            }
        ],
    },
}


def openai(start: Any = 1793610000, end: Any = 1793613600, **result: Any) -> dict[str, Any]:
    """Return a bucket of OpenAI's usage API."""
    counted = {"input_tokens": 10, "input_cached_tokens": 4, "output_tokens": 5, "num_model_requests": 2}
    one = {"object": "organization.usage.completions.result", "model": "gpt-x", **counted, **result}
    return {"object": "bucket", "start_time": start, "end_time": end, "results": [one]}


def counts(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in COUNTS)


def lines(kind: str, text: str) -> list[dict[str, Any]]:
    """Return the rows of lines of text, in order."""
    with memory_connection() as con:
        reader = Reader(con, importers()[kind], {}, b"key")
        found = reader.read(Records.of([(0, Piece(text.encode(), 1, 0))]), Layout("text"))
        reader.close()
    assert found.rows is not None
    assert found.refused == {}
    return found.rows.to_dicts()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("usage_completions", (5, 1000, 500, 400, 100, 0, 500)),
        ("usage_embeddings", (2, 16, 16, None, None, None, 0)),
    ],
)
def test_openais_own_examples_count_disjoint_classes(name: str, expected: tuple[Any, ...]) -> None:
    text = shared(f"log-openai-usage/{name}.json").read_text(encoding="utf-8")

    (row,) = read_lines("openai_usage_api", [json.dumps(json.loads(text))]).to_dicts()

    assert row["quarantine_reason"] is None
    assert counts(row) == expected
    assert row["started_at"] == datetime(2024, 11, 1, tzinfo=UTC)
    assert row["finished_at"] == datetime(2024, 11, 2, tzinfo=UTC)


def test_results_that_count_no_tokens_are_passed_over() -> None:
    text = shared("log-openai-usage/costs.json").read_text(encoding="utf-8")
    empty = {"object": "page", "data": [], "has_more": False}
    idle = {"object": "bucket", "start_time": 1793610000, "end_time": 1793613600, "results": []}

    rows = read_records("openai_usage_api", [json.loads(text), empty, idle])

    assert rows["is_ignored"].to_list() == [True, True, True]


def test_anthropics_input_numbers_are_disjoint_and_its_calls_are_not_counted() -> None:
    bucket = {
        "starting_at": "2026-11-02T09:00:00Z",
        "ending_at": "2026-11-02T10:00:00Z",
        "results": [ANTHROPIC],
    }

    rows = read_records("anthropic_usage_report", [{"data": [bucket], "has_more": False}, bucket]).to_dicts()

    assert [counts(row) for row in rows] == [(None, 100, 50, 40, 7, 3, 9)] * 2
    assert {(row["service_tier"], row["grouped_by"]) for row in rows} == {
        ("default", "model,service_tier,api_key_id")
    }
    assert "apikey_1" not in rows[0]["api_key_id"]


def test_a_query_answer_is_a_row_a_reading_whole_or_series_by_series() -> None:
    whole = read_records("prometheus", [MATRIX]).to_dicts()
    series = read_records("prometheus", MATRIX["data"]["result"]).to_dicts()  # type: ignore[index]

    assert [(row["started_at"].isoformat(), row["model"], row["input_tokens"]) for row in whole] == [
        ("2026-11-02T09:00:00+00:00", "m", 5),
        ("2026-11-02T09:00:15.500000+00:00", "m", 700),
    ]
    assert [row["dedupe_key"] for row in whole] == [row["dedupe_key"] for row in series]


def test_a_line_of_text_and_a_query_answer_name_the_same_series() -> None:
    (answer, _) = read_records("prometheus", [MATRIX]).to_dicts()

    rows = lines(
        "prometheus",
        "# HELP vllm:prompt_tokens_total Number of prefill tokens.\n"
        'vllm:prompt_tokens_total{model_name="m",engine="0"} 5.0 1793610000000\n'
        'vllm:prompt_tokens_total{model_name="m",engine="0"} 5.0\n'
        "vllm:num_requests_waiting 3\n"
        "no sample at all, but words\n",
    )

    assert [row["is_ignored"] for row in rows] == [True, False, False, True, False]
    assert rows[1]["dedupe_key"] == answer["dedupe_key"]
    assert rows[1]["input_tokens"] == answer["input_tokens"] == 5
    assert [row["quarantine_reason"] for row in rows if not row["is_ignored"]] == [
        None, "missing_read_at", "wrong_shape",
    ]  # fmt: skip


def test_a_real_scrape_names_the_counters_that_are_read() -> None:
    text = shared("log-vllm-metrics/vllm_metrics_slice.txt").read_text(encoding="utf-8")
    stamped = "".join(
        f"{line}{'' if line.startswith('#') else ' 1793610000000'}\n" for line in text.splitlines() if line
    )

    rows = [row for row in lines("prometheus", stamped) if not row["is_ignored"]]

    assert {row["counter"]: row["quarantine_reason"] for row in rows} == dict.fromkeys(
        (
            "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:request_success_total",
            "vllm:prompt_tokens_cached_total", "vllm:num_requests_running",
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "record", "reason"),
    [
        ("openai_usage_api", {"object": "page", "data": 5}, "wrong_shape"),
        ("openai_usage_api", openai() | {"results": {"model": 1}}, "wrong_shape"),
        ("openai_usage_api", {"usage": 1}, "unknown_shape"),
        ("openai_usage_api", openai(start="soon"), "missing_started_at"),
        ("openai_usage_api", openai(end=None), "missing_finished_at"),
        ("openai_usage_api", openai(end=1793610000 + 7200), "bad_value"),
        ("openai_usage_api", openai(input_tokens="many"), "bad_value"),
        ("openai_usage_api", openai(output_tokens=-1), "negative_tokens"),
        ("openai_usage_api", openai(input_cached_tokens=11), "negative_tokens"),
        ("openai_usage_api", openai(input_uncached_tokens=7), "tokens_do_not_add_up"),
        ("prometheus", {"status": "error", "error": "x"}, "wrong_shape"),
        ("prometheus", {"metric": {"model_name": "m"}, "values": [[1793610000, "1"]]}, "missing_metric"),
        (
            "prometheus",
            {"metric": {"__name__": "vllm:prompt_tokens_total"}, "values": [[1793610000, "NaN"]]},
            "bad_value",
        ),
        ("usage_counters", {"started_at": "2026-11-02T09:00:00Z", "request_count": 1}, "missing_provider"),
    ],
)
def test_what_is_no_count_is_refused_with_one_reason(kind: str, record: dict[str, Any], reason: str) -> None:
    (row,) = read_records(kind, [record]).to_dicts()

    assert (row["quarantine_reason"], row["is_ignored"]) == (reason, False)


def test_a_router_counts_apart_from_its_engines_and_a_prefill_engine_counts_no_call() -> None:
    scrape = """\
# HELP dynamo_frontend_requests_total x
dynamo_frontend_requests_total{model="m",endpoint="chat",status="success"} 7 1793610000000
dynamo_frontend_input_sequence_tokens_sum{model="m"} 700.0 1793610000000
inference_objective_output_tokens_sum{model_name="m",target_model_name="n"} 70 1793610000000
inference_objective_request_total{model_name="old",target_model_name="n"} 3 1793610000000
inference_objective_request_total{model_name="both",target_model_name="n"} 3 1793610060000
llm_d_epp_request_total{model_name="both",target_model_name="n",fairness_id="f",priority="0"} 3 1793610060000
llm_d_epp_request_input_tokens_sum{model_name="both",target_model_name="n",fairness_id="f"} 300 1793610060000
llm_d_epp_request_cached_tokens_sum{model_name="both",target_model_name="n",fairness_id="f"} 200 1793610060000
llm_d_epp_request_output_tokens_sum{model_name="both",target_model_name="n",fairness_id="f"} 30 1793610060000
vllm_router_requests_total{route="/v1/chat/completions"} 4 1793610000000
vllm_router_processed_requests_total{worker="http://127.0.0.1:18102"} 2 1793610000000
smg_http_requests_total{method="POST",path="/v1/chat/completions"} 4 1793610000000
smg_router_requests_total{router_type="http",backend_type="regular",model="m",endpoint="chat"} 4 1793610000000
smg_router_tokens_total{model="m",token_type="input"} 5 1793610000000
smg_router_tokens_total{model="m",token_type="reasoning"} 5 1793610000000
vllm:prompt_tokens_total{model_name="m",llm_d_ai_role="prefill",pod="a"} 11 1793610000000
vllm:prompt_tokens_total{model_name="m",llm_d_ai_role="decode",pod="b"} 12 1793610000000
vllm:num_requests_running{model_name="m",role="prefill-worker",pod="a"} 3 1793610000000
tgi_request_success{} 4 1793610000000
tgi_request_generated_tokens_sum{} 40 1793610000000
nv_inference_request_success{model="t",version="1"} 6 1793610000000
baseten_inference_requests_total{model_name="b",deployment_id="d",status_code="200",is_async="false"} 8 1793610000000
baseten_replicas_active{model_name="b",deployment_id="d"} 2 1793610000000
"""

    def counted(kind: str) -> list[tuple[Any, ...]]:
        rows = [row for row in lines(kind, scrape) if not row["is_ignored"]]
        assert [row["quarantine_reason"] for row in rows] == [None] * len(rows)
        return [
            (row["counter"], row["model"], value)
            for row in rows
            for name in (*COUNTS, "running_count")
            if (value := row.get(name)) is not None
        ]

    assert counted("router_metrics") == [
        ("dynamo_frontend_requests_total", "m", 7),
        ("dynamo_frontend_input_sequence_tokens_sum", "m", 700),
        ("inference_objective_output_tokens_sum", "m", 70),
        ("inference_objective_request_total", "old", 3),
        ("llm_d_epp_request_total", "both", 3),
        ("llm_d_epp_request_input_tokens_sum", "both", 300),
        ("llm_d_epp_request_cached_tokens_sum", "both", 200),
        ("llm_d_epp_request_output_tokens_sum", "both", 30),
        ("vllm_router_requests_total", None, 4),
        ("smg_router_requests_total", "m", 4),
        ("smg_router_tokens_total:input", "m", 5),
    ]
    assert counted("prometheus") == [
        ("vllm:prompt_tokens_total", "m", 12),
        ("vllm:num_requests_running", "m", 3),
        ("tgi_request_success", None, 4),
        ("tgi_request_generated_tokens_sum", None, 40),
        ("nv_inference_request_success", "t", 6),
        ("baseten_inference_requests_total", "b", 8),
    ]
