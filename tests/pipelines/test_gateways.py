"""Logs of every gateway, observer and cloud from file to mart: priced once, beside the gateway's own estimate."""

from decimal import Decimal

import pytest

from pipelines.project import Project
from tests.pipelines.landing.clouds import CLOUDS, cloud_record
from tests.pipelines.landing.gateways import GATEWAYS, gateway_record
from tests.pipelines.small import make_project, nanodollar, query, write_lines

OWN_BILL = {
    "dynamo_request_trace",
    "databricks_ai_gateway",
    "databricks_endpoint_usage",
    "snowflake_ai_functions",
    "snowflake_ai_gateway",
    "snowflake_cortex",
}
"""Kinds whose example no token sheet prices: billed in units of the vendor's own, or served by one's own GPUs."""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A company with a source of each kind, and one call that three of them tell."""
    folder = tmp_path_factory.mktemp("gateways")
    settings = "[warehouse]\nstart_on = 2026-11-01\n"
    for kind in [*GATEWAYS, *CLOUDS, "openai_response"]:
        settings += f'[[sources]]\nname = "{kind}"\nkind = "{kind}"\npath = "landing/{kind}/*"\n'
    project = make_project(folder, settings)
    told = {"id": "chatcmpl-once", "model": "gpt-5-mini"}
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    beside = {
        "portkey_log": [
            gateway_record("portkey_log", 7) | {"id": "own", "req_units": 1000, "res_units": 10, "total_units": 1010,
                                                "response": {"body": told | {"usage": usage}}},
        ],
        "phoenix_spans": [
            gateway_record("phoenix_spans", 7) | {"attributes": {
                "llm.system": "openai", "llm.model_name": "gpt-5-mini", "llm.token_count.prompt": 1000,
                "llm.token_count.completion": 10, "output.value": '{"id":"chatcmpl-once"}'}},
        ],
        "langsmith_run": [
            gateway_record("langsmith_run", 7) | {"id": "chain", "run_type": "chain", "trace_id": "t2"},
            gateway_record("langsmith_run", 7) | {"id": "child", "parent_run_id": "chain", "trace_id": "t2"},
        ],
    }  # fmt: skip
    for kind in GATEWAYS:
        records = [gateway_record(kind, 100), *beside.get(kind, [])]
        write_lines(folder / f"landing/{kind}/a.jsonl", records)
    for kind in CLOUDS:
        write_lines(folder / f"landing/{kind}/a.jsonl", [cloud_record(kind, 33)])
    answer = told | {"object": "chat.completion", "created": 1793610000, "usage": usage, "provider": "openai"}
    write_lines(folder / "landing/openai_response/a.jsonl", [answer | {"started_at": "2026-11-02T09:00:00Z"}])
    outcome = nanodollar(project, "run", "--from", "2026-11-02", "--to", "2026-11-03")
    assert outcome.code in (0, 1), outcome.err
    return project


def test_every_gateways_call_is_priced_and_its_own_cost_stays_an_estimate(company: Project) -> None:
    rows = query(company, """
        SELECT r.source_kind, c.price_state, c.effective_usd, c.gateway_reported_usd
        FROM core.request_costs c JOIN core.requests r USING (source, request_id)
        WHERE r.output_text_tokens = 100
        ORDER BY ALL
    """)  # fmt: skip

    assert {kind for kind, *_ in rows} == set(GATEWAYS)
    # 10 tokens in for $0.25 and 100 out for $2 a million.
    assert {kind: usd for kind, state, usd, _ in rows if state == "priced"} == dict.fromkeys(
        set(GATEWAYS) - OWN_BILL, Decimal("0.0002025")
    )
    assert {kind: usd for kind, _, _, usd in rows if usd is not None} == {
        "portkey_log": Decimal("0.001"), "bifrost_log": Decimal("0.001"), "cloudflare_ai_gateway": Decimal("0.001"),
        "cloudflare_logpush": Decimal("0.001"), "runware_task": Decimal("0.0002025"),
    }  # fmt: skip


def test_a_call_that_a_gateway_an_observer_and_its_provider_tell_is_one(company: Project) -> None:
    calls = query(company, "SELECT count(*) FROM core.requests WHERE input_uncached_tokens = 1000")
    left_out = query(
        company, "SELECT reason, count(*) FROM ops.duplicates WHERE reason LIKE 'sum%' GROUP BY 1 ORDER BY 1"
    )

    assert calls == [(1,)]
    assert left_out == [("sum_of_parts", 1)]


def test_a_clouds_calls_are_priced_and_what_it_counts_is_held_against_the_logs(company: Project) -> None:
    calls = query(company, """
        SELECT r.source_kind, c.provider, c.model, c.price_state, c.effective_usd
        FROM core.request_costs c JOIN core.requests r USING (source, request_id)
        WHERE r.output_text_tokens = 33 ORDER BY 1
    """)  # fmt: skip
    counts = query(company, """
        SELECT source_kind, bucket_seconds, provider, model, counted_count, counted_input_tokens, counted_output_tokens
        FROM ops.completeness
        WHERE coalesce(counted_count, counted_input_tokens, counted_output_tokens) IS NOT NULL ORDER BY 1
    """)  # fmt: skip

    # 10 tokens in for $2.50 and 33 out for $10 a million; an endpoint of SageMaker is paid by the hour.
    cost = ("priced", Decimal("0.000355"))
    assert calls == [
        ("apim_llm_log", "azure.ai.openai", "gpt-4o-2024-08-06", *cost),
        ("azure_openai_diag", "azure.ai.openai", "gpt-4o-2024-11-20", *cost),
        ("sagemaker_data_capture", "aws.sagemaker", "gpt-4o-2024-11-20", "unpriced", None),
    ]
    hour, day = 3600, 86400
    assert counts == [
        ("anthropic_analytics", hour, "anthropic", "claude-sonnet-5", 1, 10, 33),
        ("anthropic_claude_code", day, "anthropic", "claude-sonnet-5", None, 15, 33),
        ("apim_token_metrics", hour, "azure.ai.openai", "gpt-4o-2024-08-06", None, 33, None),
        ("azure_monitor_metrics", hour, "azure.ai.openai", "gpt-4o-2024-08-06", None, 33, None),
        ("cloudwatch_metrics", hour, "aws.bedrock", "amazon.nova-lite-v1:0", None, 33, None),
        ("gcp_monitoring", hour, "gcp.vertex_ai", "gemini-2.5-flash", None, None, 33),
        ("openrouter_activity_counts", day, "openrouter", "openai/gpt-5-mini", 33, 10, 5),
    ]


def test_the_marts_hold_every_kind_once(company: Project) -> None:
    ((in_marts, in_core),) = query(company, """
        SELECT (SELECT sum(usage_usd) FROM mart.cost_per_token_daily),
               (SELECT sum(effective_usd) FROM core.request_costs)
    """)  # fmt: skip

    assert in_marts == in_core
