"""What a Dagster user holds on to: names, partitions, jobs, schedules, the sensor, backfills and checks."""

import re
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from models.schemas import tables
from pipelines.automation.code_location import build_defs
from pipelines.automation.runner import dagster_home
from pipelines.automation.schedules import URGENT
from pipelines.project import Project
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.small import (
    gateway_row,
    make_project,
    materialize,
    nanodollar,
    query,
    write_lines,
)


@pytest.fixture(scope="session")
def definitions(company: Project) -> dg.Definitions:
    return build_defs(project=company)


def test_the_workspace_names_a_location_that_loads(company: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = yaml.safe_load(Path("workspace.yaml").read_text(encoding="utf-8"))
    assert workspace == {"load_from": [{"python_module": "pipelines.definitions"}]}
    monkeypatch.setenv("NANODOLLAR_PROJECT", str(company.folder))

    from pipelines.definitions import defs

    dg.Definitions.validate_loadable(defs())


def test_assets_are_named_as_their_tables(definitions: dg.Definitions) -> None:
    keys = {".".join(key.path) for key in definitions.resolve_all_asset_keys()}
    known = {name for name, table in tables().items() if table.select is None}
    fed_by_hand = {"core.adjustments"}

    assert {key for key in keys if key.startswith("raw.")} == {"raw.gateway", "raw.fleet", "raw.replicas"}
    assert {key for key in keys if key.split(".")[0] in {"ref", "core", "mart"}} == {
        name for name in known if name.split(".")[0] in {"ref", "core", "mart"}
    } - fed_by_hand
    assert {"reports.daily", "reports.published_warehouse", "ops.coverage"} <= keys


def test_groups_and_grains_follow_the_flow(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    grains = {
        ".".join(key.path): type(node.partitions_def).__name__ if node.partitions_def else "none"
        for key, node in ((key, graph.get(key)) for key in graph.get_all_asset_keys())
    }
    groups = {graph.get(key).group_name for key in graph.get_all_asset_keys()}

    assert groups == {"raw", "ref", "core", "mart", "reports"}
    assert {grains[name] for name in grains if name.startswith(("raw.", "ref."))} == {"none"}
    bills = {"core.invoice_lines", "core.invoices"}
    facts = {name for name in grains if name.startswith("core.")} - bills
    assert {grains[name] for name in facts} == {"HourlyPartitionsDefinition"}
    assert {grains[name] for name in bills} == {"DailyPartitionsDefinition"}
    assert grains["mart.cost_per_token_hourly"] == "HourlyPartitionsDefinition"
    assert grains["mart.cost_per_token_daily"] == grains["reports.daily"] == "DailyPartitionsDefinition"


def test_every_table_with_an_asset_has_its_suite_and_the_facts_have_their_checks(
    definitions: dg.Definitions,
) -> None:
    checks = definitions.resolve_asset_graph().asset_check_keys
    named = {(".".join(key.asset_key.path), key.name) for key in checks}

    assert {
        ("mart.routing_mistakes", "routing_mistakes"),
        ("mart.cold_start_bursts", "cold_start_bursts"),
        ("core.pool_hours", "pool_is_conserved"),
        ("core.request_costs", "prices_cover_usage"),
        ("core.request_costs", "reported_costs_agree"),
    } <= named
    suited = {table for table, name in named if name == "rows_match_the_schema"}
    assert {"core.requests", "core.request_costs", "mart.cost_per_token_daily", "ref.token_prices"} <= suited


@pytest.mark.parametrize(
    ("name", "job", "tags"),
    [
        ("hourly_close", "facts", ("2026-11-23-22:00", "2026-11-24-00:00")),
        ("daily_flash", "marts", ("2026-11-22", "2026-11-23")),
    ],
)
def test_schedules_ask_for_one_run_of_a_range(
    definitions: dg.Definitions, name: str, job: str, tags: tuple[str, str]
) -> None:
    schedule = definitions.resolve_schedule_def(name)
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 24, 1, 10, tzinfo=UTC))

    (request,) = schedule.evaluate_tick(context).run_requests or []

    assert schedule.job_name == job
    assert (
        request.tags["dagster/asset_partition_range_start"],
        request.tags["dagster/asset_partition_range_end"],
    ) == tags
    # Next in the queue: a backfill is cut into runs, and holds it up for the one that is at work.
    assert int(request.tags["dagster/priority"]) > 0


