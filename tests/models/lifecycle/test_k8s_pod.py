"""Pods of the official client's models become lifecycle events, each once, however often a pod is observed."""

import json
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.client import models as k8s

from models.costs.lives import replica_intervals
from models.importers import fitting
from models.lifecycle.dedupe import dedupe_events
from models.prices.chips import canonical_chips
from tests.models.lifecycle.pods import DAY, at, condition, plain, pod, status_of
from tests.models.logs.reading import read_records
from tests.pipelines.landing.lake import count, lake, land_all, query
from tests.pipelines.landing.test_fuzz import land_alone

KIND = "k8s_pod"
START = [condition("PodScheduled", "09:57:10"), condition("Ready", "10:02:40")]
RUNNING = [status_of("kserve-container", running="09:59:30"), status_of("queue-proxy", running="09:58:00")]
STARTED = [
    ("requested", "09:55:00", None),
    ("scheduled", "09:57:10", None),
    ("image_pulled", "09:59:30", None),
    ("ready", "10:02:40", None),
]


def watched(change: str, model: Any) -> dict[str, Any]:
    event = plain(k8s.V1WatchEvent(type=change, object=plain(model)))
    assert isinstance(event, dict)
    return event


def rows(*records: Any) -> pl.DataFrame:
    return read_records(KIND, records).filter(~pl.col("is_ignored"))


def told(frame: pl.DataFrame) -> list[tuple[str, str, str | None]]:
    """Return event, time of day and reason, in order of time; each is told once."""
    assert frame["quarantine_reason"].null_count() == frame.height, frame
    found = frame.unique("dedupe_key").sort("event_at", "event")
    clock = pl.col("event_at").dt.strftime("%H:%M:%S%.6f").str.strip_suffix(".000000")
    return found.select("event", clock, "reason").rows()


def landed(records: Iterable[Any]) -> pl.DataFrame:
    """Return core.replica_events of records in one file."""
    content = "".join(f"{json.dumps(record)}\n" for record in records)
    usable = land_alone(KIND, content.encode()).usable
    winners, _ = dedupe_events(usable.lazy(), from_hour=DAY, to_hour=DAY + timedelta(days=1))
    return winners.collect()


def states(events: pl.DataFrame) -> list[tuple[int, str, Any, Any]]:
    lives = replica_intervals(events.lazy()).sort("started_at")
    clock = [pl.col(name).dt.strftime("%H:%M:%S") for name in ("started_at", "ended_at")]
    return lives.select("life", "state", *clock).rows()


def test_a_running_pod_has_been_requested_scheduled_pulled_and_is_ready() -> None:
    row = plain(pod(conditions=START, statuses=RUNNING))

    frame = rows(row)

    assert told(frame) == STARTED
    first = frame.row(0, named=True)
    assert (first["replica_id"], first["deployment"], first["node"]) == ("u-1", "llm", "n1")
    assert (first["chip_count"], first["fraction"]) == (8, Decimal(1))


def test_a_pod_a_list_a_watch_and_an_audit_log_tell_the_same_and_which_kind_they_are() -> None:
    model = pod(conditions=START, statuses=RUNNING)
    one = plain(model)
    unnamed = {key: value for key, value in one.items() if key not in ("kind", "apiVersion")}
    audit = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "auditID": "a",
        "verb": "patch",
        "responseObject": one,
    }
    records = [
        one,
        {"apiVersion": "v1", "kind": "List", "items": [one]},
        plain(k8s.V1PodList(kind="PodList", items=[plain(model) | {"kind": None}])),
        unnamed,
        watched("MODIFIED", model),
        audit,
    ]

    for record in records:
        assert told(rows(record)) == STARTED
        assert [fit.kind for fit in fitting(record)] == [KIND]


