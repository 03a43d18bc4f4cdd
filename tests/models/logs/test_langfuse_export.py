"""Langfuse's observations, in each of the shapes that it exports."""

import csv
import io
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.schemas.vocabulary import TOKEN_COLUMNS
from tests.models.logs.reading import read_one, read_records, tokens_of
from tests.pipelines.landing.test_fuzz import land_alone

KIND = "langfuse_export"
ROW: dict[str, Any] = {
    "id": "obs-1", "trace_id": "tr-1", "project_id": "p1", "environment": "production", "type": "GENERATION",
    "start_time": "2026-11-02 09:00:00.000", "end_time": "2026-11-02 09:00:04.200", "level": "DEFAULT",
    "completion_start_time": "2026-11-02 09:00:00.600", "provided_model_name": "gpt-5-mini",
    "usage_details": {"input": 360, "input_cached_tokens": 640, "output": 180, "output_reasoning_tokens": 120,
                      "total": 1300},
    "cost_details": {"input": 0.00009, "total": 0.00071}, "total_cost": 0.00071,
    "metadata": {"ls_provider": "openai", "user_api_key_hash": "k1"}, "user_id": "u1", "session_id": "s1",
    "model_parameters": {"service_tier": "flex"},
}  # fmt: skip
API = {
    "id": "obs-1", "traceId": "tr-1", "projectId": "p1", "environment": "production", "type": "GENERATION",
    "startTime": "2026-11-02T09:00:00.000Z", "endTime": "2026-11-02T09:00:04.200Z", "level": "DEFAULT",
    "completionStartTime": "2026-11-02T09:00:00.600Z", "providedModelName": "gpt-5-mini",
    "usageDetails": ROW["usage_details"], "costDetails": ROW["cost_details"], "totalCost": 0.00071,
    "metadata": ROW["metadata"], "userId": "u1", "sessionId": "s1", "modelParameters": ROW["model_parameters"],
}  # fmt: skip


def flat(row: dict[str, Any]) -> dict[str, Any]:
    return {key: json.dumps(value) if isinstance(value, dict) else value for key, value in row.items()}


