"""Published traces drive simulated replicas with published speeds: no request and no dollar is lost on the way.

Arrivals and tokens are real (Azure LLM 2023, Mooncake, ServeGen); when each request ends follows from measured speeds
of one node of eight GPUs (DeepSeek's own statement, InferenceX). The fleet and its prices are made up.
"""

import ast
import gzip
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.costs.allocation import allocate_requests
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.schemas import table
from pipelines.checks.pool_is_conserved import CHECK
from tests.models.costs.rows import replica_event, vendor_book
from tests.models.logs.reading import shared
from tests.models.marts.warehouse import fill, insert, open_warehouse

START = datetime(2026, 11, 20, 17, tzinfo=UTC)
HOURS = 3
WINDOW = {"time_zone": "Asia/Kolkata", "from_hour": START, "to_hour": START + timedelta(hours=HOURS)}
MINUTE = 60.0
TOKENS_A_BLOCK = 512
BOOK = vendor_book(
    ["chip: H800, commitment: on_demand, usd_per_gpu_hour: 2.00, valid_from: 2026-01-01"],
    billed_phases="loading, serving, idle, draining, failed",
    granularity_seconds=60,
    minimum_seconds=600,
).lazy()
DEEPSEEK = (32_200.0, 21.0)
"""Uncached prefill of a node, and output of one request, tokens a second: DeepSeek, 2025-02-28."""


def inferencex():
    """Return the same of GLM-5 on a node of eight GPUs: the best prefill, and the pace of that run's output."""
    with shared("inferencex-slo/results.jsonl").open(encoding="utf-8") as lines:
        runs = [run for run in map(json.loads, lines) if run["model_id"] == "zai-org/GLM-5-FP8"]
    best = max(runs, key=lambda run: run["input_throughput"])
    return best["input_throughput"], 1 / best["median_tpot"]


def azure(name):
    frame = pl.read_csv(shared(f"azure-llm-2023/AzureLLMInferenceTrace_{name}.csv"), try_parse_dates=True)
    at = frame["TIMESTAMP"].cast(pl.Datetime("us")).dt.timestamp("us")
    return {
        "at": (at - at.min()).to_numpy() / 1e6,
        "input": frame["ContextTokens"].to_numpy(),
        "cached": np.zeros(frame.height, dtype=np.int64),
        "output": frame["GeneratedTokens"].to_numpy(),
    }, inferencex()


def mooncake():
    """Blocks of 512 tokens that an earlier request had are read from the cache."""
    seen: set[int] = set()
    rows = []
    with gzip.open(shared("mooncake/conversation_trace.jsonl.gz"), "rt") as lines:
        for one in map(json.loads, lines):
            hits = len(seen.intersection(one["hash_ids"]))
            seen.update(one["hash_ids"])
            rows.append(
                (
                    one["timestamp"] / 1000,
                    one["input_length"],
                    min(hits * TOKENS_A_BLOCK, one["input_length"]),
                    one["output_length"],
                )
            )
    at, into, cached, output = (np.array(column) for column in zip(*rows, strict=True))
    return {"at": at, "input": into, "cached": cached, "output": output}, inferencex()


def servegen():
    """Arrivals of half an hour at each client's published rate, tokens by each client's published shares."""
    random = np.random.default_rng(0)
    rates = pl.read_csv(shared("servegen/reason_deepseek-r1_trace.csv.gz")).filter(
        pl.col("timestamp_s") < 30 * MINUTE
    )
    with gzip.open(shared("servegen/reason_deepseek-r1_dataset.jsonl.gz"), "rt") as lines:
        shapes = {one["client_id"]: one["dataset"] for one in map(json.loads, lines)}
    found = []
    for client, second, rate in rates.select("client_id", "timestamp_s", "rate_req_per_s").iter_rows():
        shape = next((each for each in shapes.get(client, {}).values() if each["input_tokens"] != "{}"), None)
        number = round(rate * 10 * MINUTE)
        if shape is None or not number:
            continue
        tokens = [
            _drawn(random, ast.literal_eval(shape[f"{side}_tokens"]), number) for side in ("input", "output")
        ]
        found.append(np.stack([second + random.uniform(0, 10 * MINUTE, number), *tokens]))
    at, into, output = np.concatenate(found, axis=1)
    none = np.zeros(len(at), dtype=np.int64)
    return {"at": at, "input": into.astype(int), "cached": none, "output": output.astype(int)}, DEEPSEEK


def _drawn(random, shares, number):
    weights = np.array(list(shares.values()))
    return random.choice(list(shares), number, p=weights / weights.sum())


