"""Lines are missing from the log: the run says how many calls, tokens and dollars, hour by hour."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.project import Project
from tests.pipelines.small import SETTINGS, gateway_row, make_project, nanodollar, query, write_lines

COUNTERS = """
[[sources]]
name = "usage"
kind = "openai_usage_api"
path = "landing/usage/*.json*"
[[sources]]
name = "engines"
kind = "prometheus"
path = "landing/engines/*.prom"
"""
NINE = 1_793_610_000
"""2026-11-02 09:00 UTC in Unix seconds."""


def page(*results: dict[str, Any], start: int = NINE, seconds: int = 3600) -> str:
    """Return a page of OpenAI's usage API with one bucket."""
    bucket = {"object": "bucket", "start_time": start, "end_time": start + seconds, "results": [*results]}
    return json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None})


def used(calls: int, *, model: str = "gpt-4o-mini-2024-07-18", **more: Any) -> dict[str, Any]:
    """Return the count of calls of 1,000 tokens in, 400 of them cached, and 200 out."""
    return {
        "object": "organization.usage.completions.result", "input_tokens": 1000 * calls,
        "input_cached_tokens": 400 * calls, "output_tokens": 200 * calls, "num_model_requests": calls,
        "model": model, "project_id": None, "api_key_id": None,
    } | more  # fmt: skip


def write_day(folder: Path) -> Project:
    """Write a morning of which a gateway logged 8 calls, and the provider counted 10."""
    project = make_project(folder, SETTINGS + COUNTERS)
    rows = [gateway_row(f"r{number}", f"2026-11-02 09:{number:02}:00") for number in range(8)]
    write_lines(folder / "landing/gateway/morning.jsonl", rows)
    usage = folder / "landing/usage"
    usage.mkdir(parents=True)
    # The bucket was fetched while the hour ran, and again when it was over.
    (usage / "1.json").write_text(page(used(4)), encoding="utf-8")
    (usage / "2.json").write_text(page(used(10)), encoding="utf-8")
    return project


def test_a_gap_in_the_log_is_a_failed_check_with_its_tokens_and_dollars(tmp_path: Path) -> None:
    project = write_day(tmp_path)

    outcome = nanodollar(project, "run")

    # 8 logged calls cost 8 x $0.000240; the two that are missing as much each.
    assert outcome.code == 1, outcome.err
    words = "2 of 10 counted calls and 2,400 of 12,000 counted tokens (about $0.000480) are in no log"
    assert f"logs_are_complete: {words}, at worst 20.00% of a provider's day" in outcome.out, outcome.out
    rows = query(
        project,
        "SELECT bucket_hour::VARCHAR, bucket_seconds, source, provider, model, counted_count, logged_count, gap_count, "
        "gap_input_tokens, gap_cache_read_tokens, gap_output_tokens, gap_tokens, gap_estimated_usd, estimated_from "
        "FROM ops.completeness",
    )
    assert rows == [
        ("2026-11-02 09:00:00+00", 3600, "usage", "openai", "gpt-4o-mini", 10, 8, 2, 2000, 800, 400, 2400,
         Decimal("0.000480000000"), "logged"),
    ]  # fmt: skip
    failed = query(
        project,
        "SELECT is_passed, severity, failed_count, failed_ids FROM ops.check_results "
        "WHERE check_name = 'logs_are_complete'",
    )
    worst = "2026-11-02T09:00Z openai gpt-4o-mini by usage: 2 calls and 2,400 tokens"
    assert failed == [(False, "error", 1, [worst])]
    files = "SELECT path, accepted_count, duplicate_count FROM ops.source_files WHERE source = 'usage'"
    assert query(project, files) == [
        ("landing/usage/1.json", 0, 1), ("landing/usage/2.json", 1, 0),
    ]  # fmt: skip
    report = next(project.reports.rglob("*2026-11-02*.html")).read_text(encoding="utf-8")
    assert "2 of 10 counted calls and 2,400 counted tokens, estimated at" in report

    # The missing lines turn up: the same command holds the hour against its count again.
    late = [gateway_row(f"r{number}", f"2026-11-02 09:{number:02}:00") for number in (8, 9)]
    write_lines(project.folder / "landing/gateway/late.jsonl", late)

    assert nanodollar(project, "run").code == 0
    assert query(project, "SELECT gap_count, gap_tokens, gap_estimated_usd FROM ops.completeness") == [
        (0, 0, Decimal(0))
    ]
