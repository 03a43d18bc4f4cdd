"""A real LiteLLM proxy: what it logs of calls whose usage is known becomes those token classes."""

import json
import os
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.models.logs.reading import read_records, tokens_of
from tests.producers.environment import producer_environment
from tests.producers.litellm.upstream import ANSWER, upstream

pytestmark = pytest.mark.producer

HERE = Path(__file__).parent / "litellm"
KEY = "sk-nanodollar-test"
PROMPT = "the planted prompt"
CHATS = ("chat", "reasoning", "claude", "unknown", "broken")
CALLS = [
    ("/v1/chat/completions", {"model": model, "stream": stream})
    for model in CHATS
    for stream in (False, True)
] + [
    ("/v1/embeddings", {"model": "embed", "input": PROMPT}),
    ("/v1/messages", {"model": "claude", "max_tokens": 64, "stream": False}),
    ("/v1/messages", {"model": "claude", "max_tokens": 64, "stream": True}),
]
# prompt 1,000 of which 640 cached, completion 300
CHAT = {"input_uncached": 360, "cache_read": 640, "output_text": 300}
# Anthropic's 120 beside 4,000 read, 300 and 200 written for 5 minutes and an hour
CLAUDE = {
    "input_uncached": 120,
    "cache_read": 4000,
    "cache_write_5m": 300,
    "cache_write_1h": 200,
    "output_text": 300,
}
EXPECTED = {
    "chat": CHAT,
    "reasoning": {"input_uncached": 200, "output_text": 180, "reasoning": 320},
    "claude": CLAUDE,
    "unknown": {"input_uncached": 11, "output_text": 7},
    "embed": {"input_uncached": 9},
}
SERVED = {
    "chat": "gpt-4o-mini-2024-07-18",
    "reasoning": "o4-mini",
    "claude": "claude-3-7-sonnet-20250219",
    "unknown": "no-such-model-in-any-map",
    "embed": "text-embedding-3-small",
}


@contextmanager
def proxy(upstream_url: str) -> Iterator[str]:
    environment = producer_environment("litellm")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "UPSTREAM_URL": upstream_url,
        "UPSTREAM_V1": f"{upstream_url}/v1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONPATH": str(HERE),
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/tmp"),
    }
    command = [
        environment / "bin" / "litellm",
        "--config",
        HERE / "config.yaml",
        "--host",
        "127.0.0.1",
        "--port",
    ]
    process = subprocess.Popen(
        [*map(str, command), str(port)],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    told: list[str] = []
    is_up = threading.Event()

    def listen() -> None:
        for line in process.stdout or ():
            told.append(line)
            if "Uvicorn running on" in line:
                is_up.set()
        is_up.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        assert is_up.wait(90), "".join(told)[-2000:]
        assert process.poll() is None, "".join(told)[-2000:]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        listener.join(10)
        if process.stdout:
            process.stdout.close()


def call(address: str, path: str, body: dict[str, Any]) -> None:
    question = {} if "input" in body else {"messages": [{"role": "user", "content": PROMPT}]}
    tags = {"metadata": {"tags": ["task_class:support"]}} if path.endswith("completions") else {}
    request = urllib.request.Request(
        address + path,
        json.dumps(body | question | tags).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[dict[str, Any]]]:
    with upstream() as (upstream_url, queue), proxy(upstream_url) as address:
        for path, body in CALLS:
            call(address, path, body)
        with pytest.raises(urllib.error.HTTPError, match="429"):
            call(address, "/v1/chat/completions", {"model": "refused"})
        both = [queue.get(timeout=60) for _ in CALLS]
    return {"litellm_spend_logs": [one["spend_logs"] for one in both],
            "litellm_standard_payload": [one["payload"] for one in both]}  # fmt: skip


@pytest.fixture(params=["litellm_spend_logs", "litellm_standard_payload"])
def rows(request: pytest.FixtureRequest, recorded: dict[str, list[dict[str, Any]]]) -> pl.DataFrame:
    return read_records(request.param, recorded[request.param])


def test_every_call_of_a_real_proxy_has_the_tokens_of_its_upstream(rows):
    assert rows["quarantine_reason"].null_count() == rows.height == len(CALLS)
    assert sorted(rows["route"]) == sorted(
        [
            *(model for model in CHATS for _ in "ns" if model != "broken"),
            "chat",
            "chat",
            "embed",
            "claude",
            "claude",
        ]
    )
    for row in rows.iter_rows(named=True):
        assert tokens_of(row) == EXPECTED[row["route"]]
        assert row["usage_source"] == "provider"
        assert row["served_model"] == SERVED[row["route"]]
        assert row["provider"] == ("anthropic" if row["route"] == "claude" else "openai")
        assert row["started_at"] <= row["finished_at"]


def test_a_real_fallback_is_told_with_what_was_asked_for(recorded):
    rows = read_records("litellm_spend_logs", recorded["litellm_spend_logs"])
    fell_back = rows.filter("is_fallback")
    assert fell_back["requested_model"].to_list() == ["broken", "broken"]
    assert fell_back["served_model"].to_list() == ["gpt-4o-mini-2024-07-18"] * 2
    payloads = read_records("litellm_standard_payload", recorded["litellm_standard_payload"])
    # A payload of a streamed call carries no headers to tell it.
    assert payloads["is_fallback"].sum() >= 1


def test_a_model_that_the_gateway_has_no_price_for_keeps_its_tokens_and_its_zero(rows):
    unknown = rows.filter(pl.col("route") == "unknown")
    assert unknown["provider_reported_cost_usd"].to_list() == [0, 0]
    assert [tokens_of(row) for row in unknown.iter_rows(named=True)] == [EXPECTED["unknown"]] * 2


def test_tags_and_keys_of_a_real_proxy_are_kept_as_they_may_be(rows):
    tagged = rows.filter(pl.col("operation") == "chat", pl.col("task_class").is_not_null())
    assert set(tagged["task_class"]) == {"support"}
    assert rows["api_key_id"].str.contains("^[0-9a-f]{64}$").all()


def test_no_prompt_and_no_answer_of_a_real_proxy_is_read(rows, recorded):
    text = rows.write_json()
    assert PROMPT in json.dumps(recorded["litellm_standard_payload"])
    assert PROMPT not in text
    assert ANSWER not in text
    assert KEY not in text
