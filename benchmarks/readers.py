"""Writers and readers of one lake, and a checker that each read equals a committed state."""

import json
import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import polars as pl

from models.errors import DataError
from models.schemas import table
from pipelines.project import find_project
from pipelines.warehouse.commit import Commit, OvertakenError
from pipelines.warehouse.maintenance import maintain
from pipelines.warehouse.resource import Warehouse

_START = datetime(2026, 11, 2, tzinfo=UTC)
_HOURS = 4
_STATE = """
SELECT started_hour, min(output_text_tokens), max(output_text_tokens), count(*) FROM core.requests GROUP BY ALL
ORDER BY ALL
"""
_COMMITTED = (
    "SELECT coalesce(sum(row_count), 0)::BIGINT FROM ops.partitions WHERE table_name = 'core.requests'"
)


def attempts(hour: datetime, count: int, *, tokens: int = 0) -> pl.DataFrame:
    """Return attempts of an hour, rows of core.requests, each with so many tokens of output."""
    row = {
        "source": "calls", "source_kind": "requests", "started_at": hour, "started_hour": hour, "ingested_at": hour,
        "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False, "file_hash": "0",
        "line_number": 1, "record_number": 0, "output_text_tokens": tokens,
    }  # fmt: skip
    return table("core.requests").frame([row | {"request_id": f"{n}"} for n in range(count)])


class Stop(Protocol):
    """An event of threads or of processes."""

    def is_set(self) -> bool: ...


def write(
    folder: Path, logs: Path, name: str, stop: Stop, commits: int | None = None, rest: int = 50
) -> None:
    """Replace hours by rows that all hold the number of their commit; note what each snapshot holds.

    Args:
        folder: the project of a machine.
        logs: where each commit is noted.
        name: the writer's number.
        stop: ends it.
        commits: how many it makes at most.
        rest: after so many the lake is maintained.
    """
    warehouse = Warehouse(find_project(folder))
    draw, number = random.Random(name), 0
    with (logs / f"{name}.log").open("w") as log:
        while not stop.is_set() and number != commits:
            number += 1
            at = _START + timedelta(hours=draw.randrange(_HOURS))
            value, count = number * 100 + int(name), 1 + draw.randrange(30)
            rows = attempts(at, count, tokens=value)
            made: list[int] = []
            try:
                with warehouse.committing(run_id=f"{name}-{number}", job="facts") as commit:
                    commit.replace("core.requests", rows, partitions=[at])
                    # Its number is known within the commit alone; one that is tried again has another.
                    commit._actions.append(partial(_note, commit, made))  # noqa: SLF001
            except OvertakenError:
                continue  # Another has written the hour since this one was begun; that stays.
            log.write(json.dumps([made[-1], at.isoformat(), value, count]) + "\n")
            log.flush()
            if number % rest == 0:
                try:
                    maintain(warehouse, keep=timedelta(seconds=20), now=datetime.now(UTC))
                except DataError as error:  # A store may be slow; the next maintenance goes on.
                    print(f"readers: maintenance by {name} stopped: {error}", flush=True)
    warehouse.lake.close()


def _note(commit: Commit, made: list[int]) -> None:
    made += commit.con.execute("SELECT getvariable('commit_snapshot')").fetchall()[0]


def read(folder: Path, logs: Path, name: str, stop: Stop) -> None:
    """Ask for the state of the lake in one transaction, again and again."""
    warehouse = Warehouse(find_project(folder))
    with (logs / f"{name}.read").open("w") as log:
        while not stop.is_set():
            with warehouse.reading() as con:
                con.execute("BEGIN")
                ((snapshot,),) = con.execute("FROM nanodollar.current_snapshot()").fetchall()
                hours = con.execute(_STATE).fetchall()
                ((committed,),) = con.execute(_COMMITTED).fetchall()
                con.execute("COMMIT")
            seen = [[at.astimezone(UTC).isoformat(), *held] for at, *held in hours]
            log.write(json.dumps([snapshot, seen, committed]) + "\n")
    warehouse.lake.close()


def wrong_reads(logs: Path) -> Iterator[str]:
    """Yield each read that equals no committed state, and each commit that was lost."""
    written = sorted(
        json.loads(line)
        for log in logs.glob("*.log")
        for line in log.read_text(encoding="utf-8").splitlines()
    )
    reads = [
        json.loads(line)
        for log in logs.glob("*.read")
        for line in log.read_text(encoding="utf-8").splitlines()
    ]
    newest = max((one[0] for one in reads), default=0)
    states: dict[int, dict[str, list[int]]] = {}
    state: dict[str, list[int]] = {}
    for snapshot, at, value, count in written:
        state = state | {at: [value, count]}
        states[snapshot] = state
    known = sorted(states)
    for snapshot, hours, committed in reads:
        last = max((one for one in known if one <= snapshot), default=None)
        wanted = states[last] if last is not None else {}
        seen = {at: [least, rows] for at, least, most, rows in hours if least == most}
        if seen != wanted or len(seen) != len(hours):
            yield f"snapshot {snapshot} of {newest}: read {hours}, committed {wanted}"
        elif committed != sum(rows for _, rows in seen.values()):
            yield f"snapshot {snapshot}: ops.partitions tells {committed} rows, read {hours}"
    print(f"readers: {len(reads):,} reads of {len(written):,} commits", flush=True)


def readers(folders: Sequence[Path], seconds: float, *, writing: int = 3, reading: int = 2) -> Iterator[str]:
    """Let writers and readers, each a process, work on a lake for a while, and yield what was wrong.

    Args:
        folders: the project folder of each machine.
        seconds: for how long.
        writing: processes of each machine that write.
        reading: processes of each machine that read.
    """
    spawn = multiprocessing.get_context("spawn")
    stop, logs = spawn.Event(), folders[0]
    works = [write] * writing + [read] * reading
    workers = [
        spawn.Process(target=work, args=(folder, logs, f"{number * len(works) + kind}", stop))
        for number, folder in enumerate(folders)
        for kind, work in enumerate(works)
    ]
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    stop.set()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            yield f"a process ended with {worker.exitcode}"
    yield from wrong_reads(logs)
