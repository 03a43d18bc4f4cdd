"""Lines are missing from the log: the run says how many calls, tokens and dollars, hour by hour."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.automation.code_location import build_defs
from pipelines.landing.drive import land
from pipelines.project import Project
from tests.pipelines.landing.lake import lake
from tests.pipelines.small import (
    SETTINGS,
    fleet_row,
    gateway_row,
    lifecycle,
    make_project,
    nanodollar,
    query,
    write_lines,
)

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
    write_lines(
        folder / "landing/replicas/morning.jsonl",
        lifecycle(
            "replica-1", "llama-pool", "H100",
            ("requested", "2026-11-02T09:00:00Z"), ("ready", "2026-11-02T09:10:00Z"),
            ("stopped", "2026-11-02T09:50:00Z"),
        ),
    )  # fmt: skip
    served = fleet_row("f1", "replica-1", "llama-pool", "2026-11-02T09:20:00Z", "2026-11-02T09:25:00Z")
    write_lines(folder / "landing/fleet/morning.jsonl", [served])
    # The engine answered two calls, of which one is in the log.
    counted = {"request_success": (0, 2), "prompt_tokens": (0, 2000), "generation_tokens": (0, 200)}
    write_lines(
        folder / "landing/engines/morning.prom",
        [
            f'vllm:{name}_total{{model_name="llama-3.3-70b",engine="0"}} {value:.1f} {(NINE + at) * 1000}'
            for name, values in counted.items() for at, value in zip((600, 2400), values, strict=True)
        ],
    )  # fmt: skip
    return project


def test_a_gap_in_the_log_is_a_failed_check_with_its_tokens_and_dollars(tmp_path: Path) -> None:
    project = write_day(tmp_path)

    outcome = nanodollar(project, "run")

    # 8 logged calls cost 8 x $0.000240, and the two that are missing as much each; the call of the owned H100 cost 300
    # seconds at $3.99 an hour, and so would have the one that is missing.
    assert outcome.code == 1, outcome.err
    words = "3 of 12 counted calls and 3,500 of 14,200 counted tokens (about $0.332980) are in no log"
    assert f"logs_are_complete: {words}, at worst 50.00% of a provider's day" in outcome.out, outcome.out
    rows = query(
        project,
        "SELECT bucket_hour::VARCHAR, bucket_seconds, source, provider, model, counted_count, logged_count, gap_count, "
        "gap_input_tokens, gap_cache_read_tokens, gap_output_tokens, gap_tokens, gap_estimated_usd, estimated_from "
        "FROM ops.completeness ORDER BY source DESC",
    )
    nine = ("2026-11-02 09:00:00+00", 3600)
    assert rows == [
        (*nine, "usage", "openai", "gpt-4o-mini", 10, 8, 2, 2000, 800, 400, 2400, Decimal("0.000480000000"), "logged"),
        (*nine, "engines", "self_hosted", "llama-3.3-70b", 2, 1, 1, 1000, None, 100, 1100, Decimal("0.332500000000"),
         "logged"),
    ]  # fmt: skip
    failed = query(
        project,
        "SELECT is_passed, severity, failed_count, failed_ids FROM ops.check_results "
        "WHERE check_name = 'logs_are_complete'",
    )
    worst = [
        "2026-11-02T09:00Z openai gpt-4o-mini by usage: 2 calls and 2,400 tokens",
        "2026-11-02T09:00Z self_hosted llama-3.3-70b by engines: 1 call and 1,100 tokens",
    ]
    assert failed == [(False, "error", 2, worst)]
    files = "SELECT path, accepted_count, duplicate_count FROM ops.source_files WHERE source = 'usage'"
    assert query(project, files) == [
        ("landing/usage/1.json", 0, 1), ("landing/usage/2.json", 1, 0),
    ]  # fmt: skip
    report = next(project.reports.rglob("*2026-11-02*.html")).read_text(encoding="utf-8")
    assert "3 of 12 counted calls and 3,500 counted tokens, estimated at" in report

    # The missing lines turn up, and so does the count of an hour that no log tells of.
    late = [gateway_row(f"r{number}", f"2026-11-02 09:{number:02}:00") for number in (8, 9)]
    write_lines(project.folder / "landing/gateway/late.jsonl", late)
    (project.folder / "landing/usage/3.json").write_text(
        page(used(1), start=NINE + 6 * 3600), encoding="utf-8"
    )

    outcome = nanodollar(project, "run")

    assert "2 of 13 counted calls and 2,300 of 15,400 counted tokens (about $0.332740)" in outcome.out, (
        outcome.out
    )
    rows = query(
        project,
        "SELECT hour(bucket_hour), provider, gap_count, gap_tokens, gap_estimated_usd FROM ops.completeness "
        "ORDER BY ALL",
    )
    assert rows == [
        (9, "openai", 0, 0, Decimal(0)),
        (9, "self_hosted", 1, 1100, Decimal("0.332500000000")),
        (15, "openai", 1, 1200, Decimal("0.000240000000")),
    ]


def test_a_new_count_asks_for_its_hours_once_and_for_no_other_fact(tmp_path: Path) -> None:
    warehouse = lake(tmp_path, more=COUNTERS)
    project = warehouse.project
    (source,) = [item for item in project.sources if item.name == "usage"]
    folder = project.folder / "landing/usage"
    folder.mkdir(parents=True)
    sensor = build_defs(project=project).resolve_sensor_def("outdated_hours")
    context = dg.build_sensor_context(resources={"warehouse": warehouse})
    assert sensor.evaluate_tick(context).skip_message

    (folder / "1.json").write_text(page(used(4)), encoding="utf-8")
    land(warehouse, source, run_id="test")
    (asked,) = sensor.evaluate_tick(context).run_requests or []

    assert asked.asset_selection == (dg.AssetKey(["ops", "completeness"]),)
    assert asked.tags["dagster/asset_partition_range_start"] == "2026-11-02-09:00"
    # A running counter is read up to an hour after the calls that it counts.
    assert asked.tags["dagster/asset_partition_range_end"] == "2026-11-02-10:00"
    assert sensor.evaluate_tick(context).skip_message
