"""The GPU facts on a real lake: nothing lost, conserved, and the same rows however the hours are cut into runs."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from models.errors import DataError
from models.periods import HOUR
from pipelines.assets.computed import work_off
from pipelines.assets.raw import land
from pipelines.checks import pool_is_conserved
from pipelines.project import load_project
from pipelines.steps import steps_of
from pipelines.steps.base import Window
from pipelines.steps.computing import ROWS_AT_ONCE
from pipelines.steps.reference import reference_frames
from pipelines.warehouse.data_files import LakeFiles, dead_drafts
from pipelines.warehouse.resource import Warehouse, frame
from pipelines.workers import processes
from tests.pipelines.assets.dying import MARK, always_killed, killed_once

FIRST = datetime(2026, 11, 2, tzinfo=UTC)
HOURS = 6
END = FIRST + HOURS * HOUR
FACTS = ("request_costs", "pool_hours", "replica_states")
SETTINGS = """
[reporting]
time_zone = "Asia/Kolkata"
[[sources]]
name = "calls"
kind = "requests"
path = "calls.jsonl"
[[sources]]
name = "lives"
kind = "replica_events"
path = "lives.jsonl"
"""


def written(instant):
    return instant.isoformat().replace("+00:00", "Z")


def lives(rng):
    for deployment, ups in (("llama", [200]), ("qwen", [30, 40]), ("scaled_to_zero", [5])):
        for number in range(2):
            facts = {
                "replica_id": f"{deployment}-{number}", "deployment": deployment, "chip": "H100", "chip_count": 8,
                "provider": "together", "region": "us", "commitment": "on_demand",
            }  # fmt: skip
            asked = FIRST + timedelta(minutes=rng.uniform(0, 60))
            for up in ups:
                ready = asked + timedelta(minutes=4)
                for event, at in (
                    ("requested", asked),
                    ("ready", ready),
                    ("stopped", ready + up * HOUR / 60),
                ):
                    yield facts | {"event": event, "event_at": written(at)}
                asked = ready + timedelta(minutes=up + 20)


def calls(rng, count):
    for number in range(count):
        route = rng.choice(["llama", "qwen", "scaled_to_zero", "paid"])
        started = FIRST + timedelta(hours=rng.uniform(0, HOURS))
        call = {
            "request_id": f"q{number}", "started_at": written(started), "route": route, "provider": "together",
            "served_model": "meta-llama/Llama-3.3-70B-Instruct-Turbo", "status": "ok", "usage_source": "provider",
            "input_uncached_tokens": rng.randint(1, 5000), "output_text_tokens": rng.randint(1, 800),
        }  # fmt: skip
        if rng.random() < 0.8:
            call["finished_at"] = written(started + timedelta(seconds=rng.choice([1, 200, 5000])))
        if rng.random() < 0.4 and route != "paid":
            call["replica_id"] = f"{route}-{rng.randint(0, 3)}"
        if rng.random() < 0.2:
            call["queue_seconds"] = rng.choice([0.5, 30, 4000])
        if rng.random() < 0.05:
            call["is_gateway_cache_hit"] = True
        yield call


@pytest.fixture
def warehouse(tmp_path):
    return landed(tmp_path, SETTINGS)


def landed(folder, settings):
    """Land the same replicas and calls into a project with its settings, and load its reference tables."""
    rng = random.Random(5)
    (folder / "nanodollar.toml").write_text(settings)
    for name, rows in (("lives", lives(rng)), ("calls", calls(rng, 400))):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project = load_project(folder)
    opened = Warehouse(project)
    opened.prepare()
    for source in project.sources:
        land(opened, source, run_id="land")
    with opened.committing(run_id="ref", job="ref") as commit:
        for dotted, rows in reference_frames(project).items():
            commit.replace(dotted, rows)
    return opened


def build(warehouse, *, rows_at_once, workers=1):
    """Compute the facts as the assets do, in chunks of some landed rows (an hour at the least), and return them."""
    window = Window(FIRST, END, datetime.now(UTC), "UTC")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ROWS_AT_ONCE, "hourly", rows_at_once)
        side_by_side = replace(warehouse, project=warehouse.project.with_workers(workers))
        work_off(side_by_side, tuple(steps_of("hourly")), window, run_id="facts")
        side_by_side.lake.close()
    with warehouse.reading() as con:
        assert pool_is_conserved.CHECK.judge(con, FIRST, END).is_passed
        # Work that waits beyond the last hour belongs to an hour that is not built here.
        lost = frame(
            con,
            "SELECT request_id FROM core.requests ANTI JOIN core.request_costs USING (request_id) WHERE started_at < ?",
            [END - 2 * HOUR],
        )
        return lost, {
            name: frame(con, f"SELECT * EXCLUDE (is_provisional) FROM core.{name} ORDER BY ALL")
            if name != "replica_states"
            else frame(con, "FROM core.replica_states ORDER BY ALL")
            for name in FACTS
        }


def test_no_request_is_lost_and_runs_cut_anyhow_give_the_same_facts(warehouse):
    lost, whole = build(warehouse, rows_at_once=10**6)
    assert lost.is_empty()
    costs = whole["request_costs"]
    zero = costs.filter((costs["route"] == "scaled_to_zero") & (costs["price_state"] == "unpriced"))
    assert set(zero["unpriced_reason"]) == {"no_replica_ready"}
    assert set(costs.filter(costs["attempt_no"] == 0)["price_state"]) <= {"free"}
    _, hourly = build(warehouse, rows_at_once=1)
    for name in FACTS:
        assert hourly[name].equals(whole[name]), name


def facts_written(warehouse):
    return sorted(
        name for name in LakeFiles(warehouse.project).listed() if "/core/" in name and "/." not in name
    )


def test_workers_side_by_side_one_of_them_killed_give_the_same_facts(warehouse, monkeypatch):
    monkeypatch.setattr(processes, "chunk_files", killed_once)
    _, apart = build(warehouse, rows_at_once=1, workers=2)
    assert (warehouse.project.folder / MARK).exists()
    assert apart["request_costs"].filter(~apart["request_costs"]["is_first_accrual"]).height > 0
    written = facts_written(warehouse)
    _, whole = build(warehouse, rows_at_once=10**6)
    for name in FACTS:
        assert apart[name].equals(whole[name]), name
    # What is the same is not written again, and of the killed worker only drafts are left.
    assert facts_written(warehouse) == written
    assert dead_drafts(warehouse.project)
    monkeypatch.setattr(processes, "chunk_files", always_killed)
    with pytest.raises(
        DataError, match=r"A worker died 3 times while it computed 2026-11-02 00:00 to .*processes lower"
    ):
        build(warehouse, rows_at_once=1, workers=2)


def test_a_request_cost_without_its_pool_hour_breaks_the_check(warehouse):
    build(warehouse, rows_at_once=10**6)
    with warehouse.committing(run_id="hurt", job="facts") as commit:
        commit.execute("DELETE FROM core.pool_hours WHERE deployment = 'llama'")
    with warehouse.reading() as con:
        outcome = pool_is_conserved.CHECK.judge(con, FIRST, END)
    assert not outcome.is_passed
    assert all("llama" in name for name in outcome.failed_ids)
