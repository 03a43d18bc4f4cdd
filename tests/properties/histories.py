"""Histories of a project, drawn at random, beside a ledger in memory that says what must stand after each."""

import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pipelines.durable import watched
from pipelines.project import find_project
from pipelines.warehouse.backup import backup
from pipelines.warehouse.damage import mend
from pipelines.warehouse.maintenance import maintain
from pipelines.warehouse.publish import publish
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.restore import restore
from tests.pipelines.landing.lake import call, count, lake, land_all, put
from tests.properties.durable import FAULTS, failing_at, work

_SECONDS = 3 * 3600
_ROWS = "SELECT request_id, output_text_tokens FROM core.requests ORDER BY ALL"


class Histories(RuleBasedStateMachine):
    """Files land late, twice or broken; steps fail; the lake is maintained, closed, backed up and restored.

    The ledger is request -> tokens of every file that was written: whatever happened in between, a run that ends well
    holds just that, in the lake as in the published file, and what a closed snapshot showed it shows for good.
    """

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="history-"))
        self.ledger: dict[str, int] = {}
        self.warehouses: list[Warehouse] = []
        self.closed: list[tuple[int, list[Any]]] = []
        self.files = self.backups = self.restores = 0

    @initialize()
    def begin(self) -> None:
        warehouse = lake(self.base / "project")
        warehouse.project.hash_key()
        self._open(warehouse.project.folder)

    def _open(self, folder: Path) -> None:
        for warehouse in self.warehouses:
            warehouse.lake.close()
        self.warehouses = [Warehouse(find_project(folder)) for _ in range(2)]

    @property
    def folder(self) -> Path:
        return self.warehouses[0].project.folder

    @rule(seconds=st.lists(st.integers(0, _SECONDS - 1), min_size=1, max_size=4), is_broken=st.booleans())
    def a_file_arrives(self, seconds: list[int], is_broken: bool) -> None:
        """New records and old ones again, in any order; a broken line among them."""
        records = [call(second) for second in seconds]
        self.ledger |= {record["request_id"]: record["output_text_tokens"] for record in records}
        self.files += 1
        text = "".join(f"{json.dumps(record)}\n" for record in records) + ("{half\n" if is_broken else "")
        put(self.warehouses[0], f"{self.files}.jsonl", text)

    @rule(which=st.integers(0, 1))
    def it_runs(self, which: int) -> None:
        """A run, by one of two processes that hold the lake."""
        warehouse = self.warehouses[which]
        mend(warehouse)
        land_all(warehouse)
        count(warehouse)
        publish(warehouse.project, warehouse.lake)
        wanted = sorted(self.ledger.items())
        for one in self.warehouses:
            with one.reading() as con:
                assert con.execute(_ROWS).fetchall() == wanted
                ((same,),) = con.execute(
                    "SELECT (SELECT count(*) FROM core.requests) = (SELECT coalesce(sum(row_count), 0) "
                    "FROM ops.partitions WHERE table_name = 'core.requests')"
                ).fetchall()
                assert same
        with duckdb.connect(str(warehouse.project.published), read_only=True) as con:
            assert con.execute(_ROWS).fetchall() == wanted

    @rule(number=st.integers(0, 60), kind=st.sampled_from(sorted(FAULTS)))
    def a_step_fails(self, number: int, kind: str) -> None:
        """A run stops at a step, for good: what comes next finds what it left."""
        try:
            with watched(failing_at(number, FAULTS[kind]())):
                work(self.warehouses[0])
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | AssertionError):
                raise
        self._open(self.folder)

    @rule()
    def a_month_is_closed(self) -> None:
        """What the lake shows now it shows of this snapshot for good."""
        with self.warehouses[0].committing(run_id="close", job="close") as commit:
            commit.execute(
                "INSERT INTO ops.closed_periods (period, closed_from, closed_to, closed_at, known_at, time_zone, "
                "snapshot_id) VALUES (?, DATE '2020-01-01', DATE '2020-02-01', now(), now(), 'UTC', "
                "getvariable('commit_snapshot'))",
                [f"close {len(self.closed)}"],
            )
        with self.warehouses[0].reading() as con:
            ((snapshot,),) = con.execute("SELECT max(snapshot_id) FROM ops.closed_periods").fetchall()
            self.closed.append((snapshot, con.execute(_ROWS).fetchall()))

    @rule()
    def it_is_maintained(self) -> None:
        """All snapshots expire but the newest and those of closes, which show what they showed."""
        maintain(self.warehouses[1], keep=timedelta(0), now=datetime.now(UTC), grace=timedelta(0))
        with self.warehouses[1].reading() as con:
            for snapshot, rows in self.closed:
                shown = con.execute(_ROWS.replace("requests", f"requests AT (VERSION => {snapshot})"))
                assert shown.fetchall() == rows

    @rule()
    def it_is_backed_up(self) -> None:
        backup(self.warehouses[0].project, str(self.base / "backups"), now=datetime.now(UTC))
        self.backups += 1
        self.closed_then = list(self.closed)

    @precondition(lambda self: self.backups)
    @rule()
    def the_disk_is_lost(self) -> None:
        """The newest backup is restored elsewhere; the logs are still there."""
        before = self.folder
        self.restores += 1
        for warehouse in self.warehouses:
            warehouse.lake.close()
        after = restore(str(self.base / "backups"), self.base / f"restored-{self.restores}").project
        shutil.move(before / "landing", after.folder / "landing") if (before / "landing").exists() else None
        shutil.rmtree(before)
        # Work that failed may have backed up later than we know.
        self._open(after.folder)
        with self.warehouses[0].reading() as con:
            known = {row[0] for row in con.execute("SELECT snapshot_id FROM ops.closed_periods").fetchall()}
        self.closed = [one for one in self.closed if one[0] in known]

    def teardown(self) -> None:
        for warehouse in self.warehouses:
            warehouse.lake.close()
        shutil.rmtree(self.base, ignore_errors=True)
