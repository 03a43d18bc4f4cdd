"""The main job on a company small enough to work out by hand: files in, dollars out, again and again."""

import os
import signal
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb

from pipelines.automation.runner import dagster_home
from pipelines.project import Project
from pipelines.steps import steps
from pipelines.steps.months import whole_months
from pipelines.warehouse.connect import connect_read_only
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.turns import run_turn
from tests.pipelines.small import (
    fleet_row,
    gateway_row,
    make_project,
    nanodollar,
    query,
    write_company,
    write_lines,
)

COMMAND = [sys.executable, "-c", "from pipelines.cli.main import main; main()"]
FACTS = """
SELECT table_name, partition_key, row_count, content_hash FROM ops.partitions
WHERE table_name NOT LIKE 'ref.%' AND row_count > 0 ORDER BY ALL
"""


def test_every_attempt_costs_what_a_person_works_out(company: Project) -> None:
    rows = query(
        company,
        "SELECT request_id, hour(accrued_hour), effective_usd, price_state FROM core.request_costs ORDER BY ALL",
    )

    # gpt-4o-mini: 600 x $0.15 + 400 cached x $0.075 + 200 x $0.60 per million = $0.000240.
    # The H100 serves at $3.99 an hour: f1 alone for 300 s, then both for 300 s by 560 weighted tokens over their
    # durations (600 s and 2,700 s: 9/11 and 2/11), then f2 alone for 1,800 s before and 600 s after ten.
    assert rows == [
        ("f1", 9, Decimal("0.604545454545"), "priced"),
        ("f2", 9, Decimal("2.055454545455"), "priced"),
        ("f2", 10, Decimal("0.665000000000"), "priced"),
        ("r1", 9, Decimal("0.000240000000"), "priced"),
        ("r2", 9, None, "unpriced"),
        ("r3", 10, Decimal("0.000240000000"), "priced"),
    ]


def test_every_billed_gpu_second_has_an_owner(company: Project) -> None:
    rows = query(
        company,
        "SELECT hour(pool_hour), billed_usd, starting_usd, serving_usd, idle_usd, draining_usd FROM core.pool_hours "
        "ORDER BY ALL",
    )

    # The vendor bills from the image pull on: 58 minutes, then 51.
    assert rows == [
        (9, Decimal("3.857"), Decimal("0.532"), Decimal("2.66"), Decimal("0.665"), Decimal(0)),
        (10, Decimal("3.3915"), Decimal(0), Decimal("0.665"), Decimal("2.66"), Decimal("0.0665")),
    ]


def test_what_was_read_is_accepted_duplicate_or_quarantined(company: Project) -> None:
    rows = query(
        company,
        "SELECT source, read_count, accepted_count, duplicate_count, quarantined_count FROM ops.source_files "
        "ORDER BY 1",
    )

    assert rows == [("fleet", 2, 2, 0, 0), ("gateway", 4, 3, 0, 1), ("replicas", 6, 6, 0, 0)]


def test_a_day_sums_to_tokens_and_the_whole_gpu_bill(company: Project) -> None:
    (row,) = query(
        company,
        "SELECT sum(usage_usd), sum(available_usd), sum(unpriced_tokens) FROM mart.cost_per_token_daily",
    )

    assert row == (Decimal("3.32548"), Decimal("7.24898"), 290)


def test_running_again_computes_nothing(company_copy: Project) -> None:
    before = query(company_copy, FACTS)

    outcome = nanodollar(company_copy, "run")

    assert outcome.code == 1, "a model of the first run has no price still"
    assert "prices_cover_usage: 1 attempts" in outcome.out
    assert "Computed 0 hours and 0 days" in outcome.out
    assert query(company_copy, FACTS) == before


def test_rebuilding_a_range_gives_the_same_bytes(company_copy: Project) -> None:
    before = query(company_copy, FACTS)

    outcome = nanodollar(company_copy, "run", "--from", "2026-11-02T09:00", "--to", "2026-11-02T11:00")

    assert "Computed 2 hours and 1 days" in outcome.out
    assert query(company_copy, FACTS) == before