def test_a_pod_observed_a_hundred_times_has_each_event_once_and_knows_its_node() -> None:
    steps = [
        watched("ADDED", pod(node=None, phase="Pending")),
        watched("MODIFIED", pod(conditions=START[:1], phase="Pending")),
        *[watched("MODIFIED", pod(conditions=START, statuses=RUNNING))] * 100,
    ]

    core = landed(steps)

    assert sorted(core["event"]) == ["image_pulled", "ready", "requested", "scheduled"]
    assert core["node"].to_list() == ["n1"] * 4


def test_a_deleted_pod_drains_from_the_request_and_stops_when_its_last_container_ends() -> None:
    asked = {"deleted": ("11:00:30", 30), "conditions": START}
    over = [
        status_of("kserve-container", ended=("09:59:30", "11:00:12", 143)),
        status_of("queue-proxy", ended=("09:58:00", "11:00:20", 0)),
    ]
    steps = [
        watched("MODIFIED", pod(**asked, statuses=RUNNING)),
        watched("MODIFIED", pod(**asked, statuses=[over[0], RUNNING[1]])),
        watched("MODIFIED", pod(**asked, statuses=over)),
        watched("DELETED", pod(**asked, statuses=over)),
    ]

    assert told(rows(*steps)) == [*STARTED, ("draining", "11:00:00", None), ("stopped", "11:00:20", None)]
    assert states(landed(steps)) == [
        (0, "waiting", "09:55:00", "09:57:10"), (0, "pulling", "09:57:10", "09:59:30"),
        (0, "loading", "09:59:30", "10:02:40"), (0, "ready", "10:02:40", "11:00:00"),
        (0, "draining", "11:00:00", "11:00:20"),
    ]  # fmt: skip


def test_a_pod_that_was_killed_outright_stops_at_its_deadline_and_one_without_any_is_refused() -> None:
    killed = watched("DELETED", pod(conditions=START, statuses=RUNNING, deleted=("11:00:30", 30)))
    vanished = watched("DELETED", pod(conditions=START, statuses=RUNNING))

    assert told(rows(killed))[-1] == ("stopped", "11:00:30", None)
    refused = rows(vanished).filter(pl.col("quarantine_reason").is_not_null())
    assert refused.select("quarantine_reason", "quarantine_detail").rows() == [
        ("missing_event_at", "stopped")
    ]


def test_a_container_that_crashes_fails_and_its_pod_is_pulling_and_loading_until_ready_again() -> None:
    crashed = status_of("kserve-container", ended=("09:59:30", "10:30:00", 137))
    again = status_of("kserve-container", running="10:30:40", last=("09:59:30", "10:30:00", 137), restarts=1)
    ready = [START[0], condition("Ready", "10:33:00")]
    steps = [
        watched("MODIFIED", pod(conditions=START, statuses=RUNNING)),
        watched("MODIFIED", pod(conditions=[START[0]], statuses=[crashed, RUNNING[1]])),
        watched("MODIFIED", pod(conditions=ready, statuses=[again, RUNNING[1]])),
    ]

    assert told(rows(*steps))[4:] == [
        ("failed", "10:30:00", "crash"),
        ("scheduled", "10:30:00.000001", "crash"),
        ("image_pulled", "10:30:40", None),
        ("ready", "10:33:00", None),
    ]
    assert states(landed(steps))[3:] == [
        (0, "ready", "10:02:40", "10:30:00"), (1, "pulling", "10:30:00", "10:30:40"),
        (1, "loading", "10:30:40", "10:33:00"), (1, "ready", "10:33:00", None),
    ]  # fmt: skip


def test_a_pod_deleted_between_two_crashes_does_not_live_on() -> None:
    crashed = [
        status_of("kserve-container", ended=("09:59:30", "10:30:00", 1), restarts=1),
        status_of("queue-proxy", ended=("09:58:00", "10:29:00", 0)),
    ]
    steps = [
        watched("MODIFIED", pod(conditions=START, statuses=crashed)),
        watched("DELETED", pod(conditions=START, statuses=crashed, deleted=("10:45:30", 30))),
    ]

    assert told(rows(*steps))[-1] == ("stopped", "10:45:00", None)
    assert states(landed(steps))[-1][-1] == "10:45:00"


