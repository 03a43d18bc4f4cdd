"""Short histories of the committing room alone, drawn from a seed, beside a ledger in memory: many run."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from models.schemas import table
from pipelines.durable import watched
from pipelines.project import find_project
from pipelines.steps.repricing import OUTDATE
from pipelines.warehouse.commit import OvertakenError, newest_snapshot
from pipelines.warehouse.damage import sweep, unnamed_files
from pipelines.warehouse.data_files import dead_drafts
from pipelines.warehouse.history import read_history
from pipelines.warehouse.maintenance import maintain
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.staged import partition_key
from tests.pipelines.landing.lake import lake
from tests.properties.durable import FAULTS, failing_at

HOURS = [datetime(2026, 11, 2, hour, tzinfo=UTC) for hour in range(5)]
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_TASK = "the newest commit"
_TABLE = "core.other_charges"
"""Of the tables that are replaced by the hour, the one with the fewest columns: a commit of it takes the least."""
_STATE = f"""
SELECT accrued_hour, min(quantity)::BIGINT, max(quantity)::BIGINT, count(*) FROM {_TABLE}{{at}} GROUP BY ALL
"""
_WHOLE = f"""
{_STATE.format(at="")} UNION ALL SELECT NULL,
  (SELECT coalesce(sum(row_count), 0)::BIGINT FROM ops.partitions WHERE table_name = '{_TABLE}'), 0,
  (SELECT key::BIGINT FROM ops.progress WHERE task = '{_TASK}')
"""
Rows = dict[datetime, tuple[int, int]]
"""Hour -> the number of the commit that wrote it, and its rows; an hour without rows is not there."""


class Room:
    """Two processes on one lake, and what each hour must hold."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.draw = random.Random(seed)
        self.ledger: Rows = {}
        self.newest: int | None = None
        self.number = 0
        self.closed: list[tuple[int, Rows]] = []
        self.warehouses: list[Warehouse] = []
        self.open_anew()

    def open_anew(self) -> None:
        """Two processes begin; the ones before have ended."""
        self.close()
        self.warehouses = [Warehouse(find_project(self.folder)) for _ in range(2)]

    def close(self) -> None:
        for one in self.warehouses:
            one.lake.close()

    def rows(self, hours: list[datetime], count: int) -> pl.DataFrame:
        return table(_TABLE).frame(
            [
                {
                    "charge_id": f"{n}", "meter": "calls", "quantity": Decimal(self.number),
                    "accrued_hour": hour, "accrued_on": hour.date(),
                }
                for hour in hours
                for n in range(count)
            ]
        )  # fmt: skip

    def write(self, warehouse: Warehouse, hours: list[datetime], count: int) -> None:
        """Replace hours and mark the number of the commit beside them, by a clock that may have been set back."""
        with warehouse.reading() as con:
            read = (newest_snapshot(con), self.draw.choice([datetime.now(UTC), _LONG_AGO]))
        with warehouse.committing(run_id=f"{self.number}", job="facts", read=read) as commit:
            commit.replace(_TABLE, self.rows(hours, count), partitions=hours)
            commit.execute("DELETE FROM ops.progress WHERE task = ?", [_TASK])
            commit.mark(_TASK, [f"{self.number}"])

    def some_hours(self) -> list[datetime]:
        return sorted(self.draw.sample(HOURS, self.draw.choice([1, 1, 2, 3])))

    def after(self, hours: list[datetime], count: int) -> Rows:
        left = {hour: held for hour, held in self.ledger.items() if hour not in hours}
        return left | (dict.fromkeys(hours, (self.number, count)) if count else {})

    def look(self) -> tuple[Rows, int | None]:
        """Return what the lake holds, and the number of the commit that it marks as the newest."""
        with self.draw.choice(self.warehouses).reading() as con:
            found = con.execute(_WHOLE).fetchall()
        rows = [row for row in found if row[0] is not None]
        ((_, told, _, mark),) = (row for row in found if row[0] is None)
        assert all(least == most for _, least, most, _ in rows), "an hour holds rows of two commits"
        assert told == sum(count for *_, count in rows), "ops.partitions tells of other rows than there are"
        return _held(rows), mark


def _held(rows: list[tuple[datetime, int, int, int]]) -> Rows:
    return {hour.astimezone(UTC): (number, count) for hour, number, _, count in rows}


def it_writes(room: Room) -> None:
    room.number += 1
    hours, count = room.some_hours(), room.draw.choice([0, 1, 3, 8])
    room.write(room.draw.choice(room.warehouses), hours, count)
    room.ledger, room.newest = room.after(hours, count), room.number


