"""Usage that clouds and providers count: metrics, analytics and activity, as their documentation shows them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from models.importers import fitting
from tests.models.logs.reading import read_records
from tests.pipelines.landing.clouds import CLOUDS, cloud_record

COUNTS = (
    "request_count", "input_tokens", "input_uncached_tokens", "cache_read_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "output_tokens",
)  # fmt: skip
AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
COUNTERS = [
    kind for kind in CLOUDS if kind not in ("azure_openai_diag", "apim_llm_log", "sagemaker_data_capture")
]


def test_every_cloud_and_provider_is_told_by_its_content() -> None:
    told = {kind: [fit.kind for fit in fitting(cloud_record(kind, 1))] for kind in CLOUDS}

    # Its records are those of a bill, as which they are read unless a source says otherwise.
    assert told == {kind: [kind] for kind in CLOUDS} | {"openrouter_activity_counts": []}
    billed = {"model_permaslug": "m", "usage": 0.1, "byok_usage_inference": 0}
    told_by_bill = fitting(cloud_record("openrouter_activity_counts", 1) | billed)
    assert [fit.kind for fit in told_by_bill] == ["openrouter_activity"]


def streamed(metric: str, total: float = 7, **more: Any) -> dict[str, Any]:
    return cloud_record("cloudwatch_metrics", 1) | {"metric_name": metric, "value": {"sum": total}} | more


def vertex(metric: str, **labels: str) -> dict[str, Any]:
    one = cloud_record("gcp_monitoring", 7)
    return one | {
        "metric": {"type": f"aiplatform.googleapis.com/publisher/online_serving/{metric}", "labels": labels}
    }


def azure(metric: str, **dimensions: str) -> dict[str, Any]:
    told = [{"name": {"value": name}, "value": value} for name, value in dimensions.items()]
    data = [{"timeStamp": "2026-11-02T09:00:00Z", "total": 7.0}, {"timeStamp": "2026-11-02T10:00:00Z"}]
    series = [{"metadatavalues": told, "data": data}]
    return {"interval": "PT1H", "value": [{"name": {"value": metric}, "timeseries": series}]}


def analysed(**changes: Any) -> dict[str, Any]:
    one = cloud_record("anthropic_analytics", 9)
    written = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2}
    return one | {"usage": one["usage"] | {"cache_read_input_tokens": 4, "cache_creation": written}} | changes


COUNTED: dict[str, tuple[str, dict[str, Any], tuple[Any, ...], dict[str, Any]]] = {
    "Bedrock's calls": (
        "cloudwatch_metrics", streamed("Invocations"), (7, None, None, None, None, None, None),
        {"provider": "aws.bedrock", "model": "amazon.nova-lite-v1:0", "project": "1",
         "finished_at": AT + timedelta(minutes=1)},
    ),
    "Bedrock's input, the cache apart": (
        "cloudwatch_metrics", streamed("InputTokenCount"), (None, 7, None, None, None, None, None), {},
    ),
    "Bedrock's cache reads": (
        "cloudwatch_metrics", streamed("CacheReadInputTokens"), (None, 7, None, 7, None, None, None), {},
    ),
    "Bedrock's cache writes under their other name": (
        "cloudwatch_metrics", streamed("CacheWriteInputTokenCount"), (None, 7, None, None, 7, None, None), {},
    ),
    "a profile's ARN": (
        "cloudwatch_metrics",
        streamed("OutputTokenCount",
                 dimensions={"ModelId": "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0"}),
        (None, None, None, None, None, None, 7), {"model": "us.amazon.nova-lite-v1:0"},
    ),
    "SageMaker's calls": (
        "cloudwatch_metrics",
        streamed("Invocations", namespace="AWS/SageMaker", dimensions={"EndpointName": "e", "VariantName": "v"}),
        (7, None, None, None, None, None, None), {"provider": "aws.sagemaker", "project": "e", "model": None},
    ),
    "Vertex' input": (
        "gcp_monitoring", vertex("token_count", type="input", request_type="dedicated"),
        (None, 7, None, None, None, None, None),
        {"provider": "gcp.vertex_ai", "model": "gemini-2.5-flash", "service_tier": "provisioned"},
    ),
    "Vertex' calls": (
        "gcp_monitoring", vertex("model_invocation_count", response_code="200"),
        (7, None, None, None, None, None, None), {},
    ),
    "Azure's input by model": (
        "azure_monitor_metrics",
        azure("InputTokens", ModelName="gpt-4o", ModelVersion="2024-11-20", ModelDeploymentName="chat"),
        (None, 7, None, None, None, None, None),
        {"provider": "azure.ai.openai", "model": "gpt-4o-2024-11-20", "project": "chat",
         "finished_at": AT + timedelta(hours=1), "counter": "ProcessedPromptTokens"},
    ),
    "Azure's metrics of a diagnostic setting": (
        "azure_monitor_metrics",
        {"time": "2026-11-02T09:00:00Z", "metricName": "GeneratedTokens", "timeGrain": "PT1M", "total": 7,
         "resourceId": "/X/Y"},
        (None, None, None, None, None, None, 7), {"model": None, "finished_at": AT + timedelta(minutes=1)},
    ),
    "a policy of API Management": (
        "apim_token_metrics", cloud_record("apim_token_metrics", 7) | {"name": "Completion Tokens"},
        (None, None, None, None, None, None, 7), {"model": "gpt-4o", "project": "a"},
    ),
    "Anthropic's analytics": (
        "anthropic_analytics", analysed(), (1, 19, 10, 4, 3, 2, 9), {"model": "claude-sonnet-5"},
    ),
    "Claude Code's analytics": (
        "anthropic_claude_code", cloud_record("anthropic_claude_code", 9), (None, 15, 10, 3, 2, 0, 9),
        {"user_id": "a@example.com", "project": "o", "finished_at": datetime(2026, 11, 3, tzinfo=UTC)},
    ),
    "OpenRouter's activity": (
        "openrouter_activity_counts", cloud_record("openrouter_activity_counts", 9) | {"cached_tokens": 4},
        (9, 10, None, 4, None, None, 5), {"provider": "openrouter", "model": "openai/gpt-5-mini"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", COUNTERS)
def test_a_metric_counts_what_it_names_and_nothing_else(kind: str) -> None:
    mine = {name: case for name, case in COUNTED.items() if case[0] == kind}
    rows = read_records(kind, [record for _, record, _, _ in mine.values()]).filter(~pl.col("is_ignored"))

    for (name, (_, _, counts, told)), row in zip(mine.items(), rows.iter_rows(named=True), strict=True):
        assert (name, row["quarantine_reason"], row["quarantine_detail"]) == (name, None, None)
        assert (name, tuple(row[column] for column in COUNTS)) == (name, counts)
        assert (name, {column: row[column] for column in told}) == (name, told)


PASSED_OVER: dict[str, tuple[str, dict[str, Any]]] = {
    "a metric of no usage": ("cloudwatch_metrics", streamed("InvocationLatency")),
    "the sum over all models": ("cloudwatch_metrics", streamed("InputTokenCount", dimensions={})),
    "a further split of the same": (
        "cloudwatch_metrics", streamed("InputTokenCount", dimensions={"ModelId": "m", "ServiceTier": "flex"}),
    ),
    "calls that failed": ("gcp_monitoring", vertex("model_invocation_count", response_code="429")),
    "an empty page of series": ("gcp_monitoring", {"timeSeries": []}),
    "requests that failed": ("azure_monitor_metrics", azure("AzureOpenAIRequests", StatusCode="429")),
    "a sum of other metrics": ("apim_token_metrics", cloud_record("apim_token_metrics", 7) | {"name": "Total Tokens"}),
    "groups that overlap": ("anthropic_analytics", analysed(group={"rbac_group_id": "g"})),
    "a cost": ("anthropic_analytics", {**analysed(), "usage": None, "cost": {"amount": "1"}}),
    "a day without a call": (
        "anthropic_claude_code", cloud_record("anthropic_claude_code", 1) | {"model_breakdown": []},
    ),
}  # fmt: skip
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "half a token": ("cloudwatch_metrics", streamed("InputTokenCount", 1.5), "bad_value"),
    "less than none": ("cloudwatch_metrics", streamed("InputTokenCount", -1), "negative_tokens"),
    "no set of statistics": ("cloudwatch_metrics", streamed("InputTokenCount", value=3), "wrong_shape"),
    "no time": ("cloudwatch_metrics", streamed("InputTokenCount", timestamp="soon"), "missing_started_at"),
    "no list of series": ("gcp_monitoring", {"timeSeries": "x"}, "wrong_shape"),
    "a month in one": ("anthropic_analytics", analysed(ending_at="2026-12-01T00:00:00Z"), "bad_value"),
    "parts beyond the whole": ("anthropic_claude_code", {"data": "x"}, "wrong_shape"),
}


def test_what_counts_no_usage_is_passed_over_and_what_cannot_be_used_is_refused() -> None:
    for name, (kind, record) in PASSED_OVER.items():
        rows = read_records(kind, [record]).filter(~pl.col("is_ignored"))
        assert (name, rows.height) == (name, 0)
    for name, (kind, record, reason) in REFUSED.items():
        rows = read_records(kind, [record]).filter(~pl.col("is_ignored"))
        assert (name, rows["quarantine_reason"].to_list()) == (name, [reason])


def test_groups_of_a_key_that_is_not_read_are_counts_of_their_own() -> None:
    part = {"uncached_input_tokens": 5, "cache_read_input_tokens": 0, "output_tokens": 1, "model": "m",
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}}  # fmt: skip
    results = [part | {"context_window": "0-200k"}, part | {"context_window": "200k-1M"},
               part | {"context_window": "0-200k", "a_new_key": 1}]  # fmt: skip
    page = {
        "data": [
            {"starting_at": "2026-11-02T09:00:00Z", "ending_at": "2026-11-02T10:00:00Z", "results": results}
        ]
    }

    first, again = (read_records("anthropic_usage_report", [page]) for _ in range(2))

    assert first["dedupe_key"].n_unique() == 3, "none of them takes the place of another"
    assert first["dedupe_key"].to_list() == again["dedupe_key"].to_list()


def test_openais_counts_of_a_minute_keep_tiers_keys_and_projects_apart() -> None:
    part = {"object": "organization.usage.completions.result", "input_tokens": 10, "input_cached_tokens": 4,
            "output_tokens": 5, "num_model_requests": 1, "model": "gpt-5", "project_id": "proj_1",
            "api_key_id": "key_1"}  # fmt: skip
    tiers = [(False, "default"), (False, "priority"), (False, "scale"), (True, "default"), (True, "flex")]
    results = [part | {"batch": is_batch, "service_tier": tier} for is_batch, tier in tiers]
    start = 1793610000
    page = {"object": "page", "data": [
        {"object": "bucket", "start_time": start, "end_time": start + seconds, "results": results}
        for seconds in (60, 3600, 86400)
    ]}  # fmt: skip

    rows = read_records("openai_usage_api", [page])

    assert rows["service_tier"].to_list() == ["default", "priority", "scale", "batch", "batch"] * 3
    assert rows["dedupe_key"].n_unique() == rows.height
    # A day begins at midnight.
    assert rows["quarantine_reason"].to_list() == [None] * 10 + ["bad_value"] * 5
    assert rows["project"].unique().to_list() == ["proj_1"]
    assert "key_1" not in rows.write_json()


def test_keys_of_a_counter_are_hashed_and_labels_of_anybody_are_not_kept() -> None:
    row = read_records(
        "apim_token_metrics",
        [cloud_record("apim_token_metrics", 7) | {
            "customDimensions": json.dumps({"Subscription ID": "sub-1", "Client IP address": "203.0.113.9"})}],
    ).row(0, named=True)  # fmt: skip

    kept = json.dumps({name: str(value) for name, value in row.items() if name != "value"})
    assert row["api_key_id"] is not None
    assert "sub-1" not in kept
    assert "203.0.113.9" not in kept
