"""Dagster's SQLite event log, storing the events of a batch in one transaction a file.

A backfill of many partitions writes two events per asset and partition, and Dagster opens, commits and closes the
database for each. Here a batch is one transaction, and the files used last stay open. What a run has made of an asset
can be stored by one call, whatever the number of its partitions.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from threading import Lock, local
from typing import Any

from dagster import DagsterEventType, EventLogEntry
from dagster._core.storage.event_log import SqlEventLogStorageTable, SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData, deserialize_value, serialize_value
from sqlalchemy import Connection, Engine, create_engine, func, select

from pipelines.masking import mask

BATCH_SIZE = 1000
"""Events a transaction, for Dagster's DAGSTER_EVENT_BATCH_SIZE."""
_BUSY_SECONDS = 60
_OPEN_FILES = 4


_FREE_OF_TEXT = {DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED}
_HELD_BACK = {DagsterEventType.STEP_OUTPUT, DagsterEventType.ASSET_CHECK_EVALUATION}
"""What a step tells of each of its tables and checks, one after the other, before it ends."""


class _Batch(local):
    stack: ExitStack | None = None
    shards: dict[str, Connection]


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """The default event log of Dagster with `store_event_batch` as one transaction."""

    _batch = _Batch()
    _empty_file: bytes | None = None
    """A database without events, as Dagster has made it in this process."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._held: list[EventLogEntry] = []
        self._holding = Lock()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "BatchingSqliteEventLogStorage":
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        stack = self._batch.stack
        if stack is None:
            engine = self._engine(shard)
            with self._db_lock, engine.begin() as con:
                yield con
            return
        if shard not in self._batch.shards:
            self._batch.shards[shard] = stack.enter_context(self._engine(shard).begin())
        yield self._batch.shards[shard]

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            with super()._connect(shard):
                pass  # makes the file where it is missing
            url = self.conn_string_for_shard(shard)
            engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
        self._engines[shard] = engine
        if len(self._engines) > _OPEN_FILES:
            self._engines.pop(next(iter(self._engines))).dispose()
        return engine

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """Make a database where it is missing; those after the first are copies, for Dagster takes long over each."""
        file = Path(str(engine.url.database))
        is_missing = not file.exists()
        if is_missing and self._empty_file is not None:
            draft = file.with_suffix(f".{os.getpid()}.draft")
            draft.write_bytes(self._empty_file)
            with suppress(OSError):  # Not every file system has links; and another process may have made it.
                file.hardlink_to(draft)
            draft.unlink()
            if file.exists():
                return
        super()._initdb(engine, for_index_shard)
        if is_missing and self._empty_file is None:
            with closing(sqlite3.connect(file)) as con:
                BatchingSqliteEventLogStorage._empty_file = con.serialize()

    def dispose(self) -> None:
        """Close the files, and stop watching them."""
        self._store_held()
        self._close()
        super().dispose()

    def wipe(self) -> None:
        """Delete every event."""
        self._close()
        super().wipe()

    def _close(self) -> None:
        while self._engines:
            self._engines.popitem()[1].dispose()

    def has_table(self, table_name: str) -> bool:
        """Return whether a table is there; Dagster asks before it stores the result of each check."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event, without the secrets that its error or message may name.

        What a step tells of its tables and checks is stored with the event that comes next, at the latest that of the
        step's end.
        """
        if event.step_key and event.is_dagster_event and event.dagster_event_type in _HELD_BACK:
            with self._holding:
                self._held.append(event)
            return
        self._store_held()
        super().store_event(_masked(event))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, all of them or none."""
        self._store_held()
        with self._transaction():
            # Events of partitions come in thousands, of other kinds a few.
            for is_of_partition, found in groupby(events, key=_is_free_of_text):
                if is_of_partition:
                    self._store_of_partitions(list(found))
                else:
                    super().store_event_batch(list(found))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Store what is stored in the block in one transaction a file, within the one that is open if there is one."""
        if self._batch.stack is not None:
            yield
            return
        with ExitStack() as stack:
            self._batch.stack, self._batch.shards = stack, {}
            try:
                yield
            finally:
                self._batch.stack = None

    def _store_held(self) -> None:
        with self._holding:
            held, self._held = self._held, []
        if not held:
            return
        events, rows = zip(*map(self._masked_row, held), strict=True)
        with self._transaction():
            for run_id, of_run in groupby(rows, key=itemgetter("run_id")):
                with self.run_connection(run_id) as con:
                    con.execute(SqlEventLogStorageTable.insert(), list(of_run))
            judged = [
                (event, row)
                for event, row in zip(events, rows, strict=True)
                if event.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION
            ]
            if judged:
                with self.index_connection() as con:
                    numbers = self._numbered(con, [row for _, row in judged])
                for (event, _), number in zip(judged, numbers, strict=True):
                    self.store_asset_check_event(event, number)

    def _masked_row(self, event: EventLogEntry) -> tuple[EventLogEntry, dict[str, Any]]:
        """Return an event without secrets, and the row that stores it, by one serialization where there are none."""
        row = self._event_to_row(event)
        shown = _without_secrets(event, row["event"])
        return shown, row if shown is event else self._event_to_row(shown)

    @staticmethod
    def _numbered(con: Connection, rows: list[dict[str, Any]]) -> range:
        """Store events across runs, and return their numbers."""
        con.execute(SqlEventLogStorageTable.insert(), rows)
        # The transaction has the file to itself, so that the numbers follow each other.
        last = con.execute(select(func.max(SqlEventLogStorageTable.c.id))).scalar_one()
        return range(last - len(rows) + 1, last + 1)

    def store_partitions(self, events: Sequence[EventLogEntry], keys: Sequence[Sequence[str]]) -> None:
        """Store that a run made partitions of assets: an event of each partition, which differ by its key alone.

        What is asked across runs (which partitions are there) finds them all; in the log of the run, which a person
        reads, the event of an asset's last partition stands for it.

        Args:
            events: of each asset, the event of its last partition.
            keys: of each asset, all partitions.
        """
        self._store_held()
        with self._transaction():
            for event, its_keys in zip(events, keys, strict=True):
                row = self._event_to_row(event)
                before, after = row["event"].split(json.dumps(row["partition"]))
                rows = [
                    row | {"event": f"{before}{json.dumps(key)}{after}", "partition": key} for key in its_keys
                ]
                with self.run_connection(event.run_id) as con:
                    con.execute(SqlEventLogStorageTable.insert(), [row])
                with self.index_transaction() as con:
                    self._store_asset_event(con, event, self._numbered(con, rows)[-1])

    def _store_of_partitions(self, events: list[EventLogEntry]) -> None:
        """Store what was planned and made of assets as `store_event` would, with one statement a table."""
        rows = [self._event_to_row(event) for event in events]
        for run_id, of_run in groupby(rows, key=itemgetter("run_id")):
            with self.run_connection(run_id) as con:
                con.execute(SqlEventLogStorageTable.insert(), list(of_run))
        with self.index_transaction() as con:
            numbered = list(zip(events, self._numbered(con, rows), strict=True))
            self._store_asset_event_tags(con, events, [number for _, number in numbered])
            # An asset keeps the last event of a kind.
            lasts = {
                (event.dagster_event_type, row["asset_key"]): at
                for at, (event, row) in enumerate(zip(events, rows, strict=True))
            }
            for at in lasts.values():
                self._store_asset_event(con, *numbered[at])


def _is_free_of_text(event: EventLogEntry) -> bool:
    return event.is_dagster_event and event.dagster_event_type in _FREE_OF_TEXT


def _masked(event: EventLogEntry) -> EventLogEntry:
    return event if _is_free_of_text(event) else _without_secrets(event, serialize_value(event))


def _without_secrets(event: EventLogEntry, text: str) -> EventLogEntry:
    """Return an event, given with its serialization, as it is where that names no secret."""
    shown = mask(text)
    return event if shown == text else deserialize_value(shown, EventLogEntry)
