"""Any order of files, and any cut of them into runs, gives the tables of one run over all, whatever the clock."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from models.periods import spans
from pipelines.assets.computed import work_off, work_off_what_is_due
from pipelines.automation.late_lives import outdate_lives
from pipelines.landing import drive, store
from pipelines.landing.drive import land
from pipelines.sources.stored import stored_file
from pipelines.steps import steps_of
from pipelines.steps.base import Window
from pipelines.steps.reference import reference_frames
from pipelines.steps.staleness import day_runs, stale_counted_hours, stale_days, stale_hours
from pipelines.warehouse.resource import Warehouse
from tests.content_hashes import content_hashes
from tests.pipelines.small import SETTINGS, fleet_row, gateway_row, lifecycle, make_project, write_lines

COUNTED = """
[[sources]]
name = "sdk"
kind = "requests"
path = "landing/sdk/*.jsonl"
[[sources]]
name = "usage"
kind = "openai_usage_api"
path = "landing/usage/*.json"
"""
OVERHEAD = "version: 1\noverhead:\n  - {name: storage, usd_per_hour: 1.20, valid_from: 2026-11-01}\n"
NOW = datetime(2026, 11, 12, tzinfo=UTC)
NOON = int(datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp())


def counted(calls: int) -> dict[str, Any]:
    """Return a bucket of the usage API: the hour from noon on."""
    result = {
        "object": "organization.usage.completions.result", "model": "gpt-4o-mini", "input_tokens": 1000 * calls,
        "input_cached_tokens": 0, "output_tokens": 200 * calls, "num_model_requests": calls,
    }  # fmt: skip
    bucket = {"object": "bucket", "start_time": NOON, "end_time": NOON + 3600, "results": [result]}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None}


def replica(name: str, *events: tuple[str, str], **more: Any) -> list[dict[str, Any]]:
    rows = lifecycle(name, "llama-pool", "H100", *((event, f"2026-11-{at}Z") for event, at in events))
    return [row | more for row in rows]


def served(name: str, on: str | None, starts: str, ends: str, **more: Any) -> dict[str, Any]:
    return fleet_row(name, on, "llama-pool", f"2026-11-{starts}Z", f"2026-11-{ends}Z", **more)


FILES: dict[str, list[Any]] = {
    # A replica is asked for in one file, is stopped in another, and no file between says that it lived on.
    "replicas/begins.jsonl": replica("r-1", ("requested", "02T09:00:00"), ("ready", "02T09:20:00")),
    "replicas/ends.jsonl": replica("r-1", ("stopped", "02T11:10:00")),
    # A start that failed, as a later file tells; a name that comes after its events; and a pool of the next days.
    "replicas/starts.jsonl": [
        *replica("r-2", ("requested", "02T10:30:00"), ("scheduled", "02T10:40:00")),
        *replica("r-4", ("ready", "04T08:10:00"), ("stopped", "04T09:00:00")),
    ],
    "replicas/fails.jsonl": replica("r-2", ("failed", "02T12:20:00"), ("stopped", "02T12:25:00")),
    "replicas/named.jsonl": replica("r-3", ("ready", "04T08:00:00"), ("stopped", "04T10:00:00"), chip="H200"),
    "replicas/nameless.jsonl": replica("r-3", ("requested", "04T07:30:00"), deployment=None, chip=None),
    "replicas/again.jsonl": replica("r-1", ("ready", "02T09:20:00"), reason="scale_up"),
    # Attempts of the pool, one of them over hours, one that is told again by another source and is shorter there.
    "fleet/early.jsonl": [
        served("f-1", "r-1", "02T09:30:00", "02T10:10:00"),
        served("f-2", "r-1", "02T10:05:00", "02T15:30:00", usage_source="estimated"),
        served("f-3", "r-3", "04T08:30:00", "04T08:45:00"),
        served("f-4", None, "03T23:50:00", "04T00:20:00"),
        served("f-5", "r-1", "02T09:40:00", "02T09:50:00", served_model="llama-3.3-70b-tuned"),
    ],
    "sdk/same.jsonl": [served("f-2", "r-1", "02T10:05:00", "02T10:40:00", output_text_tokens=170)],
    "gateway/one.jsonl": [
        *(gateway_row(f"g-{minute}", f"2026-11-02 12:{minute:02}:00") for minute in (5, 20)),
        gateway_row("g-far", "2026-11-02 20:00:00"),
        "{half",
    ],
    "gateway/two.jsonl": [
        gateway_row("g-20", "2026-11-02 12:20:00"),
        gateway_row("g-40", "2026-11-02 12:40:00"),
    ],
    "usage/noon.json": [counted(5)],
}


def empty_project(folder: Path) -> Path:
    """Make a project with its sheets read and nothing landed."""
    project = make_project(folder, SETTINGS + COUNTED)
    (folder / "overhead.yml").write_text(OVERHEAD, encoding="utf-8")
    for name, records in FILES.items():
        write_lines(folder / "landing" / name, records)
    project.hash_key()
    warehouse = Warehouse(project)
    warehouse.prepare()
    with warehouse.committing(run_id="ref", job="ref") as commit:
        for dotted, rows in reference_frames(project).items():
            commit.replace(dotted, rows)
    warehouse.lake.close()
    return folder


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = empty_project(tmp_path_factory.mktemp("empty"))
    yield folder
    shutil.rmtree(folder)


def built(folder: Path, runs: list[list[str]], *, is_by_step: bool = False) -> list[str]:
    """Land files run by run, bring the tables up to date after each, and return the hashes of their rows.

    By step, each computes in one go the days that it lacks; otherwise days that lack the same are computed together.
    """
    warehouse = Warehouse(make_project(folder, SETTINGS + COUNTED))
    for names in runs:
        for source in warehouse.project.sources:
            paths = [folder / "landing" / name for name in names if name.startswith(f"{source.name}/")]
            files = [stored_file(path, project=folder) for path in paths]
            land(warehouse, source, run_id="land", files=files)
        bring_up_to_date(warehouse, is_by_step=is_by_step)
    warehouse.lake.close()
    return content_hashes(folder)


def bring_up_to_date(warehouse: Warehouse, *, is_by_step: bool) -> None:
    project = warehouse.project
    outdate_lives(warehouse, run_id="lives")
    with warehouse.reading() as con:
        hours = stale_hours(con, project, now=NOW)
    for start, end in spans(hours):
        work_off(warehouse, tuple(steps_of("hourly")), Window(start, end, NOW, "UTC"), run_id="facts")
    with warehouse.reading() as con:
        hours = stale_counted_hours(con, project, now=NOW)
    for start, end in spans(hours):
        work_off(warehouse, ("ops.completeness",), Window(start, end, NOW, "UTC"), run_id="facts")
    if is_by_step:
        window = Window.of_days(project.start_on, NOW.date(), now=NOW, time_zone="UTC")
        work_off_what_is_due(warehouse, tuple(steps_of("daily")), window, run_id="marts")
    for _ in steps_of("daily"):
        with warehouse.reading() as con:
            due = stale_days(con, project, now=NOW)
        for first, end, names in day_runs(due):
            work_off(warehouse, names, Window.of_days(first, end, now=NOW, time_zone="UTC"), run_id="marts")
        if not due:
            return
    raise AssertionError("days stay out of date")


def test_any_order_and_any_split_into_runs_is_one_run_and_no_clock_is_asked(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, backwards = (shutil.copytree(empty, tmp_path / name) for name in ("at_once", "backwards"))
    whole = built(at_once, [list(FILES)])
    assert len(whole) > 100
    warehouse = Warehouse(make_project(at_once, SETTINGS + COUNTED))
    with warehouse.reading() as con:
        assert stale_hours(con, warehouse.project, now=NOW) == []
        assert stale_counted_hours(con, warehouse.project, now=NOW) == []
        assert stale_days(con, warehouse.project, now=NOW) == {}
    warehouse.lake.close()

    class SetBack(datetime):
        days = 0

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) - timedelta(days=cls.days)

    for module in (drive, store):
        monkeypatch.setattr(module, "datetime", SetBack)
    names = list(reversed(FILES))
    for SetBack.days, run in enumerate((names[:5], names[5:9], names[9:])):
        after = built(backwards, [run], is_by_step=True)
    assert sorted({*whole} ^ {*after}) == []
