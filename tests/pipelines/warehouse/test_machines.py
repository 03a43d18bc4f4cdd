"""Two machines, each with a project folder of its own, that write to one catalog in PostgreSQL at once."""

import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from benchmarks.readers import attempts, read, write, wrong_reads
from models.errors import DataError, NanodollarError
from pipelines.project import Project, find_project
from pipelines.warehouse import claim as claims
from pipelines.warehouse.claim import COMMIT, claim, turn_of_machines
from pipelines.warehouse.commit import OvertakenError
from pipelines.warehouse.connect import Lake
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.lake import SETTINGS, call, count, land_all, put
from tests.pipelines.servers import postgres_server
from tests.pipelines.small import make_project, nanodollar, query

HOUR = datetime(2026, 11, 20, 9, tzinfo=UTC)
TWINS = [HOUR + timedelta(hours=number) for number in range(1, 4)]


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Project]]:
    """Two folders with the same settings and key, that see the same logs."""
    with postgres_server(tmp_path / "postgres", tmp_path) as catalog:
        monkeypatch.setenv("NANODOLLAR_TEST_CATALOG", f"postgres:{catalog}")
        shared = f'catalog = {{ env = "NANODOLLAR_TEST_CATALOG" }}\ndata_path = "{tmp_path}/data"\n'
        settings = SETTINGS.format(memory_mb=1024).replace("[warehouse]\n", f"[warehouse]\n{shared}")
        first = make_project(tmp_path / "first", settings.replace('"landing', f'"{tmp_path}/landing'))
        first.hash_key()
        yield [first, find_project(shutil.copytree(first.folder, tmp_path / "second"))]


def write_both(one: Warehouse, two: Warehouse) -> None:
    """Let both read, the first commit, and the second commit after it."""
    with two.committing(run_id="late", job="facts") as late:
        late.replace("core.requests", attempts(HOUR, 7), partitions=[HOUR])
        with one.committing(run_id="early", job="facts") as early:
            early.replace("core.requests", attempts(HOUR, 4), partitions=[HOUR])


def write_at_once(warehouse: Warehouse, together: threading.Barrier, told: list[str]) -> None:
    """Write each of some hours for the first time at the same moment as another does."""
    for hour in TWINS:
        together.wait()
        try:
            with warehouse.committing(run_id="twin", job="facts") as commit:
                commit.replace("core.requests", attempts(hour, 3), partitions=[hour])
                together.wait()
        except OvertakenError as error:
            told.append(str(error))


def lands_and_computes(project: Project, failed: list[str]) -> None:
    warehouse = Warehouse(project)
    try:
        land_all(warehouse)
        count(warehouse)
    except NanodollarError as error:
        failed.append(str(error))
    warehouse.lake.close()


def test_two_machines_work_at_once_and_nothing_is_lost_doubled_or_read_half_done(
    machines: list[Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = machines
    for name in range(3):
        calls = [call(number) for number in range(0, 10_000, 1_000 + name)]
        put(
            Warehouse(make_project(tmp_path)),
            f"{name}.jsonl",
            "".join(f"{json.dumps(one)}\n" for one in calls),
        )
    failed: list[str] = []
    at_work = [threading.Thread(target=lands_and_computes, args=(one, failed)) for one in machines]
    for thread in at_work:
        thread.start()
    for thread in at_work:
        thread.join()
    assert failed == []
    wanted = {number for name in range(3) for number in range(0, 10_000, 1_000 + name)}
    assert query(second, "SELECT count(*), count(DISTINCT file_hash) FROM ops.landed_files") == [(3, 3)]
    assert query(second, "SELECT count(*), count(DISTINCT (file_hash, line_number)) FROM raw.requests") == [
        (30, 30)
    ]
    assert query(second, "SELECT output_text_tokens FROM core.requests ORDER BY ALL") == [
        (number,) for number in sorted(wanted)
    ]

    # Whoever read before the other wrote does not put older rows over newer ones, and no partition is there twice.
    one, two = Warehouse(first), Warehouse(second)
    with pytest.raises(
        OvertakenError, match=r"computed 2026-11-20T09:00Z of core\.requests since it was read"
    ):
        write_both(one, two)
    assert query(second, f"SELECT count(*) FROM core.requests WHERE started_hour = '{HOUR}'") == [(4,)]
    assert not [*(tmp_path / "data").rglob(".*.parquet")]

    # Even where a turn was lost, as with its session, a first write of a partition conflicts with its twin.
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "turn", lambda _: nullcontext())
        together, told = threading.Barrier(2), []
        twins = [
            threading.Thread(target=write_at_once, args=(warehouse, together, told))
            for warehouse in (one, two)
        ]
        for thread in twins:
            thread.start()
        for thread in twins:
            thread.join()
    assert len(told) == len(TWINS)
    counted = f"SELECT count(*) FROM core.requests WHERE started_hour >= '{TWINS[0]}'"
    assert query(second, counted) == [(3 * len(TWINS),)]

    # Writers that maintain now and then, and readers: each read is a committed state.
    done = threading.Event()
    with one.committing(run_id="empty", job="facts") as commit:
        commit.execute("DELETE FROM core.requests")
        commit.execute("DELETE FROM ops.partitions WHERE table_name = 'core.requests'")
    writers = [
        threading.Thread(target=write, args=(project.folder, tmp_path, f"{n}", done, 12, 8))
        for n, project in enumerate(machines)
    ]
    reader = threading.Thread(target=read, args=(second.folder, tmp_path, "2", done))
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert all(log.read_text() for log in tmp_path.glob("*.log"))
    assert list(wrong_reads(tmp_path)) == []

    # A machine whose key hashes API keys otherwise would make two callers of one.
    (second.folder / ".hash_key").unlink()
    with pytest.raises(DataError, match="hashes API keys by another key"):
        write(second.folder, tmp_path, "9", threading.Event(), 1)
    one.lake.close()
    two.lake.close()


def test_a_machine_waits_for_its_turn_and_says_so_until_the_session_of_the_other_ends(
    machines: list[Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_TELL_AFTER_MS", 100)
    first, second = machines
    waits, told = threading.Event(), []

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())
            waits.set()

    handler = Told()
    logging.getLogger(claims.__name__).addHandler(handler)
    lake = Lake(second)
    with lake.writing() as con:
        thread = threading.Thread(target=lambda: Warehouse(second).prepare())
        with turn_of_machines(first, COMMIT):
            thread.start()
            assert waits.wait(60)
            assert thread.is_alive()
            with psycopg.connect(os.environ["NANODOLLAR_TEST_CATALOG"].removeprefix("postgres:")) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                    "AND classid = %s",
                    [claims._TURNS],
                )
            thread.join()
        assert con.execute("SELECT count(*) FROM raw.requests").fetchall() == [(0,)]
        assert [line.rpartition("/")[2] for line in told] == [
            "first writes to this lake; waiting for its turn to end."
        ]

        # Another version neither brings the tables up to date under those that are at work, nor works beside them.
        with pytest.raises(
            DataError, match=r"Another version .* at work on this catalog \(.*second\), and this is"
        ):
            claim(first, defined="00000001")
    lake.close()
    logging.getLogger(claims.__name__).removeHandler(handler)
    newer = claim(first, defined="00000001")
    refused = nanodollar(second, "run")
    newer.close()
    assert refused.code == 1
    assert "machines of one version write to a catalog at a time" in refused.err