def it_fails(room: Room) -> None:
    """A step of a commit fails: it is there whole or not at all."""
    room.number += 1
    hours, count = room.some_hours(), room.draw.choice([0, 1, 3, 8])
    kind = room.draw.choice(sorted(FAULTS))
    with (
        suppress(*{type(FAULTS[kind]()), Exception}),
        watched(failing_at(room.draw.randrange(9), FAULTS[kind]())),
    ):
        room.write(room.draw.choice(room.warehouses), hours, count)
    if kind == "kill":
        room.open_anew()
    seen = room.look()
    assert seen in ((room.ledger, room.newest), (room.after(hours, count), room.number))
    room.ledger, room.newest = seen


def it_is_overtaken(room: Room) -> None:
    """Who has read before another wrote, or before prices changed, does not write over it."""
    late, early = room.warehouses
    hours, is_by_prices = room.some_hours(), room.draw.random() < 0.5
    if is_by_prices:
        room.number += 1
        room.write(early, hours, 2)
        room.ledger, room.newest = room.after(hours, 2), room.number
    try:
        with late.committing(run_id="late", job="facts") as commit:
            room.number += 1
            commit.replace(_TABLE, room.rows(hours[:1], 5), partitions=hours[:1])
            commit.mark(_TASK, ["late"])
            if is_by_prices:
                with early.committing(run_id="prices", job="ref") as prices:
                    prices.execute(OUTDATE, [_TABLE, [partition_key(hour) for hour in hours]])
            else:
                room.number += 1
                room.write(early, hours, 4)
                room.ledger, room.newest = room.after(hours, 4), room.number
    except OvertakenError:
        return
    raise AssertionError("older rows were written over newer ones")


def it_closes(room: Room) -> None:
    with room.draw.choice(room.warehouses).committing(run_id="close", job="close") as commit:
        commit.execute(
            "INSERT INTO ops.closed_periods (period, closed_from, closed_to, closed_at, known_at, time_zone, "
            "snapshot_id) VALUES (?, DATE '2020-01-01', DATE '2020-02-01', now(), now(), 'UTC', "
            "getvariable('commit_snapshot'))",
            [f"{len(room.closed)}"],
        )
    with room.warehouses[0].reading() as con:
        ((snapshot,),) = con.execute("SELECT max(snapshot_id) FROM ops.closed_periods").fetchall()
    room.closed.append((snapshot, room.ledger))


def it_is_maintained(room: Room) -> None:
    now = datetime.now(UTC)
    maintain(room.draw.choice(room.warehouses), keep=timedelta(0), now=now, grace=timedelta(0))


def they_end(room: Room) -> None:
    room.open_anew()


_STEPS: list[tuple[Callable[[Room], None], int]] = [
    (it_writes, 8),
    (it_fails, 10),
    (it_is_overtaken, 4),
    (it_closes, 2),
    (it_is_maintained, 1),
    (they_end, 1),
]


def commit_histories(folder: Path, *, seed: int, count: int, steps: int = 8) -> Iterator[str]:
    """Yield what goes wrong in histories of so many steps, each going on where the one before has ended.

    Args:
        folder: where the lake is made.
        seed: all is drawn from it.
        count: how many histories.
        steps: of each.
    """
    warehouse = lake(folder)
    warehouse.project.hash_key()
    room = Room(folder, seed)
    names, weights = zip(*_STEPS, strict=True)
    for number in range(count):
        taken: list[str] = []
        try:
            for step in room.draw.choices(names, weights, k=steps):
                taken.append(step.__name__)
                step(room)
                if step is not it_fails:  # It has looked.
                    assert room.look() == (room.ledger, room.newest)
            _nothing_is_left_over(room)
        except Exception as error:  # noqa: BLE001
            yield f"seed {seed}, history {number} ({', '.join(taken)}): {type(error).__name__}: {error}"
            break
    room.close()


def _nothing_is_left_over(room: Room) -> None:
    """Closed snapshots show what they showed, and no file is there that nothing names."""
    warehouse = room.warehouses[0]
    sweep(warehouse)
    with warehouse.reading() as con:
        assert unnamed_files(con, warehouse.project) == []
        assert dead_drafts(warehouse.project) == []
        read_history(con)
        for snapshot, rows in [*room.closed[:1], *room.closed[-2:]]:
            shown = con.execute(_STATE.format(at=f" AT (VERSION => {snapshot})")).fetchall()
            assert _held(shown) == rows, f"snapshot {snapshot} of a close shows something else"
        con.execute("RESET disabled_optimizers")
