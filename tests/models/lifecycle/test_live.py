"""A window needs the events of the replicas that live in it: also of those whose place only a later event names."""

from datetime import UTC, datetime

import duckdb
import pytest

from models.lifecycle.live import LIVE_EVENTS
from models.schemas import table


def at(hour: int) -> datetime:
    return datetime(2026, 11, 2, hour, tzinfo=UTC)


def event(replica_id: str, name: str, hour: int, **facts: str) -> dict[str, object]:
    return {
        "source": "s", "source_kind": "replica_events", "replica_id": replica_id, "deployment": "d", "event": name,
        "event_at": at(hour), "event_hour": at(hour), "ingested_at": at(0), "file_hash": "f", "line_number": 1,
        "record_number": 1, **facts,
    }  # fmt: skip


POD = {"source_kind": "k8s_pod"}
EVENTS = [
    event("late place", "requested", 1), event("late place", "ready", 3, region="x"),
    event("late place", "stopped", 4, region="x"),
    event("twin", "ready", 1, region="us"), event("twin", "stopped", 2, region="us"),
    event("twin", "ready", 3, region="eu"), event("twin", "stopped", 5, region="eu"),
    # Two sources tell of one pod.
    event("pod", "ready", 1, **POD), event("pod", "stopped", 2, **POD | {"source": "watch"}),
    event("head", "ready", 5, replica_group="g", **POD), event("head", "stopped", 6, replica_group="g", **POD),
    event("worker", "ready", 4, replica_group="g", **POD), event("worker", "stopped", 4, replica_group="g", **POD),
]  # fmt: skip


@pytest.mark.parametrize(
    ("hour", "needed"),
    [
        (0, set()),
        (1, {"late place", "twin", "pod"}),
        (2, {"late place", "twin", "pod"}),
        (3, {"late place", "twin"}),
        (4, {"late place", "twin", "worker", "head"}),
        (5, {"twin", "head", "worker"}),
        (7, set()),
    ],
)
def test_live_events_are_those_of_replicas_that_live_in_the_window(hour: int, needed: set[str]) -> None:
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA core")
        con.register("held", table("core.replica_events").frame(EVENTS))
        con.execute("CREATE TABLE core.replica_events AS FROM held")
        found = con.execute(LIVE_EVENTS, {"start": at(hour), "end": at(hour + 1)}).pl()
    assert set(found["replica_id"]) == needed