CRASHED = status_of("kserve-container", ended=("09:59:30", "10:30:00", 137))
AGAIN = status_of("kserve-container", running="10:30:40", last=("09:59:30", "10:30:00", 137), restarts=1)
HISTORY = [
    watched("ADDED", pod(node=None, phase="Pending")),
    watched("MODIFIED", pod(conditions=START[:1], phase="Pending")),
    watched("MODIFIED", pod(conditions=START, statuses=RUNNING)),
    watched("MODIFIED", pod(conditions=START[:1], statuses=[CRASHED, RUNNING[1]])),
    watched(
        "MODIFIED", pod(conditions=[START[0], condition("Ready", "10:33:00")], statuses=[AGAIN, RUNNING[1]])
    ),
    watched("DELETED", pod(conditions=START[:1], statuses=[AGAIN, RUNNING[1]], deleted=("11:00:30", 30))),
]


@settings(max_examples=6, deadline=None)
@given(st.permutations(HISTORY), st.lists(st.sampled_from(HISTORY), max_size=6))
def test_no_order_and_no_repetition_of_what_was_observed_changes_the_life(
    history: list[dict[str, Any]], again: list[dict[str, Any]]
) -> None:
    key = ["replica_id", "deployment", "node", "chip_count", "event", "event_at", "reason"]
    once, mixed = landed(HISTORY), landed([*history, *again])

    assert mixed.select(key).sort(key).equals(once.select(key).sort(key))
    assert states(mixed) == states(once)


def test_a_sidecar_that_crashes_is_no_failure_of_the_replica() -> None:
    proxy = status_of("queue-proxy", running="10:30:01", last=("09:58:00", "10:30:00", 1), restarts=1)

    assert told(rows(plain(pod(conditions=START, statuses=[RUNNING[0], proxy])))) == STARTED


@pytest.mark.parametrize(
    ("conditions", "reason", "why"),
    [
        ([*START, condition("DisruptionTarget", "10:10:00")], None, "preempted"),
        ([*START, condition("DisruptionTarget", "10:10:00", "False")], None, "crash"),
        (START, "Evicted", "preempted"),
        (START, None, "crash"),
    ],
)
def test_a_failed_pod_says_whether_it_was_turned_out_or_broke(
    conditions: list[k8s.V1PodCondition], reason: str | None, why: str
) -> None:
    over = [
        status_of("kserve-container", ended=("09:59:30", "10:10:05", 137)),
        status_of("queue-proxy", ended=("09:58:00", "10:10:06", 0)),
    ]

    found = told(rows(plain(pod(conditions=conditions, statuses=over, phase="Failed", reason=reason))))

    assert found[4:] == [("failed", "10:10:05", why), ("stopped", "10:10:06", None)]


def test_weights_that_an_init_container_loads_come_after_its_image_and_before_ready() -> None:
    loader = status_of("storage-initializer", ended=("09:57:30", "09:59:00", 0))

    found = told(rows(plain(pod(conditions=START, statuses=RUNNING, loaders=[loader]))))

    assert found[2:] == [
        ("image_pulled", "09:57:30", None),
        ("weights_loaded", "09:59:00", None),
        ("ready", "10:02:40", None),
    ]


@pytest.mark.parametrize(
    ("labels", "deployment"),
    [
        (
            {"serving.kserve.io/inferenceservice": "chat", "serving.knative.dev/service": "chat-predictor"},
            "chat",
        ),
        ({"serving.knative.dev/service": "llm", "serving.knative.dev/revision": "llm-00001"}, "llm"),
        ({"serving.knative.dev/revision": "llm-00001"}, "llm-00001"),
        ({"app.kubernetes.io/name": "vllm", "app": "x"}, "vllm"),
        ({"pod-template-hash": "5d4f8c7b9"}, "owned"),
    ],
)
def test_the_deployment_is_the_inference_service_the_knative_service_the_app_or_the_owner(
    labels: dict[str, str], deployment: str
) -> None:
    frame = rows(plain(pod(labels=labels, owner="owned-5d4f8c7b9")))

    assert frame["deployment"].unique().to_list() == [deployment]


