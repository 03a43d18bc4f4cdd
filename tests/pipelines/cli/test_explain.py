"""nanodollar explain: each attempt back to its log line and price rows, priced or not."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from models.costs.token_costs import price_requests
from models.prices.builtin import builtin_token_sheets
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table
from pipelines.project import Project
from pipelines.warehouse.resource import Warehouse
from tests.models.marts.warehouse import gpu_attempt, pool_hour
from tests.pipelines.small import make_project, nanodollar

NINE = datetime(2026, 11, 2, 9, tzinfo=UTC)
DAY = date(2026, 11, 2)
CALL = {
    "source": "gateway", "source_kind": "litellm_spend_logs", "started_at": NINE + timedelta(minutes=10),
    "started_hour": NINE, "provider": "openai", "requested_model": "support", "routed_model": "gpt-4o-mini",
    "served_model": "gpt-4o-mini", "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False,
    "ingested_at": NINE, "file_hash": "f1", "record_number": 1, "input_uncached_tokens": 600,
    "cache_read_tokens": 400, "output_text_tokens": 200,
}  # fmt: skip
GPU_PRICE = {
    "price_id": "gpu-1", "provider": "lambda", "chip": "H100", "commitment": "on_demand",
    "usd_per_gpu_hour": Decimal("3.99"), "picodollars_per_gpu_hour": 3_990_000_000_000, "is_rounded": False,
    "granularity_seconds": 60, "minimum_seconds": 60, "billed_phases": ["serving"], "valid_from": NINE,
    "known_from": NINE, "sheet_version": "v1", "sheet_path": "data/prices/gpu/lambda.yml", "sheet_line": 10,
    "source_url": "https://example.com",
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A lake with a priced call, its retry, calls of an unknown model and class, and one on a GPU."""
    project = make_project(tmp_path_factory.mktemp("lake"))
    sheets = load_token_sheets(builtin_token_sheets())
    calls = [
        CALL | {"request_id": "r1", "logical_request_id": "asked", "line_number": 41},
        CALL
        | {
            "request_id": "r2",
            "logical_request_id": "asked",
            "line_number": 42,
            "provider_reported_cost_usd": Decimal("0.00031"),
        },
        CALL | {"request_id": "r3", "served_model": "gpt-4o-mini-2", "line_number": 43},
        CALL | {"request_id": "r4", "audio_output_tokens": 7, "line_number": 44},
    ]
    requests = table("core.requests").frame(calls)
    book, models = token_book(sheets), model_aliases(sheets)
    costs = price_requests(
        requests.lazy(), book=book.lazy(), models=models.lazy(), time_zone="UTC",
        as_known_at=NINE + timedelta(days=9), from_hour=NINE, to_hour=NINE + timedelta(hours=1),
    ).collect()  # fmt: skip
    on_gpu = table("core.request_costs").frame(
        [
            gpu_attempt(
                "g1", NINE, DAY, effective_usd=Decimal("0.5"), allocation_weight=Decimal(560), price_id="gpu-1",
                allocation_grain="replica",
            ),
            gpu_attempt(
                "g2", NINE, DAY, effective_usd=Decimal("1.5"), allocation_weight=Decimal(7), price_id="gpu-1",
                allocation_rule="reserved_quota", weights_from="weights.yml:4",
            ),
        ]
    )  # fmt: skip
    landed = {
        "file_hash": "f1", "source": "gateway", "source_kind": "litellm_spend_logs", "path": "landing/a.jsonl",
        "size_bytes": 9, "read_count": 4, "landed_count": 4, "quarantined_count": 0, "ignored_count": 0,
        "landed_at": NINE,
    }  # fmt: skip
    with Warehouse(project).committing(run_id="run-7", job="facts") as commit:
        commit.replace("ref.token_prices", book)
        commit.replace("ref.models", models)
        commit.replace("ref.gpu_prices", table("ref.gpu_prices").frame([GPU_PRICE]))
        commit.replace("core.requests", requests, partitions=[NINE])
        commit.replace("core.request_costs", pl.concat([costs, on_gpu]), partitions=[NINE])
        hour = pool_hour(NINE, DAY, serving_usd=Decimal(2), idle_usd=Decimal(1))
        commit.replace("core.pool_hours", table("core.pool_hours").frame([hour]), partitions=[NINE])
        commit.append("ops.landed_files", table("ops.landed_files").frame([landed]))
    return project


