"""Dagster's SQLite event log, storing the events of a batch in one transaction a file.

A backfill of many partitions writes two events per asset and partition, and Dagster opens, commits and closes the
database for each. Here a batch is one transaction, and the files used last stay open.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import local
from typing import Any

from dagster import DagsterEventType, EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData, deserialize_value, serialize_value
from sqlalchemy import Connection, Engine, create_engine

from pipelines.masking import mask

BATCH_SIZE = 1000
"""Events a transaction, for Dagster's DAGSTER_EVENT_BATCH_SIZE."""
_BUSY_SECONDS = 60
_OPEN_FILES = 4


_FREE_OF_TEXT = {DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED}


class _Batch(local):
    stack: ExitStack | None = None
    shards: dict[str, Connection]


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """The default event log of Dagster with `store_event_batch` as one transaction."""

    _batch = _Batch()

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
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

    def dispose(self) -> None:
        """Close the files, and stop watching them."""
        self._close()
        super().dispose()

    def wipe(self) -> None:
        """Delete every event."""
        self._close()
        super().wipe()

    def _close(self) -> None:
        while self._engines:
            self._engines.popitem()[1].dispose()

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event, without the secrets that its error or message may name."""
        super().store_event(_masked(event))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, all of them or none."""
        with ExitStack() as stack:
            self._batch.stack, self._batch.shards = stack, {}
            try:
                super().store_event_batch(events)
            finally:
                self._batch.stack = None


def _masked(event: EventLogEntry) -> EventLogEntry:
    if event.is_dagster_event and event.dagster_event_type in _FREE_OF_TEXT:
        return event
    text = serialize_value(event)
    shown = mask(text)
    return event if shown == text else deserialize_value(shown, EventLogEntry)