def test_a_backfill_of_a_year_is_cut_into_runs_of_a_week_of_hours_and_a_month_of_days(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    policies = {
        name: graph.get(dg.AssetKey(name.split("."))).backfill_policy
        for name in ("core.request_costs", "mart.spend_daily")
    }
    assert {name: policy.max_partitions_per_run for name, policy in policies.items() if policy} == {
        "core.request_costs": 168,
        "mart.spend_daily": 31,
    }


def test_the_hourly_close_is_next_however_many_runs_of_a_backfill_wait(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    job = build_defs(project=project).resolve_job_def("facts")
    place = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name="pipelines.definitions"), location_name="here"
    )
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(place, "__repository__"), "facts")
    with dg.DagsterInstance.from_config(str(dagster_home(project))) as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default("lake")
        backfill, later, close = (
            instance.create_run_for_job(
                job, status=status, tags=tags, remote_job_origin=origin, job_code_origin=None
            )
            for status, tags in (
                (dg.DagsterRunStatus.STARTED, {"dagster/backfill": "year"}),
                (dg.DagsterRunStatus.QUEUED, {"dagster/backfill": "year"}),
                (dg.DagsterRunStatus.QUEUED, URGENT),
            )
        )
        queue = QueuedRunCoordinatorDaemon(interval_seconds=5)
        config = instance.get_concurrency_config()
        # One run at a time has the lake; when it ends, the close comes before the rest of the backfill.
        assert queue._get_runs_to_dequeue(instance, config, None) == []
        instance.report_run_canceled(backfill)
        assert [run.run_id for run in queue._get_runs_to_dequeue(instance, config, None)] == [close.run_id]
        instance.report_run_canceled(close)
        assert [run.run_id for run in queue._get_runs_to_dequeue(instance, config, None)] == [later.run_id]


@pytest.mark.parametrize(("name", "report"), [("daily_delivery", "daily"), ("weekly_review", "weekly")])
def test_schedules_ask_for_the_delivery_of_a_report(
    definitions: dg.Definitions, name: str, report: str
) -> None:
    schedule = definitions.resolve_schedule_def(name)
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 23, 13, tzinfo=UTC))

    (request,) = schedule.evaluate_tick(context).run_requests or []

    job = definitions.resolve_job_def(str(schedule.job_name))
    config = dg.validate_run_config(job, dict(request.run_config))
    assert config["ops"]["deliver_report"]["config"] == {"report": report, "at": "2026-11-23T13:00:00+00:00"}


