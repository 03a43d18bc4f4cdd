"""Logs of gateways in the forms that people have them in: pages of APIs, tables, other cases of names."""

import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.landing.detect import detect_kind
from pipelines.sources.stored import StoredFile
from tests.pipelines.landing.gateways import gateway_record
from tests.pipelines.landing.test_fuzz import land_alone

_TWO = (100, 200)


def _both(kind: str) -> list[object]:
    return [gateway_record(kind, number) for number in _TWO]


PAGES: dict[str, object] = {
    "bifrost_log": {"logs": _both("bifrost_log"), "pagination": {"limit": 50}, "has_logs": True},
    "cloudflare_ai_gateway": {"result": _both("cloudflare_ai_gateway"), "success": True},
    "traceloop_spans": {"spans": {"data": _both("traceloop_spans"), "next_cursor": ""}},
    "phoenix_spans": {"data": _both("phoenix_spans"), "next_cursor": None},
    "langsmith_run": {"runs": _both("langsmith_run"), "cursors": {}},
    "datadog_llm_obs": {"data": {"type": "span", "attributes": {"spans": _both("datadog_llm_obs")}}},
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_of_an_api_is_known_and_read(kind: str) -> None:
    content = json.dumps(PAGES[kind]).encode()
    file = StoredFile(
        "page.json", len(content), datetime(2026, 11, 3, tzinfo=UTC), lambda: io.BytesIO(content)
    )

    outcome = land_alone(kind, content)

    assert detect_kind(file).kind == kind
    assert outcome.usable["output_text_tokens"].to_list() == [*_TWO]


@pytest.mark.parametrize("is_table", [True, False], ids=["csv", "jsonl"])
def test_snowflakes_names_are_found_in_any_case_and_its_times_in_its_own_form(*, is_table: bool) -> None:
    row = {
        "request_id": "r1", "model_name": "claude-sonnet-5", "start_time": "2026-11-02 09:00:00.000 -0800",
        "tokens": "4698", "tokens_granular": '{"cache_read_input": 4684, "input": 8, "output": 6}',
    }  # fmt: skip
    quoted = ",".join('"' + value.replace('"', '""') + '"' for value in row.values())
    content = f"{','.join(row)}\n{quoted}\n" if is_table else json.dumps(row)

    (call,) = land_alone("snowflake_cortex", content.encode(), name="a.csv").usable.to_dicts()

    assert call["started_at"] == datetime(2026, 11, 2, 17, tzinfo=UTC)
    assert (call["input_uncached_tokens"], call["cache_read_tokens"]) == (8, 4684)


def test_structs_and_maps_of_a_table_are_read_as_their_json() -> None:
    details = pa.struct([("cache_read_input_tokens", pa.int64()), ("output_reasoning_tokens", pa.int64())])
    table = pa.table({
        "request_id": ["d1"], "destination_model": ["gpt-oss-20b"], "input_tokens": [100], "output_tokens": [5],
        "event_time": pa.array([datetime(2026, 11, 2, 9, tzinfo=UTC)]),
        "token_details": pa.array([{"cache_read_input_tokens": 60, "output_reasoning_tokens": 1}], details),
        "request_tags": pa.array([[("team", "search")]], pa.map_(pa.string(), pa.string())),
    })  # fmt: skip
    packed = io.BytesIO()
    pq.write_table(table, packed)

    (call,) = land_alone("databricks_ai_gateway", packed.getvalue(), name="a.parquet").usable.to_dicts()

    assert (call["input_uncached_tokens"], call["cache_read_tokens"], call["reasoning_tokens"]) == (40, 60, 1)
    assert call["team"] == "search"