NODE = k8s.V1Node(
    api_version="v1", kind="Node", spec=k8s.V1NodeSpec(provider_id="aws:///us-east-1a/i-0"),
    metadata=k8s.V1ObjectMeta(
        name="n1",
        labels={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3", "topology.kubernetes.io/region": "us-east-1",
                "karpenter.sh/capacity-type": "spot"},
    ),
)  # fmt: skip


def place(frame: pl.DataFrame) -> dict[str, Any]:
    return frame.select("chip", "region", "provider", "commitment").unique().row(0, named=True)


def test_chip_region_and_terms_are_those_of_the_node_in_the_list() -> None:
    wrong = pod(spec={"node_selector": {"nvidia.com/gpu.product": "Tesla-T4"}})

    found = place(rows({"kind": "List", "items": [plain(NODE), plain(wrong)]}))

    assert found == {
        "chip": "NVIDIA-H100-80GB-HBM3", "region": "us-east-1", "provider": "aws", "commitment": "spot"}  # fmt: skip


@pytest.mark.parametrize(
    ("label", "chip"),
    [
        ("NVIDIA-H100-80GB-HBM3", "H100"), ("NVIDIA-A100-SXM4-40GB", "A100"), ("NVIDIA-A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA-H200", "H200"), ("NVIDIA-L40S", "L40S"), ("Tesla-T4", "T4"), ("nvidia-h100-mega-80gb", "H100"),
        ("nvidia-l4", "L4"), ("tpu-v6e-slice", "TPU-v6e"), ("a10g", "A10G"), ("AMD_Instinct_MI300X_OAM", "MI300X"),
        ("NVIDIA A100 80GB", "A100-80GB"), ("a100 sxm4 80gb", "A100-80GB"), ("tpu-v5-lite-device", "TPU-v5e"),
    ],
)  # fmt: skip
def test_what_node_labels_call_a_chip_is_a_chip_of_the_price_sheets(label: str, chip: str) -> None:
    frame = rows(plain(pod(spec={"node_selector": {"nvidia.com/gpu.product": label}})))

    assert canonical_chips(frame.lazy()).collect()["chip"].unique().to_list() == [chip]


def test_a_watch_that_is_landed_becomes_one_life_with_a_chip_that_has_prices(tmp_path: Path) -> None:
    warehouse = lake(
        tmp_path, more='[[sources]]\nname = "cluster"\nkind = "k8s_pod"\npath = "landing/cluster/*"\n'
    )
    steps = [watched("MODIFIED", pod(conditions=START, statuses=RUNNING))] * 3
    folder = warehouse.project.folder / "landing/cluster"
    folder.mkdir(parents=True)
    (folder / "watch.json").write_text("\n".join(json.dumps(step, indent=4) for step in steps))
    (folder / "list.json").write_text(
        json.dumps({"kind": "List", "items": [plain(NODE), *(step["object"] for step in steps[:1])]})
    )

    land_all(warehouse, "cluster")
    count(warehouse)

    assert query(warehouse, "SELECT count(*), count(DISTINCT event) FROM core.replica_events") == [(4, 4)]
    assert query(warehouse, "SELECT DISTINCT chip FROM core.replica_events WHERE chip IS NOT NULL") == [
        ("H100",)
    ]
    (told,) = query(warehouse, "SELECT count(*) FROM ops.event_duplicates")
    assert told == (3 * 4 + 4 - 4,)