def as_csv(row: dict[str, Any]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerow(flat(row))
    return text.getvalue().encode()


def as_parquet(row: dict[str, Any]) -> bytes:
    data = io.BytesIO()
    pl.DataFrame([flat(row)]).write_parquet(data)
    return data.getvalue()


def test_a_generation_has_its_times_tokens_cost_and_who_asked() -> None:
    row = read_one(KIND, ROW)

    assert tokens_of(row) == {"input_uncached": 360, "cache_read": 640, "output_text": 180, "reasoning": 120}
    assert [row[name].isoformat()[11:23] for name in ("started_at", "first_token_at", "finished_at")] == [
        "09:00:00+00:", "09:00:00.600", "09:00:04.200"]  # fmt: skip
    assert (row["request_id"], row["logical_request_id"], row["session_id"]) == ("obs-1", "tr-1", "s1")
    assert (row["requested_model"], row["provider"], row["service_tier"]) == ("gpt-5-mini", "openai", "flex")
    assert (row["team"], row["user_id"], dict(row["tags"])) == ("p1", "u1", {"environment": "production"})
    assert str(row["provider_reported_cost_usd"]) == "0.000710000000"
    assert (row["status"], row["usage_source"]) == ("ok", "provider")


def test_the_api_csv_and_parquet_say_the_same_as_lines() -> None:
    shapes = [
        json.dumps(ROW).encode(),
        json.dumps([ROW]).encode(),
        json.dumps(API).encode(),
        as_csv(ROW),
        as_parquet(ROW),
    ]

    landed = [land_alone(KIND, content) for content in shapes]

    rows = pl.concat(outcome.usable.drop("file_hash", "line_number") for outcome in landed)
    assert rows.height == len(shapes)
    assert rows.unique().height == 1
    assert rows.select(pl.sum_horizontal(TOKEN_COLUMNS)).to_series().to_list() == [1300] * len(shapes)


@pytest.mark.parametrize("change", [{"type": "SPAN"}, {"type": "AGENT"}, {"is_deleted": 1}])
def test_what_may_repeat_a_call_or_was_deleted_is_ignored(change: dict[str, Any]) -> None:
    assert read_records(KIND, [ROW | change])["is_ignored"].to_list() == [True]


def test_tokens_that_langfuse_counted_itself_are_estimated_and_none_are_missing() -> None:
    sent = ROW["usage_details"]

    rows = read_records(
        KIND,
        [
            ROW | {"provided_usage_details": {}},
            ROW | {"provided_usage_details": sent},
            ROW | {"usage_details": {}},
            ROW | {"usage_details": {"input": 5}},
        ],
    )

    assert rows["usage_source"].to_list() == ["estimated", "provider", "missing", "missing"]


def test_keys_that_are_new_are_counted_as_other_and_the_older_usage_counts_where_it_is_of_tokens() -> None:
    new = read_one(
        KIND,
        ROW | {"usage_details": {"input": 5, "input_smell": 3, "output": 2, "output_smell": 1, "total": 11}},
    )
    old = {name: value for name, value in ROW.items() if name != "usage_details"}

    assert tokens_of(new) == {"input_uncached": 5, "other_input": 3, "output_text": 2, "other_output": 1}
    tokens = read_one(KIND, old | {"usage": {"input": 7, "output": 3, "total": 10, "unit": "TOKENS"}})
    assert tokens_of(tokens) == {"input_uncached": 7, "output_text": 3}
    letters = read_one(KIND, old | {"usage": {"input": 7, "output": 3, "unit": "CHARACTERS"}})
    assert letters["usage_source"] == "missing"


COUNT = st.integers(0, 10**6)


@settings(max_examples=20, deadline=None)
@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_the_classes_sum_to_the_total_whether_parts_stand_beside_or_inside(
    fresh: int, read: int, written: int, said: int, thought: int
) -> None:
    details = {
        "input_cached_tokens": read,
        "input_cache_creation": written,
        "output_reasoning_tokens": thought,
    }
    total = fresh + read + written + said + thought
    beside = details | {"input": fresh, "output": said, "total": total}
    inside = details | {"input": fresh + read + written, "output": said + thought, "total": total}

    rows = read_records(KIND, [ROW | {"usage_details": beside}, ROW | {"usage_details": inside}])

    assert rows["quarantine_reason"].to_list() == [None, None]
    assert rows.select(TOKEN_COLUMNS).unique().height == 1
    assert rows.select(pl.sum_horizontal(TOKEN_COLUMNS)).to_series().to_list() == [total, total]


def test_a_key_that_is_no_kind_of_token_becomes_a_meter() -> None:
    content = json.dumps(ROW | {"usage_details": {"input": 5, "output": 2, "web_searches": 3}}).encode()

    usable = land_alone(KIND, content).usable

    assert [dict(entries) for entries in usable["other_meters"]] == [{"web_searches": 3}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "missing_request_id"),
        ({"start_time": None}, "missing_started_at"),
        ({"start_time": "soon"}, "bad_value"),
        ({"usage_details": {"input": "many"}}, "bad_value"),
        ({"usage_details": [1]}, "bad_value"),
        ({"usage_details": {"input": -5, "output": 1}}, "negative_tokens"),
        ({"usage_details": {"input": 5, "output": 1, "total": 9}}, "tokens_do_not_add_up"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(change: dict[str, Any], reason: str) -> None:
    assert read_records(KIND, [ROW | change])["quarantine_reason"].to_list() == [reason]


def test_an_error_is_told_without_its_message() -> None:
    rows = read_records(KIND, [ROW | {"level": "ERROR", "status_message": "the zebra prompt failed"}])

    assert rows.select("status", "error_class").row(0) == ("error", "error")
    assert "zebra" not in rows.write_json()


def test_a_providers_own_object_is_read_by_its_total_or_its_spelling() -> None:
    """Sources: ai.google.dev (usageMetadata), Anthropic's, Bedrock's and DeepSeek's usage objects."""
    gemini = {"promptTokenCount": 1000, "candidatesTokenCount": 200, "thoughtsTokenCount": 90,
              "cachedContentTokenCount": 400}  # fmt: skip
    thought = {"input_uncached": 600, "cache_read": 400, "output_text": 200, "reasoning": 90}
    openai = {"prompt_tokens": 1000, "completion_tokens": 290, "prompt_tokens_details": {"cached_tokens": 400},
              "completion_tokens_details": {"reasoning_tokens": 90}}  # fmt: skip
    written = {"input_uncached": 5, "cache_read": 400, "cache_write_5m": 100, "output_text": 200}
    objects = {
        "Gemini": (gemini, thought),
        "Gemini with its total": (gemini | {"totalTokenCount": 1290}, thought),
        "Gemini of Vertex, snake case": (
            {"prompt_token_count": 1000, "candidates_token_count": 200, "thoughts_token_count": 90,
             "cached_content_token_count": 400}, thought),
        "OpenAI": (openai, thought),
        "OpenAI with its total": (openai | {"total_tokens": 1290}, thought),
        "Anthropic": (
            {"input_tokens": 5, "output_tokens": 200, "cache_read_input_tokens": 400,
             "cache_creation_input_tokens": 100}, written),
        "Anthropic, writes by lifetime": (
            {"input": 5, "output": 200, "input_cache_read": 400, "input_cache_creation_5m": 60,
             "input_cache_creation_1h": 40, "total": 705},
            {"input_uncached": 5, "cache_read": 400, "cache_write_5m": 60, "cache_write_1h": 40, "output_text": 200}),
        "Bedrock": (
            {"inputTokens": 5, "outputTokens": 200, "cacheReadInputTokens": 400, "cacheWriteInputTokens": 100,
             "totalTokens": 705}, written),
        "DeepSeek": (
            {"prompt_tokens": 1000, "completion_tokens": 290, "prompt_cache_hit_tokens": 400,
             "prompt_cache_miss_tokens": 600},
            {"input_uncached": 600, "cache_read": 400, "output_text": 290}),
        "Gemini, thoughts in the total alone": (
            {"input": 1000, "output": 200, "total": 1290},
            {"input_uncached": 1000, "output_text": 200, "reasoning": 90}),
        "a 0 beside a count": (
            {"input": 600, "output": 200, "cache_read_input_tokens": 0, "input_cached_tokens": 400, "total": 1200},
            {"input_uncached": 600, "cache_read": 400, "output_text": 200}),
    }  # fmt: skip

    rows = read_records(
        KIND,
        [
            ROW
            | {"usage_details": usage}
            | ({"provided_model_name": "gemini-2.5-pro"} if "alone" in name else {})
            for name, (usage, _) in objects.items()
        ],
    )

    for (name, (_, tokens)), row in zip(objects.items(), rows.rows(named=True), strict=True):
        assert (name, row["quarantine_detail"], tokens_of(row)) == (name, None, tokens)


def test_what_litellm_exports_has_the_id_of_its_response_and_who_asked_is_told() -> None:
    generation = ROW | {
        "id": "time-10-00-00-000000_chatcmpl-9hYb2", "tags": ["customer:acme", "beta"], "user_id": None,
        "metadata": {"user_id": "u7", "team": "ml", "note": "secret words", "ls_provider": "openai"},
        "parent_observation_id": "p",
    }  # fmt: skip

    row = read_one(KIND, generation)

    assert (row["dedupe_key"], row["parent_span_id"]) == ("id:chatcmpl-9hYb2", "p")
    assert (row["tenant"], row["team"], row["user_id"], row["provider"]) == ("acme", "ml", "u7", "openai")
    assert dict(row["tags"])["beta"] == "true"
    assert "secret" not in str(row)


def test_a_generation_that_was_a_span_is_known_as_one_and_names_the_generation_above() -> None:
    trace, root, between, leaf = "5b8efff798038103d269b633813fc60c", "a" * 16, "b" * 16, "c" * 16
    rows = read_records(
        KIND,
        [
            ROW | {"id": root, "trace_id": trace},
            ROW | {"id": between, "trace_id": trace, "parent_observation_id": root, "type": "SPAN"},
            ROW | {"id": leaf, "trace_id": trace, "parent_observation_id": between},
            ROW | {"id": "o9", "metadata": {"attributes": {"gen_ai.response.id": "chatcmpl-9hYb2"}}},
        ],
    ).filter(~pl.col("is_ignored"))

    assert rows["dedupe_key"].to_list() == [
        f"span:{trace}:{root}",
        f"span:{trace}:{leaf}",
        "id:chatcmpl-9hYb2",
    ]
    assert rows["parent_span_id"].to_list() == [None, root, None]