def test_a_priced_call_leads_to_log_line_price_row_sheet_and_run(lake: Project) -> None:
    outcome = nanodollar(lake, "explain", "r1", "--format", "json")
    (attempt,) = json.loads(outcome.out)["attempts"]
    (part,) = attempt["slices"]

    assert (attempt["effective_usd"], attempt["price_state"], attempt["remedy"]) == (
        "0.00024",
        "priced",
        None,
    )
    assert (attempt["log"]["log_path"], attempt["log"]["log_line"]) == ("landing/a.jsonl", 41)
    assert part["run_id"] == "run-7"
    assert [(line["meter"], line["quantity"], line["effective_usd"]) for line in part["lines"]] == [
        ("cache_read", "400", "0.00003"), ("input_uncached", "600", "0.00009"), ("output_text", "200", "0.00012"),
    ]  # fmt: skip
    line = part["lines"][0]
    written = Path(line["sheet_path"]).read_text(encoding="utf-8").splitlines()
    assert "valid_from: 2024-07-18" in written[line["sheet_line"] - 1]
    assert line["rule"] == "list price, tier default"


def test_a_logical_request_shows_all_its_attempts_and_their_sum(lake: Project) -> None:
    outcome = nanodollar(lake, "explain", "asked")
    assert outcome.out.count("Attempt r") == 2
    assert "2 attempts, 2 with a price, together $0.00048" in outcome.out
    assert "gateway  booked $0.00031 itself, $0.00007 more than ours" in outcome.out


def test_an_unknown_model_says_what_to_add_and_what_it_resembles(lake: Project) -> None:
    outcome = nanodollar(lake, "explain", "r3")
    assert "not priced: unknown_model" in outcome.out
    assert "The book knows gpt-4o-mini" in outcome.out
    assert "add to prices/tokens/openai.yml" in outcome.out


def test_an_unpriced_class_is_named_and_its_estimate_shown_apart(lake: Project) -> None:
    outcome = nanodollar(lake, "explain", "r4")
    assert "no rate of 'gpt-4o-mini' for audio_output" in outcome.out
    assert "in no total" in outcome.out


def test_a_call_on_a_gpu_shows_pool_rate_share_and_sheet(lake: Project) -> None:
    outcome = nanodollar(lake, "explain", "g1")
    assert "llama-pool on H100 (on_demand), $3.99 per GPU-hour" in outcome.out
    assert "served $2 of $3 billed" in outcome.out
    assert "share    $0.5 by token_share (weighted tokens a second) at replica grain" in outcome.out
    assert "weight   560, weights of tokens: default" in outcome.out
    assert "data/prices/gpu/lambda.yml:10" in outcome.out


def test_a_call_on_a_gpu_names_the_rule_and_the_weights_that_were_in_force(lake: Project) -> None:
    outcome = nanodollar(lake, "explain", "g2")
    assert "share    $1.5 by reserved_quota (what its tenant reserved" in outcome.out
    assert "weight   7, weights of tokens: weights.yml:4" in outcome.out
    (attempt,) = json.loads(nanodollar(lake, "explain", "g2", "--format", "json").out)["attempts"]
    (part,) = attempt["slices"]
    assert (part["pool"]["allocation_rule"], part["pool"]["weights_from"]) == (
        "reserved_quota",
        "weights.yml:4",
    )


def test_an_unknown_id_is_one_sentence(lake: Project) -> None:
    outcome = nanodollar(lake, "explain", "nobody")
    assert outcome.code == 1
    assert outcome.err.startswith("Error: No attempt or logical request 'nobody' is in ")
