"""Bursts are told while they happen, from what has landed: once each, and again only until the webhook took them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.automation.code_location import build_defs
from pipelines.automation.open_day import open_bursts
from pipelines.project import Project
from pipelines.warehouse.connect import connect_read_only
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.loopback import Silent, serving
from tests.pipelines.small import (
    SETTINGS,
    fleet_row,
    lifecycle,
    make_project,
    materialize,
    nanodollar,
    write_lines,
)

NOTIFICATIONS = '[notifications]\nwebhook = { env = "NANODOLLAR_TEST_WEBHOOK" }\n'


@dataclass
class Chat:
    """A chat server on the loopback that answers as it is told to."""

    url: str = ""
    status: int = 200
    taken: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    room = Chat()

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if room.status == 200:
                room.taken.append(message)
            self.send_response(room.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as url:
        room.url = f"{url}/hook"
        monkeypatch.setenv("NANODOLLAR_TEST_WEBHOOK", room.url)
        yield room


class Look:
    """The sensor as the daemon runs it: each look has the cursor that the one before left."""

    def __init__(self, project: Project) -> None:
        self.warehouse = Warehouse(project)
        self.sensor = build_defs(project=project).resolve_sensor_def("bursts_of_cold_starts")
        self.cursor: str | None = None

    def __call__(self) -> tuple[list[str], str]:
        """Return what the look observed and why it asked for no run."""
        with dg.build_sensor_context(cursor=self.cursor, resources={"warehouse": self.warehouse}) as context:
            seen = self.sensor.evaluate_tick(context)
        self.cursor = seen.cursor or self.cursor
        assert not seen.run_requests
        events = [event for event in seen.asset_events if isinstance(event, dg.AssetObservation)]
        assert {event.asset_key.to_user_string() for event in events} <= {"mart/cold_start_bursts"}
        return [event.description or "" for event in events], seen.skip_message or ""


def write_burst(project: Project, deployment: str, *, ended_at: datetime, count: int = 20) -> None:
    """Land replicas that were asked for ten seconds apart, the last at `ended_at`, each ready after half a minute."""
    asked = [ended_at - timedelta(seconds=10 * place) for place in range(count)]
    events = [
        event
        for place, at in enumerate(asked)
        for event in lifecycle(
            f"{deployment}-{place}", deployment, "H100",
            ("requested", f"{at:%Y-%m-%dT%H:%M:%SZ}"),
            ("ready", f"{at + timedelta(seconds=30):%Y-%m-%dT%H:%M:%SZ}"),
        )
    ]  # fmt: skip
    replicas = write_lines(project.folder / f"landing/replicas/{deployment}.jsonl", events)
    first = min(asked)
    request = fleet_row(
        f"{deployment}-waiting", None, deployment, f"{first + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}",
        f"{first + timedelta(seconds=50):%Y-%m-%dT%H:%M:%SZ}",
    )  # fmt: skip
    requests = write_lines(project.folder / f"landing/fleet/{deployment}.jsonl", [request])
    assert nanodollar(project, "ingest", str(replicas), str(requests)).code == 0


def company(folder: Path, settings: str = SETTINGS + NOTIFICATIONS) -> Project:
    begun = (datetime.now(UTC) - timedelta(days=3)).date()
    return make_project(folder, settings.replace("2026-11-01", begun.isoformat()))


def just_now() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=3)


def test_a_burst_of_the_open_hour_is_told_once_with_what_it_did(tmp_path: Path, chat: Chat) -> None:
    project = company(tmp_path)
    look = Look(project)
    assert "run `nanodollar run` first" in look()[1]
    write_burst(project, "llama", ended_at=just_now())

    observed, _ = look()

    assert [message["text"] for message in chat.taken] == observed
    (text,) = observed
    assert text.startswith("llama on H100 in us-east-1 started 20 replicas in 3 min from ")
    assert "requests waited" in text
    assert look() == ([], "Nothing landed since the last look.")

    # More of the same burst lands, and another deployment's.
    write_burst(project, "qwen", ended_at=just_now())
    observed, _ = look()
    assert [text.split()[0] for text in observed] == ["qwen"]
    assert len(chat.taken) == 2


def test_a_dead_webhook_is_one_sentence_and_tried_again_until_it_takes_the_notice(
    tmp_path: Path, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = company(tmp_path)
    look = Look(project)
    write_burst(project, "llama", ended_at=just_now())

    chat.status = 503
    observed, why = look()
    assert observed == []
    assert why.startswith(
        "The webhook of NANODOLLAR_TEST_WEBHOOK answered 503; check its URL. The next look tries"
    )
    assert "llama on H100" in why

    monkeypatch.setenv("NANODOLLAR_TEST_WEBHOOK", "http://127.0.0.1:9/secret")
    assert "NANODOLLAR_TEST_WEBHOOK does not answer (ConnectError)" in (why := look()[1])
    assert "secret" not in why
    monkeypatch.delenv("NANODOLLAR_TEST_WEBHOOK")
    assert "The environment variable NANODOLLAR_TEST_WEBHOOK is not set" in look()[1]

    monkeypatch.setenv("NANODOLLAR_TEST_WEBHOOK", chat.url)
    chat.status = 200
    assert len(look()[0]) == len(chat.taken) == 1
    assert look() == ([], "Nothing landed since the last look.")


def test_the_sensor_writes_nothing_and_without_a_webhook_dagster_shows_the_notice(tmp_path: Path) -> None:
    project = company(tmp_path, SETTINGS)
    write_burst(project, "llama", ended_at=just_now())

    def stored() -> dict[str, str]:
        return {
            str(file): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in (tmp_path / "warehouse").rglob("*")
            if file.is_file() and not file.name.endswith(("-shm", "-wal"))
        }

    before = stored()

    observed, why = Look(project)()

    assert [text.split()[0] for text in observed] == ["llama"]
    assert why == observed[0]
    assert stored() == before


def test_a_burst_of_days_ago_is_not_told(tmp_path: Path) -> None:
    project = company(tmp_path, SETTINGS)
    write_burst(project, "llama", ended_at=datetime.now(UTC) - timedelta(days=2))

    assert Look(project)() == ([], "No new burst of cold starts.")


def test_what_is_told_is_what_the_mart_will_hold(tmp_path: Path) -> None:
    project = company(tmp_path, SETTINGS)
    noon = (datetime.now(UTC) - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    write_burst(project, "llama", ended_at=noon)
    write_burst(project, "qwen", ended_at=noon + timedelta(minutes=20))
    evening = noon.replace(hour=23)

    def so_far(now: datetime) -> pl.DataFrame:
        with Warehouse(project).reading() as con:
            return open_bursts(con, project, now=now)

    landed_alone = so_far(evening)
    assert so_far(noon + timedelta(minutes=10)).get_column("deployment").to_list() == ["llama"]
    on = noon.date().isoformat()
    assert materialize(project, "land").success
    hours = (f"{on}-11:00", f"{on}-12:00")
    assert materialize(
        project, "facts", *hours, assets=["core/requests", "core/replica_events", "core/replica_states"]
    ).success
    assert materialize(
        project, "marts", on, on, assets=["mart/cold_starts", "mart/cold_start_bursts"]
    ).success

    with connect_read_only(project) as con:
        mart = con.execute("FROM mart.cold_start_bursts ORDER BY onset_at").pl()
    assert mart.get_column("deployment").to_list() == ["llama", "qwen"]
    # Price sheets are read by the run.
    dollars = [name for name in mart.columns if "usd" in name]
    assert_frame_equal(mart.drop(dollars), landed_alone.drop(dollars), check_column_order=False)
    assert_frame_equal(mart, so_far(evening), check_column_order=False)