def test_the_sensor_asks_for_a_landing_when_a_file_appears(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    definitions = build_defs(project=project)
    sensor = definitions.resolve_sensor_def("new_files")
    context = dg.build_sensor_context(resources={"warehouse": Warehouse(project)})
    sensor.evaluate_tick(context)
    assert sensor.evaluate_tick(context).skip_message

    write_lines(tmp_path / "landing/gateway/new.jsonl", [gateway_row("r1", "2026-11-02 09:10:00")])

    assert len(sensor.evaluate_tick(context).run_requests or []) == 1
    assert sensor.evaluate_tick(context).skip_message


def test_a_late_row_asks_for_its_hours_once_and_then_for_its_day(
    company_copy: Project, tmp_path: Path
) -> None:
    project = company_copy
    definitions, warehouse = build_defs(project=project), Warehouse(project)
    contexts = {
        name: dg.build_sensor_context(resources={"warehouse": warehouse})
        for name in ("outdated_hours", "outdated_days")
    }

    def asked(name: str) -> list[tuple[str, str]]:
        requests = definitions.resolve_sensor_def(name).evaluate_tick(contexts[name]).run_requests or []
        return [
            (item.tags["dagster/asset_partition_range_start"], item.tags["dagster/asset_partition_range_end"])
            for item in requests
        ]

    assert asked("outdated_hours") == asked("outdated_days") == []
    late = write_lines(tmp_path / "late.jsonl", [gateway_row("late", "2026-11-02 10:20:00")])
    assert nanodollar(project, "ingest", str(late), "--kind", "litellm_spend_logs").code == 0

    # Duplicates are looked for within twice two hours.
    assert asked("outdated_hours") == [("2026-11-02-06:00", "2026-11-02-14:00")]
    assert asked("outdated_hours") == []

    materialize(project, "facts", "2026-11-02-06:00", "2026-11-02-14:00")
    assert asked("outdated_days") == [("2026-11-02", "2026-11-02")]


def test_a_backfill_of_a_range_is_one_run_and_idempotent(company_copy: Project) -> None:
    project = company_copy
    before = query(project, "SELECT table_name, partition_key, content_hash FROM ops.partitions ORDER BY ALL")

    facts = materialize(project, "facts", "2026-11-02-09:00", "2026-11-02-10:00")
    marts = materialize(project, "marts", "2026-11-02", "2026-11-02")

    assert facts.success
    assert marts.success
    after = query(project, "SELECT table_name, partition_key, content_hash FROM ops.partitions ORDER BY ALL")
    assert after == before
    runs = query(
        project,
        "SELECT DISTINCT run_id FROM ops.partitions WHERE partition_key IN ('2026-11-02T09:00Z', '2026-11-02T10:00Z')",
    )
    assert runs == [(facts.run_id,)]


def test_a_failing_check_names_its_rows_in_dagster_and_in_the_warehouse(
    company_copy: Project,
) -> None:
    project = company_copy

    result = materialize(project, "facts", "2026-11-02-09:00", "2026-11-02-09:00")

    (failed,) = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed.check_name == "prices_cover_usage"
    assert failed.metadata["failed_ids"].value == ["openai house-model unknown_model: 1 attempts, 290 tokens"]
    stored = query(
        project,
        f"SELECT check_name, failed_ids FROM ops.check_results WHERE run_id = '{result.run_id}' AND NOT is_passed",
    )
    assert stored == [("prices_cover_usage", ["openai house-model unknown_model: 1 attempts, 290 tokens"])]


def test_the_data_docs_show_every_suite(company: Project) -> None:
    docs = company.reports / "data_docs"
    pages = {file.relative_to(docs): file.read_text(encoding="utf-8") for file in docs.rglob("*.html")}
    index = pages.pop(Path("index.html"))

    for name in ("core.request_costs", "core.pool_hours", "mart.cost_per_token_daily", "ref.token_prices"):
        assert name in index
        assert any(f"<h1>{name}</h1>" in page and "rules hold" in page for page in pages.values())
    assert {*re.findall(r'href="([^"#]+\.html)"', index)} >= {file.as_posix() for file in pages}
    # Nothing is loaded from elsewhere.
    assert [
        page for page in (index, *pages.values()) if re.search(r'(?:src|href)="(?:https?:)?//', page)
    ] == []


def test_dagster_knows_each_partition_that_the_command_made(company: Project) -> None:
    hours = query(company, "SELECT count(*) FROM ops.partitions WHERE table_name = 'core.requests'")[0][0]
    with dg.DagsterInstance.from_config(str(dagster_home(company))) as instance:
        for name, last, count in (
            ("core/requests", "2026-11-02-14:00", hours),
            ("mart/cost_per_token_daily", "2026-11-02", 1),
            ("reports/daily", "2026-11-02", 1),
        ):
            key = dg.AssetKey(name.split("/"))
            found = instance.get_materialized_partitions(key)
            assert (len(found), max(found)) == (count, last)
            (newest,) = instance.fetch_materializations(key, limit=1).records
            assert newest.partition_key == last
        (check,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(["core", "requests"]), "rows_match_the_schema"), limit=1
        )
        event = check.event
        assert event is not None
        target = event.dagster_event.event_specific_data.target_materialization_data
        assert target.run_id == check.run_id, "a check is of what the run made"
