"""Every class of the audit on LiteLLM rows whose booked cost is a mistake worked out by hand."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.finance import audit
from models.prices.builtin import builtin_token_sheets
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table
from pipelines.reports.audit import Books, audit_answer, audit_rows, read_export
from pipelines.sources.stored import stored_file
from tests.pipelines.small import gateway_row, nanodollar, write_lines

AT = "2026-08-01 09:10:00"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
MICRO = Decimal("0.000001")


def row(request_id: str, booked: str, *, at: str = AT, **changes: Any) -> dict[str, Any]:
    """Return a row that books so many millionths of a dollar; usage details go into its usage object."""
    prompt, completion = changes.pop("prompt", 0), changes.pop("completion", 0)
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    usage["prompt_tokens_details"] = changes.pop("input_details", {})
    usage["completion_tokens_details"] = changes.pop("output_details", {})
    metadata = {"usage_object": usage, **changes.pop("metadata", {})}
    return gateway_row(request_id, at) | {
        "spend": float(Decimal(booked) * MICRO), "prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt + completion, "metadata": json.dumps(metadata),
    } | changes  # fmt: skip


SONNET = {"model": "claude-sonnet-4-5", "custom_llm_provider": "anthropic"}
GPT_5 = {"model": "gpt-5", "custom_llm_provider": "openai"}
AUDIO = {"model": "gpt-4o-audio-preview"}
GEMINI = {"model": "gemini-2.5-pro", "custom_llm_provider": "gemini"}
O3 = {"model": "o3"}
GPT_4_1 = {"model": "gpt-4.1", "prompt": 1000, "completion": 100}
CACHED = {"prompt": 1000, "completion": 200, "input_details": {"cached_tokens": 400}}
FLEX = {"cost_breakdown": {"service_tier": "flex"}}
BATCH = {"cost_breakdown": {"service_tier": "batch"}}
CASES = [
    # gpt-4o-mini: 600 x 0.15 + 400 x 0.075 + 200 x 0.60 = 90 + 30 + 120 = 240 millionths.
    ("agrees", row("agrees", "240", **CACHED), "240"),
    ("cached_twice", row("cached at both rates", "300", **CACHED), "240"),  # + 400 x 0.15
    ("cache_rate", row("no cache discount", "270", **CACHED), "240"),  # 400 x 0.15 for 400 x 0.075
    ("cache_rate", row("cached for nothing", "210", **CACHED), "240"),
    ("missing_price", row("zero", "0", **CACHED), "240"),
    ("negative_cost", row("negative", "-30", **CACHED), "240"),
    ("unit_error", row("per thousand", "240000", **CACHED), "240"),
    ("one_side", row("stream without output", "150", prompt=1000, completion=100), "210"),  # output 100 x 0.60
    ("unexplained", row("odd", "251", **CACHED), "240"),
    # Sonnet 4.5: 1,000 x 3 + 20,000 one-hour writes x 6 = 123,000; at the five-minute rate 3,000 + 75,000.
    (
        "cache_rate",
        row(
            "one-hour writes at the five-minute rate", "78000", **SONNET, prompt=21_000,
            input_details={
                "cache_creation_tokens": 20_000,
                "cache_creation_token_details": {"ephemeral_1h_input_tokens": 20_000},
            },
        ),
        "123000",
    ),
    # Sonnet 4.5: 3 x 3 + 1,000 reads x 0.3 + 500 writes x 3.75 = 2,184; the whole prompt at 3 on top of it: + 4,500.
    (
        "cached_twice",
        row(
            "reads and writes at both rates", "6684", **SONNET, prompt=1503,
            input_details={"cached_tokens": 1000, "cache_creation_tokens": 500},
        ),
        "2184",
    ),
    # gpt-5: 1,000 x 1.25 + (500 text + 4,500 reasoning) x 10 = 51,250.
    (
        "reasoning",
        row("reasoning twice", "96250", **GPT_5, prompt=1000, completion=5000,
            output_details={"reasoning_tokens": 4500}),
        "51250",
    ),
    (
        "reasoning",
        row("only reasoning", "46250", **GPT_5, prompt=1000, completion=5000,
            output_details={"reasoning_tokens": 4500}),
        "51250",
    ),
    (
        "reasoning",
        row("no reasoning", "6250", **GPT_5, prompt=1000, completion=5000,
            output_details={"reasoning_tokens": 4500}),
        "51250",
    ),
    # gpt-4o-audio-preview: 100 x 2.50 + 900 audio x 40 + 50 audio x 80 = 40,250; as text 1,000 x 2.50 + 50 x 10.
    (
        "modality",
        row("audio as text", "3000", **AUDIO, prompt=1000, completion=50, input_details={"audio_tokens": 900},
            output_details={"audio_tokens": 50}),
        "40250",
    ),
    # gpt-5 served at flex: 1,000 x 0.625 + 100 x 5 = 1,125; the default price is twice that.
    (
        "wrong_tier",
        row("flex at the default price", "2250", **GPT_5, prompt=1000, completion=100, metadata=FLEX),
        "1125",
    ),
    # gpt-4.1 at batch: 1,000 x 1 + 100 x 4 = 1,400.
    ("batch", row("batch at the full price", "2800", **GPT_4_1, metadata=BATCH), "1400"),
    ("batch", row("batch for nothing", "0", **GPT_4_1, metadata=BATCH), "1400"),
    # gpt-4.1 answered (1,000 x 2 + 100 x 8 = 2,800), gpt-4o-mini was asked for (1,000 x 0.15 + 100 x 0.60 = 210).
    (
        "wrong_model",
        row("fallback at the asked model's price", "210", **GPT_4_1,
            metadata={"attempted_fallbacks": 1, "original_model_group": "gpt-4o-mini"}),
        "2800",
    ),
    # Gemini 2.5 Pro above 200,000: 250,000 x 2.50 + 1,000 x 15 = 640,000; at base rates 312,500 + 10,000; on the
    # excess only 200,000 x 1.25 + 50,000 x 2.50 + 1,000 x 10 = 385,000.
    ("long_context", row("no surcharge", "322500", **GEMINI, prompt=250_000, completion=1000), "640000"),
    ("long_context", row("excess only", "385000", **GEMINI, prompt=250_000, completion=1000), "640000"),
    # Sonnet 4.5: 1,000 x 3 + 3 searches x 10,000.
    (
        "tool_fee",
        row("searches for nothing", "3000", **SONNET, prompt=1000, input_details={"web_search_requests": 3}),
        "33000",
    ),
    # o3 was cut on 2025-06-10: 1,000 x 2 + 100 x 8 = 2,800 after it, 1,000 x 10 + 100 x 40 = 14,000 before.
    ("stale_price", row("old price", "14000", **O3, prompt=1000, completion=100), "2800"),
    ("stale_price", row("new price", "2800", at="2025-06-01 09:00:00", **O3, prompt=1000, completion=100), "14000"),
    ("not_billable", row("failed", "77", status="failure"), "0"),
    ("not_billable", row("from the gateway's cache", "240", cache_hit="True", **CACHED), "0"),
    ("not_comparable", row("unknown", "500", model="house-model", **CACHED), None),
]  # fmt: skip
AGAIN = next(case for _, case, _ in CASES if case["request_id"] == "reads and writes at both rates")


@pytest.fixture(scope="module")
def books() -> Books:
    sheets = load_token_sheets(builtin_token_sheets())
    return Books(token_book(sheets), model_aliases(sheets), table("ref.fx_rates").empty())


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, books: Books) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("export")
    path = write_lines(folder / "spend.jsonl", [*(case for _, case, _ in CASES), AGAIN])
    export = read_export([(stored_file(path, project=folder), "litellm_spend_logs")], read_at=NOW)
    return audit_rows(export, books, as_known_at=NOW)


@pytest.mark.parametrize(("kind", "case", "true"), CASES, ids=[case["request_id"] for _, case, _ in CASES])
def test_each_mistake_is_recognised(
    audited: pl.DataFrame, kind: str, case: dict[str, Any], true: str | None
) -> None:
    found = audited.filter(pl.col("request_id") == case["request_id"], pl.col("kind") != "duplicate").row(
        0, named=True
    )
    assert (found["kind"], found["priced_usd"]) == (kind, None if true is None else Decimal(true) * MICRO)


def test_a_row_that_repeats_a_call_is_a_duplicate_and_its_whole_cost_is_difference(
    audited: pl.DataFrame,
) -> None:
    (found,) = audited.filter(pl.col("kind") == "duplicate").to_dicts()
    assert found["request_id"] == "reads and writes at both rates"
    assert found["difference_usd"] == 6684 * MICRO


def test_one_factor_for_all_rows_of_a_model_is_a_margin(tmp_path: Path, books: Books) -> None:
    rows = [
        row(f"r{n}", str(Decimal("1.2") * (n * 15 + 60)), prompt=n * 100, completion=100) for n in range(1, 7)
    ]
    path = write_lines(tmp_path / "spend.jsonl", rows)
    export = read_export([(stored_file(path, project=tmp_path), "litellm_spend_logs")], read_at=NOW)
    found = audit_rows(export, books, as_known_at=NOW)
    assert set(found["kind"]) == {"factor"}
    assert set(found["detail"]) == {"1.2 times the list price"}


def test_digits_that_an_export_does_not_print_are_rounding(tmp_path: Path, books: Books) -> None:
    # n x 0.15 + 60 millionths, printed to six decimals.
    rows = [row(f"r{n}", "0", prompt=n, completion=100) for n in range(1, 2001, 13)]
    for n, one in zip(range(1, 2001, 13), rows, strict=True):
        one["spend"] = float(round((n * Decimal("0.15") + 60) * MICRO, 6))
    path = write_lines(tmp_path / "spend.jsonl", rows)
    export = read_export([(stored_file(path, project=tmp_path), "litellm_spend_logs")], read_at=NOW)
    assert set(audit_rows(export, books, as_known_at=NOW)["kind"]) <= {"rounding", "agrees"}


def test_a_report_names_every_class_with_count_dollars_and_examples(
    audited: pl.DataFrame,
) -> None:
    kinds = {kind for kind, _, _ in CASES} | {"duplicate"}
    classes = audit.by_class(audited)
    assert set(classes["kind"]) == kinds - {"not_comparable"}
    assert classes["difference_usd"].sum() == audit.totals(audited).difference_usd
    assert classes.filter(pl.col("examples").list.len() == 0).is_empty()
    assert set(audit.KINDS) >= kinds - {"agrees", "not_comparable"}


@settings(max_examples=3, deadline=None)
@given(booked=st.lists(st.decimals("-0.001", "0.01", places=9), min_size=8, max_size=len(CASES)))
def test_classes_sum_exactly_to_the_whole_difference(
    tmp_path_factory: pytest.TempPathFactory, books: Books, booked: list[Decimal]
) -> None:
    folder = tmp_path_factory.mktemp("export")
    rows = [case | {"spend": float(usd)} for (_, case, _), usd in zip(CASES, booked, strict=False)]
    path = write_lines(folder / "spend.jsonl", rows)
    export = read_export([(stored_file(path, project=folder), "litellm_spend_logs")], read_at=NOW)
    found = audit_rows(export, books, as_known_at=NOW)
    answer = audit_answer(export, found)
    totals = answer["totals"]
    assert sum(one["difference_usd"] for one in answer["classes"]) == totals["difference_usd"]
    assert totals["booked_usd"] - totals["priced_usd"] == totals["difference_usd"]
    assert sum(one["row_count"] for one in answer["classes"]) + totals["not_comparable_count"] == len(rows)
    apart = totals["not_comparable_booked_usd"]
    assert totals["booked_usd"] + apart == sum(Decimal(str(float(usd))) for usd in booked)


def test_the_command_needs_no_project_and_writes_three_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANODOLLAR_PROJECT", raising=False)
    write_lines(tmp_path / "spend.jsonl", [case for _, case, _ in CASES])
    shown = nanodollar(None, "audit", "spend.jsonl")
    answer = json.loads(nanodollar(None, "audit", "spend.jsonl", "--format", "json").out)
    assert (
        nanodollar(None, "audit", "spend.jsonl", "--format", "html").out.strip() == "Wrote audit-spend.html"
    )
    page = (tmp_path / "audit-spend.html").read_text(encoding="utf-8")

    assert "Cached tokens charged twice" in shown.out
    assert {one["kind"] for one in answer["classes"]} >= {"cached_twice", "wrong_model", "stale_price"}
    assert "reads and writes at both rates" in page
    assert "http" not in page.replace("https://", "").replace("http://", "")  # loads nothing
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit-spend.html", "spend.jsonl"]


def test_the_rows_of_the_vendor_s_own_fixtures_agree() -> None:
    folder = Path("../shared/data/log-litellm")
    if not folder.exists():
        pytest.skip("the shared data folder is not here")
    for name in ("spend_logs_payload.json", "standard_logging_payload.json"):
        outcome = nanodollar(None, "audit", str(folder / name), "--format", "json")
        totals = json.loads(outcome.out)["totals"]
        assert (totals["agreeing_count"], totals["booked_usd"]) == (1, "0.000225")


def test_an_export_without_a_cost_of_its_own_is_refused(tmp_path: Path) -> None:
    lines = [
        {
            "request_id": "a",
            "started_at": "2026-08-01T00:00:00Z",
            "provider": "openai",
            "served_model": "gpt-5",
        }
    ]
    path = write_lines(tmp_path / "calls.jsonl", lines)
    outcome = nanodollar(None, "audit", str(path), "--kind", "requests")
    assert outcome.code == 1
    assert "books no cost of its own" in outcome.err