def test_a_late_file_changes_only_the_hours_that_it_touches(company_copy: Project) -> None:
    before = {(table, key): content for table, key, _, content in query(company_copy, FACTS)}
    marts = dg.RunsFilter(job_name="marts")
    with dg.DagsterInstance.from_config(str(dagster_home(company_copy))) as instance:
        runs_before = instance.get_runs_count(marts)
    write_lines(
        company_copy.folder / "landing/gateway/late.jsonl", [gateway_row("late", "2026-11-02 10:20:00")]
    )

    nanodollar(company_copy, "run")

    with dg.DagsterInstance.from_config(str(dagster_home(company_copy))) as instance:
        assert instance.get_runs_count(marts) == runs_before + 2, "one of all marts, and one of the page"
    after = {(table, key): content for table, key, _, content in query(company_copy, FACTS)}
    changed = {key for (table, key), content in after.items() if before.get((table, key)) != content}
    # Its hour, its business day, and what its month comes to, which the month's first day holds.
    assert changed == {"2026-11-02T10:00Z", "2026-11-02", "2026-11-01"}
    assert {
        name for name, key in after if key == "2026-11-01" and before.get((name, key)) != after[name, key]
    } <= {name for name, step in steps().items() if step.covers is whole_months}
    assert query(company_copy, "SELECT sum(usage_usd) FROM mart.cost_per_token_daily") == [
        (Decimal("3.32572"),)
    ]


def test_a_delivered_again_file_books_nothing_twice(company_copy: Project) -> None:
    folder = company_copy.folder / "landing/gateway"
    (folder / "again.jsonl").write_bytes((folder / "morning.jsonl").read_bytes())
    write_lines(folder / "overlap.jsonl", [gateway_row("r1", "2026-11-02 09:10:00")])

    nanodollar(company_copy, "run")

    assert query(company_copy, "SELECT count(*) FROM core.requests WHERE request_id = 'r1'") == [(1,)]
    assert query(company_copy, "SELECT sum(usage_usd) FROM mart.cost_per_token_daily") == [
        (Decimal("3.32548"),)
    ]
    # Which of two equal records stays does not depend on which came first.
    assert query(
        company_copy,
        "SELECT sum(duplicate_count), count(*) FILTER (path LIKE '%overlap%') FROM ops.source_files "
        "WHERE source = 'gateway'",
    ) == [(1, 1)]


def test_one_source_rebuilds_the_hours_from_all_sources(company_copy: Project) -> None:
    write_lines(
        company_copy.folder / "landing/fleet/late.jsonl",
        [fleet_row("f3", "replica-1", "llama-pool", "2026-11-02T10:20:00Z", "2026-11-02T10:30:00Z")],
    )
    write_lines(
        company_copy.folder / "landing/gateway/late.jsonl", [gateway_row("late", "2026-11-02 10:20:00")]
    )

    nanodollar(company_copy, "run", "--source", "fleet")

    hour = "SELECT request_id FROM core.requests WHERE hour(started_hour) = 10 ORDER BY 1"
    assert query(company_copy, hour) == [("f3",), ("r3",)]


def test_the_published_file_opens_in_a_stock_duckdb(company: Project) -> None:
    with duckdb.connect(company.published, read_only=True) as con:
        con.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
        spend = con.execute(
            "SELECT sum(spend_usd) FROM spend('2026-11-02', '2026-11-03', 'booked')"
        ).fetchone()
        lines = con.execute("SELECT meter, quantity FROM explain_cost('r1') ORDER BY meter").fetchall()
        silent = con.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL "
            "AND table_name IN (SELECT table_name FROM duckdb_tables())"
        ).fetchall()

    assert spend == (Decimal("7.24898"),)
    assert [(meter, int(quantity)) for meter, quantity in lines] == [
        ("cache_read", 400), ("input_uncached", 600), ("output_text", 200),
    ]  # fmt: skip
    assert silent == []


def test_the_report_of_the_day_is_written(company: Project) -> None:
    page = (company.reports / "daily" / "2026-11-02.html").read_text(encoding="utf-8")

    assert "7.25" in page
    assert "house-model" in page


def test_a_report_is_written_in_every_format_for_a_day_a_week_and_a_month(
    company_copy: Project,
) -> None:
    for kind, stem in (("daily", "2026-11-02"), ("weekly", "2026-11-02"), ("month-close", "2026-11")):
        options = ("--date", "2026-11-02", "--format", "html,pdf,xlsx,csv")
        assert nanodollar(company_copy, "report", kind, *options).code == 0
        written = {path.name for path in (company_copy.reports / kind).glob(f"{stem}.*")}
        assert written == {f"{stem}.{ending}" for ending in ("html", "pdf", "xlsx", "csv")}
    listed = (company_copy.reports / "index.html").read_text(encoding="utf-8")
    assert all(
        f"{kind}/{stem}.pdf" in listed
        for kind, stem in (("weekly", "2026-11-02"), ("month-close", "2026-11"))
    )
    nothing = nanodollar(company_copy, "report", "weekly", "--date", "2025-11-02")
    assert nothing.code == 1
    assert "there is no report of it" in nothing.err
    wrong = nanodollar(company_copy, "report", "daily", "--format", "html,docx")
    assert wrong.code == 2
    assert "'docx' is no format of a report" in wrong.err


