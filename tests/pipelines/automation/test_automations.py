"""What runs without being asked: on unless a setting turns it off; failing checks are told once, changes published."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import dagster as dg
import pytest

from models.schemas import table
from pipelines.automation.code_location import build_defs
from pipelines.project import Project, load_project
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.loopback import Silent, serving
from tests.pipelines.small import SETTINGS, make_project

SECRET = '[notifications]\nwebhook = { env = "NANODOLLAR_TEST_WEBHOOK" }\n'
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Chat:
    """A chat server on the loopback."""

    status: int = 200
    taken: list[str] = field(default_factory=list)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    room = Chat()

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if room.status == 200:
                room.taken.append(message["text"])
            self.send_response(room.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as url:
        monkeypatch.setenv("NANODOLLAR_TEST_WEBHOOK", f"{url}/hook")
        yield room


def judged(warehouse: Warehouse, *, minute: int, is_passed: bool, severity: str = "error") -> None:
    """Let a check have been judged."""
    row = [AT.replace(minute=minute), "run", "pool_is_conserved", "core.pool_hours", is_passed, severity]
    with warehouse.committing(run_id="run", job="checks") as commit:
        commit.execute(
            "INSERT INTO ops.check_results (checked_at, run_id, check_name, table_name, is_passed, severity, "
            "failed_count, summary, failed_ids) VALUES (?, ?, ?, ?, ?, ?, 1, '1 pool-hour does not sum.', [])",
            row,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project", SETTINGS + SECRET)


class Look:
    """A sensor as the daemon runs it: each look has the cursor that the one before left."""

    def __init__(self, warehouse: Warehouse, name: str) -> None:
        self.warehouse = warehouse
        self.sensor = build_defs(project=warehouse.project).resolve_sensor_def(name)
        self.cursor: str | None = None

    def __call__(self) -> int:
        """Return how many runs were asked for."""
        with dg.build_sensor_context(cursor=self.cursor, resources={"warehouse": self.warehouse}) as context:
            seen = self.sensor.evaluate_tick(context)
        self.cursor = seen.cursor or self.cursor
        return len(seen.run_requests or [])


def test_a_check_that_fails_is_told_once_and_again_after_it_has_passed(project: Project, chat: Chat) -> None:
    warehouse = Warehouse(project)
    warehouse.prepare()
    look = Look(warehouse, "failed_checks")
    judged(warehouse, minute=0, is_passed=False, severity="warn")
    look()
    assert chat.taken == []
    judged(warehouse, minute=1, is_passed=False)
    chat.status = 500
    look()
    chat.status = 200
    look()
    look()
    told = ["The check pool_is_conserved of core.pool_hours fails: 1 pool-hour does not sum."]
    assert chat.taken == told
    judged(warehouse, minute=2, is_passed=True)
    look()
    judged(warehouse, minute=3, is_passed=False)
    look()
    assert chat.taken == told * 2


def test_what_was_computed_is_published_once_it_has_settled(project: Project) -> None:
    warehouse = Warehouse(project)
    warehouse.prepare()
    look = Look(warehouse, "publication")
    judged(warehouse, minute=0, is_passed=True)

    assert [look(), look(), look()] == [0, 1, 0]
    judged(warehouse, minute=1, is_passed=True)
    assert [look(), look(), look()] == [0, 1, 0]


def test_automations_are_on_unless_a_setting_turns_them_off(project: Project) -> None:
    location = build_defs(project=project).get_repository_def()
    assert {one.name for one in location.schedule_defs} == {
        "hourly_close", "daily_flash", "daily_data_docs", "daily_delivery", "weekly_review", "month_close",
        "maintenance_at_night",
    }  # fmt: skip
    assert {one.default_status.value for one in [*location.schedule_defs, *location.sensor_defs]} == {
        "RUNNING"
    }

    # The UI shows what each does.
    assert all(one.description for one in [*location.schedule_defs, *location.sensor_defs])

    settings = project.folder / "nanodollar.toml"
    settings.write_text(SETTINGS + "[automation]\nenabled = false\n", encoding="utf-8")
    off = build_defs(project=load_project(project.folder)).get_repository_def()
    assert [*off.schedule_defs, *off.sensor_defs] == []


def test_the_month_close_says_what_stands_against_it(project: Project) -> None:
    warehouse = Warehouse(project)
    warehouse.prepare()
    config = {"ops": {"close_month": {"config": {"month": "2026-10"}}}}

    job = build_defs(project=project, resource_overrides={"warehouse": warehouse}).resolve_job_def("close")
    done = job.execute_in_process(run_config=config, raise_on_error=False)

    assert not done.success
    failure = next(event for event in done.all_events if event.is_step_failure)
    assert "2026-10 stays open: nothing has landed for it." in str(failure.step_failure_data.error)


def test_a_threshold_of_a_budget_is_told_once(project: Project, chat: Chat) -> None:
    warehouse = Warehouse(project)
    warehouse.prepare()
    look = Look(warehouse, "budget_alerts")
    month = date(2026, 11, 1)
    row = {
        "month_on": month, "budget": "search", "period_from": month, "period_to": date(2026, 12, 1),
        "as_of_on": date(2026, 11, 9), "budget_usd": Decimal(100), "month_to_date_usd": Decimal(60),
        "spent_usd": Decimal(60), "remaining_usd": Decimal(40), "burn_usd_per_day": Decimal(5),
        "projected_usd": Decimal(165), "run_out_on": date(2026, 11, 17), "thresholds_percent": [50, 100],
        "reached_on": [date(2026, 11, 7), None], "unpriced_tokens": 0,
    }  # fmt: skip
    later = {
        "as_of_on": date(2026, 11, 20),
        "spent_usd": Decimal(101),
        "reached_on": [date(2026, 11, 7), date(2026, 11, 19)],
    }
    for changes in ({}, {"as_of_on": date(2026, 11, 10)}, later, later):
        with warehouse.committing(run_id="r", job="marts") as commit:
            rows = table("mart.budget_status").frame([row | changes])
            commit.replace("mart.budget_status", rows, partitions=[month])
        look()
    assert chat.taken == [
        (
            "The budget search reached 50 % on 2026-11-07: $60.00 of $100.00 from 2026-11-01; "
            "at this rate it runs out on 2026-11-17."
        ),
        "The budget search reached 100 % on 2026-11-19: $101.00 of $100.00 from 2026-11-01.",
    ]
