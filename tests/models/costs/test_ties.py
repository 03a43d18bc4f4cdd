"""What a row states of provider, tier and model decides whether it ran on a pool, also under the pool's route."""

from datetime import UTC, datetime

import polars as pl
import pytest

from models.costs.ties import tied
from models.schemas import table

REPLICAS = pl.DataFrame(
    [
        {"replica_id": "v0", "deployment": "chat", "provider": "aws", "chip": "H100"},
        {"replica_id": "w0", "deployment": "chat", "provider": "coreweave", "chip": "H100"},
        {"replica_id": "u0", "deployment": "nowhere", "provider": None, "chip": None},
        {
            "replica_id": "ptu",
            "deployment": "reserved",
            "provider": "azure.ai.openai",
            "chip": "capacity_unit",
        },
        {"replica_id": "f0", "deployment": "rented", "provider": "fireworks", "chip": "H100"},
        {"replica_id": "n1", "deployment": "(none)", "provider": "aws", "chip": "H100"},
    ]
)
MODELS = pl.DataFrame(
    {
        "provider": ["openai", "azure.ai.openai", "fireworks"],
        "alias": ["gpt-4o-mini", "gpt-4o-2024-08-06", "llama-v3p3-70b"],
    }
)
CASES = {
    # A gateway's group holds an own vLLM and a cloud's deployment (BerriAI/litellm#28228).
    "own pool": ({"route": "chat", "provider": "aws"}, True),
    "the other pool of the deployment": ({"route": "chat", "provider": "coreweave"}, True),
    "nothing stated": ({"route": "chat"}, True),
    "an engine bills nobody": ({"route": "chat", "provider": "vllm", "service_tier": "default"}, True),
    "an engine by LiteLLM's name": ({"route": "chat", "provider": "nvidia_nim"}, True),
    "another provider": ({"route": "chat", "provider": "openai", "served_model": "gpt-4o-mini"}, False),
    "another provider without a price": ({"route": "chat", "provider": "openai", "served_model": "x"}, False),
    "token-priced where nobody is known to bill": (
        {"route": "nowhere", "provider": "openai", "served_model": "gpt-4o-mini"},
        False,
    ),
    "not priced where nobody is known to bill": ({"route": "nowhere", "provider": "acme"}, True),
    "the replica is named": ({"route": "else", "provider": "openai", "replica_id": "v0"}, True),
    "a replica that nobody knows": ({"route": "chat", "provider": "openai", "replica_id": "gone"}, False),
    "serverless beside rented GPUs": (
        {"route": "rented", "provider": "fireworks", "served_model": "llama-v3p3-70b"},
        False,
    ),
    "rented GPUs": ({"route": "rented", "provider": "fireworks", "served_model": "d#deployments/1"}, True),
    "provisioned": (
        {"route": "reserved", "provider": "azure.ai.openai", "service_tier": "provisioned",
         "served_model": "gpt-4o-2024-08-06"},
        True,
    ),
    "no tier on provisioned capacity": (
        {"route": "reserved", "provider": "azure.ai.openai", "served_model": "gpt-4o-2024-08-06"},
        True,
    ),
    **{
        f"{tier} beside provisioned capacity": (
            {"route": "reserved", "provider": "azure.ai.openai", "service_tier": tier}, False
        )
        for tier in ("spillover", "default", "batch", "priority")
    },
    "spillover of an own deployment": ({"route": "chat", "service_tier": "spillover"}, False),
    "a cache hit": ({"route": "chat", "is_gateway_cache_hit": True}, False),
    "another route": ({"route": "else"}, False),
    "a node serves nobody": ({"route": "(none)"}, False),
}  # fmt: skip


@pytest.fixture(scope="module")
def on_pools() -> set[str]:
    at = datetime(2026, 11, 2, tzinfo=UTC)
    rows = [
        {
            "source": "s", "source_kind": "requests", "request_id": name, "started_at": at, "started_hour": at,
            "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False, "ingested_at": at,
            "file_hash": "f", "line_number": 1, "record_number": 1, **said,
        }
        for name, (said, _) in CASES.items()
    ]  # fmt: skip
    on, off = tied(table("core.requests").frame(rows), REPLICAS, MODELS)
    assert sorted(on["request_id"].to_list() + off["request_id"].to_list()) == sorted(CASES)
    assert on.filter(pl.col("replica_id").is_not_null())["request_id"].to_list() == ["the replica is named"]
    return set(on["request_id"])


@pytest.mark.parametrize("name", CASES)
def test_a_row_is_on_a_pool_where_nothing_that_it_states_contradicts_it(name: str, on_pools: set[str]):
    assert (name in on_pools) is CASES[name][1]