def test_a_report_that_a_kill_cut_off_is_written_by_the_next_run(company_copy: Project) -> None:
    page = company_copy.reports / "daily" / "2026-11-02.html"
    page.write_text("of an earlier state", encoding="utf-8")
    with Warehouse(company_copy).committing(run_id="killed", job="reports") as commit:
        commit.execute("DELETE FROM ops.progress WHERE task = 'reports.daily'")

    nanodollar(company_copy, "run")

    assert "7.25" in page.read_text(encoding="utf-8")


def test_analysts_read_whole_days_while_a_run_writes(company_copy: Project) -> None:
    day = [gateway_row(f"n{number}", f"2026-11-03 {number % 24:02}:00:00") for number in range(240)]
    write_lines(company_copy.folder / "landing/gateway/next.jsonl", day)
    seen: set[int] = set()

    with (
        connect_read_only(company_copy) as con,
        subprocess.Popen(
            [*COMMAND, "--project", str(company_copy.folder), "run"], stderr=subprocess.PIPE, text=True
        ) as run,
    ):
        assert run.stderr is not None
        for _ in run.stderr:  # a line a step
            rows = con.execute(
                "SELECT count(*) FROM core.requests WHERE started_at >= '2026-11-03'"
            ).fetchall()
            seen.add(rows[0][0])

    assert seen == {0, 240}
    assert query(company_copy, "SELECT count(*) FROM core.requests WHERE started_at >= '2026-11-03'") == [
        (240,)
    ]


def test_a_killed_run_is_healed_by_the_next(tmp_path: Path, company: Project) -> None:
    project = write_company(tmp_path / "killed")

    with subprocess.Popen(
        [*COMMAND, "--project", str(project.folder), "run"], stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "core.request" in line:
                os.kill(run.pid, signal.SIGKILL)
                break
    nanodollar(project, "run")

    without_ids = (
        "SELECT * EXCLUDE (ingested_at, file_hash, api_key_id) FROM core.requests ORDER BY request_id"
    )
    assert query(project, without_ids) == query(company, without_ids)
    for table in (
        "core.request_costs",
        "core.pool_hours",
        "core.replica_states",
        "mart.cost_per_token_daily",
    ):
        assert query(project, f"FROM {table} ORDER BY ALL") == query(company, f"FROM {table} ORDER BY ALL")


def test_a_second_run_says_whom_it_waits_for_and_goes_on_after_it(company_copy: Project) -> None:
    command = [*COMMAND, "--project", str(company_copy.folder), "run"]
    told: list[str] = []
    with run_turn(company_copy, on_wait=told.append):
        second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        waits = second.stderr.readline()
        assert second.poll() is None
    out, _ = second.communicate()

    assert told == []
    assert (
        waits == f"A run of {company_copy.folder} is at work (process {os.getpid()}); waiting for its end.\n"
    )
    assert "nothing is new" in out


def test_days_of_a_half_hour_zone_sum_to_the_range(tmp_path: Path) -> None:
    project = write_company(tmp_path / "kolkata")
    settings = (project.folder / "nanodollar.toml").read_text(encoding="utf-8")
    project = make_project(project.folder, f'{settings}[reporting]\ntime_zone = "Asia/Kolkata"\n')
    write_lines(
        project.folder / "landing/gateway/night.jsonl",
        # 18:29 UTC is the last minute of 2 November in Kolkata, 18:30 the first of 3 November.
        [gateway_row("n1", "2026-11-02 18:29:59"), gateway_row("n2", "2026-11-02 18:30:00")],
    )

    nanodollar(project, "run")

    days = query(
        project, "SELECT accrued_on, sum(attempt_count) FROM mart.cost_per_token_daily GROUP BY 1 ORDER BY 1"
    )
    assert days == [(date(2026, 11, 2), 6), (date(2026, 11, 3), 1)]
    hours = query(project, "SELECT sum(usage_usd) FROM mart.cost_per_token_hourly")
    assert hours == query(project, "SELECT sum(usage_usd) FROM mart.cost_per_token_daily")