def test_without_its_node_the_chip_is_the_one_that_the_pod_selects() -> None:
    wish = k8s.V1NodeSelectorRequirement(
        key="topology.kubernetes.io/region", operator="In", values=["europe-west4"]
    )
    either = k8s.V1NodeSelectorRequirement(
        key="cloud.google.com/gke-spot", operator="In", values=["true", "false"]
    )
    terms = [k8s.V1NodeSelectorTerm(match_expressions=[wish, either])]
    affinity = k8s.V1Affinity(
        node_affinity=k8s.V1NodeAffinity(
            required_during_scheduling_ignored_during_execution=k8s.V1NodeSelector(node_selector_terms=terms)
        )
    )
    spec = {"node_selector": {"cloud.google.com/gke-accelerator": "nvidia-l4"}, "affinity": affinity}

    found = place(rows(plain(pod(spec=spec))))

    assert found == {"chip": "nvidia-l4", "region": "europe-west4", "provider": "gcp", "commitment": None}


@pytest.mark.parametrize(
    ("limits", "count", "fraction"),
    [
        ({"amd.com/gpu": "4"}, 4, "1"),
        ({"google.com/tpu": "8"}, 8, "1"),
        ({"aws.amazon.com/neuron": "16"}, 16, "1"),
        ({"nvidia.com/mig-3g.40gb": "2"}, 2, "0.428571"),
        ({"nvidia.com/mig-1g.6gb": "1"}, 1, "0.25"),
    ],
)
def test_accelerators_are_counted_whatever_their_maker_and_slices_are_shares(
    limits: dict[str, str], count: int, fraction: str
) -> None:
    row = rows(plain(pod(limits=limits))).row(0, named=True)

    assert (row["chip_count"], row["fraction"]) == (count, Decimal(fraction))


def test_pods_without_accelerators_nodes_bookmarks_and_other_objects_are_ignored() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "9"}}}
    error = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
    others = {"kind": "List", "items": [plain(NODE), {"kind": "Service", "metadata": {"name": "s"}}]}
    frame = read_records(
        KIND, [plain(pod(limits={})), plain(pod(limits={"nvidia.com/gpu": "0"})), error, others, bookmark]
    )

    assert frame["is_ignored"].to_list() == [True] * 6


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"kind": "List", "items": "none"}, "unknown_shape"),
        ({"kind": "Pod", "metadata": {"uid": "u"}}, "unknown_shape"),
        (plain(pod(uid="")), "missing_replica_id"),
        (plain(pod(labels={})), "missing_deployment"),
        (plain(pod(limits={"nvidia.com/gpu": "many"})), "bad_value"),
        (plain(pod(limits={"nvidia.com/mig-1g.10gb": "1", "nvidia.com/gpu": "1"})), "bad_value"),
        (plain(pod(limits={"nvidia.com/gpu.shared": "1"})), "missing_chip_count"),
        (
            plain(pod()) | {"metadata": {"uid": "u", "labels": {"app": "a"}, "creationTimestamp": "soon"}},
            "bad_value",
        ),
        (plain(pod()) | {"metadata": {"uid": "u", "labels": {"app": "a"}}}, "missing_event_at"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(record: dict[str, Any], reason: str) -> None:
    assert rows(record)["quarantine_reason"].to_list() == [reason]


def test_one_bad_pod_of_a_list_harms_no_other() -> None:
    good = plain(pod(conditions=START, statuses=RUNNING))
    items = [good, 5, plain(pod("u-2", labels={})), plain(pod("u-3")) | {"spec": "x"}]

    frame = rows({"kind": "List", "items": items})

    assert frame["record_number"].to_list() == list(range(1, 8))
    assert frame["quarantine_reason"].to_list()[4:] == [
        "unknown_shape",
        "missing_deployment",
        "unknown_shape",
    ]
    assert told(frame[:4]) == STARTED
    assert frame["event_at"][0] == at("09:55:00")
