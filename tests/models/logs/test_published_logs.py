"""Every published log beside the project: which kind its content tells, and what it counts."""

import json
from pathlib import Path

import pytest

from models.errors import DataError
from pipelines.landing.detect import detect_kind
from pipelines.sources.stored import stored_file
from tests.models.logs.reading import SHARED, read_one, shared, tokens_of

TOLD = {
    "log-litellm/spend_logs_payload.json": "litellm_spend_logs",
    "log-litellm/standard_logging_payload.json": "litellm_standard_payload",
    "log-openrouter/generation.json": "openrouter_generation",
    "log-bedrock-invocation/model_invocation_log_example.json.txt": None,  # not JSON: its placeholders are bare dots
    "log-langfuse-otel/otel_spans.jsonl": None,  # a test's variables with spans inside
    "log-otel-genai/examples-llm-calls.md": None,  # prose with tables of attributes
    "log-recorded-responses/responses.jsonl.gz": None,  # a recorder's envelope of its own
    "log-openrouter/activity.json": "openrouter_activity",
    # Independent counters.
    "log-openai-usage/usage_completions.json": "openai_usage_api",
    "log-openai-usage/usage_embeddings.json": "openai_usage_api",
    "log-openai-usage/costs.json": "openai_costs",
    "log-vllm-metrics/vllm_metrics_slice.txt": "prometheus",
}


@pytest.mark.parametrize("name", TOLD)
def test_the_content_tells_a_kind_or_the_file_is_refused_with_what_was_seen(
    name: str, tmp_path: Path
) -> None:
    file = stored_file(shared(name), project=tmp_path)

    kind = TOLD[name]
    if kind is not None:
        assert detect_kind(file).kind == kind
    else:
        with pytest.raises(DataError, match="is of no known format"):
            detect_kind(file)


def test_no_published_log_is_left_out() -> None:
    shared("log-litellm")
    files = {
        str(path.relative_to(SHARED)) for folder in SHARED.glob("log-*") for path in folder.iterdir()
        if path.name not in ("LICENSE", "SOURCE.md")
    }  # fmt: skip

    assert files == set(TOLD)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("spend_logs_payload.json", "litellm_spend_logs"),
        ("standard_logging_payload.json", "litellm_standard_payload"),
    ],
)
def test_litellms_own_examples_have_the_tokens_that_they_state(name: str, kind: str) -> None:
    row = read_one(kind, json.loads(shared(f"log-litellm/{name}").read_text(encoding="utf-8")))

    # 10 of a prompt of which nothing was cached, 20 of completion, 30 in total
    assert tokens_of(row) == {"input_uncached": 10, "output_text": 20}
    assert (row["served_model"], row["provider"]) == ("gpt-4o", "openai")
    assert str(row["provider_reported_cost_usd"]) == "0.000225000000"
    assert (row["finished_at"] - row["started_at"]).total_seconds() == 0.004583