REPLICAS = {
    # Two throughout, one that starts late, one that stops early, one whose start fails: minutes.
    "r0": {"requested": -10, "ready": -4, "stopped": 150},
    "r1": {"requested": -10, "ready": -4, "stopped": 150},
    "r2": {"requested": 14, "scheduled": 15, "ready": 22},
    "r3": {"requested": -10, "ready": -4, "draining": 31.7, "stopped": 33},
    "r4": {"requested": 20, "scheduled": 21, "failed": 29},
}


def events():
    return table("core.replica_events").frame(
        replica_event(
            event,
            START + timedelta(minutes=10 + minute),
            replica_id=name,
            deployment="pool",
            chip="H800",
            chip_count=8,
            event_hour=START,
            ingested_at=START,
        )
        for name, steps in REPLICAS.items()
        for event, minute in steps.items()
    )


def attempts(trace, speeds, *, is_named):
    """Lay the trace over the replicas that are ready when a request arrives, in turn."""
    prefill, pace = speeds
    number = len(trace["at"])
    at = pl.Series(trace["at"] + 10 * MINUTE)
    turn = np.arange(number)
    minute = trace["at"] / MINUTE
    extra = np.where(minute < 22, 3, 2)
    replica = np.where(turn % 3 < 2, turn % 3, extra)
    seconds = (trace["input"] - trace["cached"]) / prefill + trace["output"] / pace
    started = (at * 1e6).cast(pl.Int64).cast(pl.Duration("us")) + pl.lit(START)
    frame = pl.DataFrame(
        {
            "request_id": pl.Series(turn).cast(pl.String),
            "input_uncached_tokens": trace["input"] - trace["cached"],
            "cache_read_tokens": trace["cached"],
            "output_text_tokens": trace["output"],
            "replica_id": pl.Series([f"r{name}" for name in replica])
            if is_named
            else pl.Series([None] * number),
            "lasts": pl.Series(seconds * 1e6).cast(pl.Int64).cast(pl.Duration("us")),
            "at": pl.select(started).to_series(),
        }
    )
    facts = {
        "source": "trace", "source_kind": "requests", "route": "pool", "served_model": "m", "status": "ok",
        "usage_source": "provider", "file_hash": "f",
    }  # fmt: skip
    return table("core.requests").conform(
        frame.lazy().with_columns(
            *(pl.lit(value).alias(name) for name, value in facts.items()),
            pl.lit(1).alias("line_number"),
            pl.lit(1).alias("record_number"),
            pl.lit(value=False).alias("is_gateway_cache_hit"),
            pl.lit(START).alias("ingested_at"),
            pl.col("at").alias("started_at"),
            (pl.col("at") + pl.col("lasts")).alias("finished_at"),
            pl.col("at").dt.truncate("1h").alias("started_hour"),
        ),
        fill=True,
    )


TRACES = {
    "azure conversations": lambda: azure("conv"),
    "azure code": lambda: azure("code"),
    "mooncake": mooncake,
    "servegen": servegen,
}


@pytest.mark.parametrize("is_named", [True, False], ids=["replica named", "deployment named"])
@pytest.mark.parametrize("name", TRACES)
def test_real_traffic_carries_every_dollar_of_the_fleet(name, is_named):
    trace, speeds = TRACES[name]()
    requests = attempts(trace, speeds, is_named=is_named)
    known = {"prices": BOOK, "as_known_at": START + timedelta(days=1)}
    states = replica_states(events().lazy(), **known, **WINDOW).lazy()
    pools = pool_hours(events().lazy(), states, requests, **known, **WINDOW)
    costs = allocate_requests(requests, states, provisional_from=WINDOW["to_hour"], **WINDOW).collect()
    con = open_warehouse()
    insert(con, "core.pool_hours", pools)
    insert(con, "core.request_costs", costs)
    outcome = CHECK.judge(con, START, WINDOW["to_hour"])
    assert (outcome.failed_ids, pools["serving_usd"].sum() > 0) == ([], True)
    assert costs["request_id"].n_unique() == len(trace["at"])
    for column, key in (("cache_read_tokens", "cached"), ("output_text_tokens", "output")):
        assert costs[column].sum() == trace[key].sum()
    days = fill(
        con, "mart.cost_per_token_daily", "cost_per_token_daily",
        from_on=START.date(), to_on=START.date() + timedelta(days=2),
    )  # fmt: skip
    assert days.height == 2
    assert days["usage_usd"].sum() == pools["serving_usd"].sum()
    assert days["available_usd"].sum() == pools["billed_usd"].sum()
    assert days["total_tokens"].sum() == trace["input"].sum() + trace["output"].sum()
