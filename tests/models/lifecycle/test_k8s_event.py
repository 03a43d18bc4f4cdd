"""Events of the official client's models refine the lives that pods tell: finer phases, a reason, no dollar more."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.client import models as k8s

from models.costs.lives import replica_intervals
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.importers import fitting
from models.lifecycle.dedupe import dedupe_events
from models.schemas import table
from tests.models.costs.test_states import price
from tests.models.lifecycle.pods import DAY, at, condition, plain, pod, status_of
from tests.models.logs.reading import read_records
from tests.pipelines.landing.lake import count, lake, land_all, query
from tests.pipelines.landing.test_fuzz import land_alone

KIND = "k8s_event"
MAIN = "spec.containers{kserve-container}"
START = [condition("PodScheduled", "09:57:10"), condition("Ready", "10:02:40")]
RUNNING = [status_of("kserve-container", running="09:59:30"), status_of("queue-proxy", running="09:58:00")]
OVER = [
    status_of("kserve-container", ended=("09:59:30", "11:00:12", 143)),
    status_of("queue-proxy", ended=("09:58:00", "11:00:20", 0)),
]
POD = pod(conditions=START, statuses=RUNNING)
GONE = pod(conditions=START, statuses=OVER, deleted=("11:00:30", 30))


def event(
    reason: str,
    first: str | None,
    *,
    uid: str = "u-1",
    path: str | None = None,
    message: str = "",
    **more: Any,
) -> k8s.CoreV1Event:
    """Return an Event of a pod as the kubelet writes it; `first` is a time of day."""
    when = None if first is None else at(first)
    return k8s.CoreV1Event(
        api_version="v1", kind="Event", metadata=k8s.V1ObjectMeta(name=f"llm.{reason}.{first}", namespace="search"),
        involved_object=k8s.V1ObjectReference(
            kind="Pod", name=f"llm-{uid}", namespace="search", uid=uid, field_path=path),
        reason=reason, message=message, type="Normal", source=k8s.V1EventSource(component="kubelet", host="n1"),
        **{"first_timestamp": when, "last_timestamp": when, "count": 1, **more},
    )  # fmt: skip


def newer(reason: str, when: str, **more: Any) -> k8s.EventsV1Event:
    """Return an Event of events.k8s.io/v1."""
    return k8s.EventsV1Event(
        api_version="events.k8s.io/v1", kind="Event", metadata=k8s.V1ObjectMeta(name=reason, namespace="search"),
        regarding=k8s.V1ObjectReference(kind="Pod", name="llm-u-1", namespace="search", uid="u-1", field_path=MAIN),
        reason=reason, note="", type="Normal", reporting_controller="kubelet", reporting_instance="n1",
        event_time=at(when) + timedelta(microseconds=250_000), **more,
    )  # fmt: skip


def rows(*records: Any) -> pl.DataFrame:
    return read_records(KIND, records).filter(~pl.col("is_ignored"))


def told(frame: pl.DataFrame) -> list[tuple[str, str, str | None]]:
    """Return event, time of day and reason, each once, in order of time."""
    assert frame["quarantine_reason"].null_count() == frame.height, frame
    clock = pl.col("event_at").dt.strftime("%H:%M:%S%.6f").str.strip_suffix(".000000")
    found = frame.unique("dedupe_key").sort("event_at", "event")
    return found.select("event", clock, "reason").rows()


def landed(pods: Iterable[Any], events: Iterable[Any]) -> pl.DataFrame:
    """Return core.replica_events of pods in one file and Events in another."""
    parts = [
        land_alone(kind, "".join(f"{json.dumps(plain(record))}\n" for record in records).encode()).usable
        for kind, records in (("k8s_pod", pods), (KIND, events))
    ]
    found = pl.concat([part for part in parts if part.height], how="vertical_relaxed")
    winners, _ = dedupe_events(found.lazy(), from_hour=DAY, to_hour=DAY + timedelta(days=1))
    return winners.collect()


def states(pods: Iterable[Any], *events: Any) -> list[tuple[Any, ...]]:
    lives = replica_intervals(landed(pods, events).lazy()).sort("replica_id", "started_at")
    clock = [pl.col(name).dt.strftime("%H:%M:%S") for name in ("started_at", "ended_at")]
    return lives.select("state", *clock, "reason", "repair").rows()


ALONE = [
    ("waiting", "09:55:00", "09:57:10"), ("pulling", "09:57:10", "09:59:30"), ("loading", "09:59:30", "10:02:40"),
    ("ready", "10:02:40", "11:00:00"), ("draining", "11:00:00", "11:00:20"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "path", "message", "expected"),
    [
        ("Scheduled", None, "Successfully assigned search/llm-u-1 to n1", [("scheduled", None)]),
        ("Pulled", MAIN, "Successfully pulled image in 45.1s (46s including waiting). Image size: 123 bytes.",
         [("image_pulled", None)]),
        ("Pulled", MAIN, 'Container image "i" already present on machine', [("image_pulled", None)]),
        ("Killing", MAIN, "Stopping container kserve-container", [("draining", None)]),
        ("Preempting", None, "Preempted in order to admit critical pod", [("draining", "preempted")]),
        ("Preempted", None, "Preempted by pod p on node n1", [("draining", "preempted")]),
        ("Evicted", None, "The node was low on resource: memory.", [("draining", "preempted")]),
        ("NodeNotReady", None, "Node is not ready", [("draining", "preempted")]),
        ("TaintManagerEviction", None, "Marking for deletion Pod search/llm-u-1", [("draining", "preempted")]),
        # What begins nothing, ends nothing, or is of another container.
        ("TaintManagerEviction", None, "Cancelling deletion of Pod search/llm-u-1", []),
        ("Killing", MAIN, "Container kserve-container failed liveness probe, will be restarted", []),
        ("Pulled", "spec.containers{queue-proxy}", "", []),
        ("Pulled", "spec.initContainers{storage-initializer}", "", []),
        *((reason, MAIN, "", []) for reason in (
            "Pulling", "Created", "Started", "BackOff", "Failed", "FailedScheduling", "Unhealthy", "FailedMount",
            "TriggeredScaleUp", "NotTriggerScaleUp")),
    ],
)  # fmt: skip
def test_events_that_tell_a_lifecycle_are_read_and_the_others_are_ignored(
    reason: str, path: str | None, message: str, expected: list[tuple[str, str | None]]
) -> None:
    record = plain(event(reason, "09:57:10", path=path, message=message))

    frame = read_records(KIND, [record])

    found = frame.filter(~pl.col("is_ignored"))
    assert frame.height == 1
    assert told(found) == [(name, "09:57:10", why) for name, why in expected]
    assert found["replica_id"].to_list() == ["u-1"] * len(expected)
    assert found["node"].to_list() == ["n1"] * len(expected)


def test_a_list_a_watch_an_exporter_and_both_versions_tell_the_same_and_which_kind_they_are() -> None:
    one = event("Pulled", "09:59:29", path=MAIN)
    bare = {name: value for name, value in plain(one).items() if name not in ("kind", "apiVersion")}
    records = [
        plain(one),
        {"apiVersion": "v1", "kind": "List", "items": [plain(one)]},
        plain(k8s.CoreV1EventList(kind="EventList", items=[one])),
        plain(k8s.V1WatchEvent(type="ADDED", object=plain(one))),
        plain(k8s.V1WatchEvent(type="DELETED", object=plain(one))),
        {"verb": "ADDED", "event": plain(one)},
        bare | {"clusterName": "c"},
        plain(newer("Pulled", "10:00:00", deprecated_first_timestamp=at("09:59:29"))),
    ]

    for record in records:
        assert told(rows(record)) == [("image_pulled", "09:59:29", None)]
        assert [fit.kind for fit in fitting(record)] == [KIND]
    assert told(rows(plain(newer("Pulled", "09:59:29")))) == [("image_pulled", "09:59:29.250000", None)]
    assert [fit.kind for fit in fitting(plain(POD))] == ["k8s_pod"]


def test_a_repeated_event_lands_once_at_its_first_instant_however_often_it_is_listed() -> None:
    seen = [
        event("Pulled", "09:59:29", path=MAIN, last_timestamp=at(last), count=number)
        for number, last in enumerate(("09:59:29", "10:05:00", "10:11:00"), start=1)
    ]
    series = k8s.CoreV1EventSeries(count=7, last_observed_time=at("10:30:00"))
    seen.append(event("Pulled", None, path=MAIN, event_time=at("09:59:29"), series=series))

    assert told(rows({"kind": "List", "items": [plain(one) for one in seen]})) == [
        ("image_pulled", "09:59:29", None)
    ]
    assert landed([], seen).height == 1


def test_pods_alone_and_pods_with_events_are_billed_the_same_time_in_finer_phases() -> None:
    events = [
        event("Scheduled", "09:57:10"), event("Pulled", "09:57:59", path="spec.containers{queue-proxy}"),
        event("Pulled", "09:59:12", path=MAIN), event("Killing", "11:00:01", path=MAIN),
        event("Evicted", "10:59:58", message="The node was low on resource: memory."),
    ]  # fmt: skip

    alone, refined = states([POD, GONE]), states([POD, GONE], *events)

    assert alone == [
        (*state, None, "assumed_provider, assumed_region, assumed_chip, assumed_commitment")
        for state in ALONE
    ]
    assert [state[:4] for state in refined] == [
        ("waiting", "09:55:00", "09:57:10", None), ("pulling", "09:57:10", "09:59:12", None),
        ("loading", "09:59:12", "10:02:40", None), ("ready", "10:02:40", "11:00:00", None),
        ("draining", "11:00:00", "11:00:20", "preempted"),
    ]  # fmt: skip
    assert {state[4] for state in refined} == {alone[0][4]}


def test_events_move_dollars_between_the_phases_and_leave_the_bill_as_it_is() -> None:
    phases = ["pulling", "loading", "serving", "idle", "draining", "failed"]
    sheet = [price(provider="unknown", chip="unknown", billed_phases=phases)]
    prices = table("ref.gpu_prices").frame(sheet).lazy()
    hours = {
        "from_hour": at("09:00:00"),
        "to_hour": at("12:00:00"),
        "time_zone": "UTC",
        "as_known_at": at("12:00:00"),
    }

    def billed(events: list[Any]) -> tuple[pl.DataFrame, dict[str, Decimal]]:
        found = landed([POD, GONE], events)
        states = replica_states(found.lazy(), prices=prices, **hours)
        nobody = table("core.requests").empty().lazy()
        bill = pool_hours(found.lazy(), states.lazy(), nobody, prices=prices, **hours)
        by_state = states.group_by("state").agg(pl.col("billed_usd").sum())
        assert bill["billed_usd"].sum() == by_state["billed_usd"].sum()
        return bill.sort("pool_hour"), dict(by_state.rows())

    alone, by_state = billed([])
    refined, finer = billed([event("Pulled", "09:59:12", path=MAIN), event("Evicted", "10:59:58")])

    # Eight GPUs from 09:57:10 to 11:00:20 at $6 an hour, whichever phase they are in.
    assert round(alone["billed_usd"].sum(), 9) == round(8 * Decimal(6 * 3790) / 3600, 9)
    assert refined.equals(alone)
    moved = by_state["pulling"] - finer["pulling"]
    assert finer["loading"] - by_state["loading"] == moved == 8 * Decimal(6 * 18) / 3600


@pytest.mark.parametrize(
    "events",
    [
        [event("Pulled", "09:58:10", path=MAIN)],
        [event("Pulled", "10:30:00", path=MAIN)],
        [event("Scheduled", "09:59:00")],
        [event("Killing", "10:59:00", path=MAIN), event("Killing", "11:30:00", path=MAIN)],
        [event("NodeNotReady", "10:20:00")],
        [event("Evicted", "10:01:00")],
    ],
)
def test_an_event_that_contradicts_the_pod_or_came_to_nothing_changes_nothing(events: list[Any]) -> None:
    assert states([POD, GONE], *events) == states([POD, GONE])


def test_events_fill_what_no_snapshot_of_the_pod_showed() -> None:
    early = pod(conditions=START[1:], statuses=[])
    events = [
        event("Scheduled", None, event_time=at("09:57:10")), event("Pulled", "09:59:12", path=MAIN),
        event("Killing", "11:00:01", path=MAIN),
    ]  # fmt: skip

    assert [state[:3] for state in states([early])] == [
        ("loading", "09:55:00", "10:02:40"), ("ready", "10:02:40", None)]  # fmt: skip
    assert [state[:3] for state in states([early], *events)] == [
        ("waiting", "09:55:00", "09:57:10"), ("pulling", "09:57:10", "09:59:12"),
        ("loading", "09:59:12", "10:02:40"), ("ready", "10:02:40", "11:00:01"), ("draining", "11:00:01", None),
    ]  # fmt: skip


def test_the_events_of_a_restarted_container_refine_the_life_that_they_are_of() -> None:
    again = status_of("kserve-container", running="10:30:40", last=("09:59:30", "10:30:00", 137), restarts=1)
    crashed = pod(conditions=[START[0], condition("Ready", "10:33:00")], statuses=[again, RUNNING[1]])
    events = [event("Pulled", "09:59:12", path=MAIN), event("Pulled", "10:30:25", path=MAIN)]

    assert [state[:3] for state in states([POD, crashed], *events)] == [
        ("waiting", "09:55:00", "09:57:10"), ("pulling", "09:57:10", "09:59:12"),
        ("loading", "09:59:12", "10:02:40"), ("ready", "10:02:40", "10:30:00"),
        ("pulling", "10:30:00", "10:30:25"), ("loading", "10:30:25", "10:33:00"), ("ready", "10:33:00", None),
    ]  # fmt: skip


ANY_EVENT = st.builds(
    lambda reason, second, name, micro: plain(
        event(reason, None, path=f"spec.containers{{{name}}}", event_time=_clock(second, micro))
    ),
    st.sampled_from(
        ["Scheduled", "Pulled", "Killing", "Evicted", "Preempting", "NodeNotReady", "TaintManagerEviction"]
    ),
    st.integers(9 * 3600 + 53 * 60, 11 * 3600 + 5 * 60),
    st.sampled_from(["kserve-container", "queue-proxy", "other"]),
    st.integers(0, 999_999),
)  # fmt: skip


def _clock(second: int, micro: int) -> datetime:
    return DAY + timedelta(seconds=second, microseconds=micro)


@settings(max_examples=12, deadline=None)
@given(st.lists(ANY_EVENT, max_size=8), st.sampled_from([(POD,), (POD, GONE), (GONE,)]))
def test_no_events_change_when_a_replica_lives_or_what_is_told_of_it(
    events: list[Any], pods: tuple[Any]
) -> None:
    alone = replica_intervals(landed(pods, []).lazy())
    both = replica_intervals(landed(pods, events).lazy())

    for lives in (alone, both):
        ordered = lives.sort("started_at")
        assert ordered["started_at"][1:].to_list() == ordered["ended_at"][:-1].to_list()
        assert ordered["life"].unique().to_list() == [0]
    facts = ["replica_id", "life_started_at", "deployment", "chip", "chip_count", "node", "repair"]
    assert both.select(facts).unique().equals(alone.select(facts).unique())
    for edge in ("started_at", "ended_at"):
        first, last = alone[edge].sort(nulls_last=True), both[edge].sort(nulls_last=True)
        assert (first[0] if edge == "started_at" else first[-1]) == (
            last[0] if edge == "started_at" else last[-1]
        )


def test_events_of_a_pod_that_nothing_else_names_make_no_replica(tmp_path: Path) -> None:
    assert states([], event("Scheduled", "09:57:10"), event("Pulled", "09:59:12")) == []

    sources = "".join(
        f'[[sources]]\nname = "{name}"\nkind = "{kind}"\npath = "landing/{name}/*"\n'
        for name, kind in (("cluster", "k8s_pod"), ("happenings", KIND))
    )
    warehouse = lake(tmp_path, more=sources)
    for name, records in (
        ("happenings", [event("Scheduled", "09:57:10"), event("Started", "09:59:31"),
                        event("Pulled", "09:59:12", path=MAIN, uid="cpu-pod")]),
        ("cluster", [POD]),
    ):  # fmt: skip
        folder = tmp_path / "landing" / name
        folder.mkdir(parents=True)
        (folder / "a.json").write_text(json.dumps({"kind": "List", "items": [plain(one) for one in records]}))

    land_all(warehouse, "happenings", "cluster")
    count(warehouse)

    landed_files = (
        "SELECT source, landed_count, quarantined_count, ignored_count FROM ops.landed_files ORDER BY 1"
    )
    assert query(warehouse, landed_files) == [("cluster", 4, 0, 0), ("happenings", 2, 0, 1)]
    rows = query(warehouse, "SELECT replica_id, event, deployment FROM core.replica_events ORDER BY ALL")
    assert rows == [
        ("cpu-pod", "image_pulled", None), ("u-1", "image_pulled", "llm"), ("u-1", "ready", "llm"),
        ("u-1", "requested", "llm"), ("u-1", "scheduled", "llm"),
    ]  # fmt: skip


def test_events_of_other_objects_bookmarks_and_errors_are_ignored() -> None:
    node = plain(event("NodeNotReady", "09:00:00"))
    node["involvedObject"] = {"kind": "Node", "name": "n1", "uid": "n1"}
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Event", "metadata": {"resourceVersion": "9"}}}
    error = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}

    assert read_records(KIND, [node, bookmark, error, plain(POD)])["is_ignored"].to_list() == [True] * 4


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"kind": "List", "items": "none"}, "unknown_shape"),
        ({"kind": "Event", "reason": "Scheduled"}, "unknown_shape"),
        ({"kind": "List", "items": [5]}, "unknown_shape"),
        (plain(event("Scheduled", "09:57:10", uid="")), "missing_replica_id"),
        (plain(event("Scheduled", None)), "missing_event_at"),
        (plain(event("Scheduled", "09:57:10")) | {"firstTimestamp": "soon"}, "bad_value"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(record: dict[str, Any], reason: str) -> None:
    assert rows(record)["quarantine_reason"].to_list() == [reason]
