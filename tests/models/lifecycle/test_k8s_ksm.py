"""Scrapes of kube-state-metrics become lifecycle events: each instant once, with what all series say of the pod."""

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.costs.lives import replica_intervals
from models.importers import fitting
from models.lifecycle.dedupe import dedupe_events
from tests.models.lifecycle.pods import DAY, at, condition, plain, pod, status_of
from tests.pipelines.landing.lake import count, lake, land_all, query
from tests.pipelines.landing.test_fuzz import Outcome, land_alone, mutated

KIND = "k8s_ksm"
Sample = tuple[str, dict[str, str], str]


def stamp(clock: str) -> str:
    return f"{at(clock).timestamp():.9e}"


def of_pod(
    uid: str = "u-1", *, resource: str = "nvidia_com_gpu", count: str = "8", **times: str
) -> list[Sample]:
    """Return the series of a serving pod with a sidecar; the times are those of its metrics."""
    who = {"namespace": "search", "pod": f"llm-{uid}", "uid": uid}
    main = {**who, "container": "kserve-container"}
    held = {**main, "node": "n1", "resource": resource, "unit": "integer"}
    known = {
        "created": "09:55:00",
        "status_scheduled_time": "09:57:10",
        "status_ready_time": "10:02:40",
    } | times
    return [
        *((f"kube_pod_{name}", who, stamp(clock)) for name, clock in known.items()),
        ("kube_pod_container_state_started", main, stamp("09:59:30")),
        ("kube_pod_container_state_started", {**who, "container": "queue-proxy"}, stamp("09:58:00")),
        ("kube_pod_container_resource_requests", held, count),
        ("kube_pod_container_resource_requests", {**held, "resource": "cpu", "unit": "core"}, "7.5"),
        ("kube_pod_labels", {**who, "label_app": "llm", "label_pod_template_hash": "5d4f8c7b9"}, "1"),
        ("kube_pod_owner", {**who, "owner_kind": "ReplicaSet", "owner_name": "owned-5d4f8c7b9"}, "1"),
        ("kube_pod_status_phase", {**who, "phase": "Failed"}, "0"),
    ]


NODE: list[Sample] = [
    ("kube_node_labels", {
        "node": "n1", "label_nvidia_com_gpu_product": "NVIDIA-H100-80GB-HBM3",
        "label_topology_kubernetes_io_region": "us-east-1", "label_eks_amazonaws_com_capacity_type": "SPOT"}, "1"),
    ("kube_node_info", {"node": "n1", "provider_id": "aws:///us-east-1a/i-0"}, "1"),
]  # fmt: skip
OTHERS: list[Sample] = [
    ("kube_pod_start_time", {"uid": "u-1"}, stamp("09:57:20")),
    ("kube_deployment_created", {"deployment": "llm"}, stamp("09:00:00")),
    ("up", {}, "1"),
]
STARTED = [
    ("requested", "09:55:00", None), ("scheduled", "09:57:10", None), ("image_pulled", "09:59:30", None),
    ("ready", "10:02:40", None),
]  # fmt: skip


def page(samples: list[Sample], *, scraped: str | None = None) -> bytes:
    """Return samples as text; with an instant as `/federate` writes it."""
    lines = ["# HELP kube_pod_created [STABLE] Unix creation timestamp", "# TYPE kube_pod_created gauge"]
    end = "" if scraped is None else f" {at(scraped).timestamp() * 1000:.0f}"
    for name, labels, value in samples:
        written = ",".join(f'{key}="{text}"' for key, text in labels.items())
        lines.append(f"{name}{{{written}}} {value}{end}" if labels else f"{name} {value}{end}")
    return "".join(f"{line}\n" for line in lines).encode()


def series(sample: Sample, *scraped: str) -> dict[str, Any]:
    """Return a series as the query API answers it: a vector's, or a matrix's with several instants."""
    name, labels, value = sample
    points = [[at(clock).timestamp(), value] for clock in scraped]
    metric = {"__name__": name, **labels}
    return (
        {"metric": metric, "value": points[0]} if len(points) == 1 else {"metric": metric, "values": points}
    )


def answer(samples: list[Sample], *scraped: str) -> dict[str, Any]:
    kind = "vector" if len(scraped) == 1 else "matrix"
    return {
        "status": "success",
        "data": {"resultType": kind, "result": [series(sample, *scraped) for sample in samples]},
    }


def told(outcome: Outcome) -> list[tuple[str, str, str | None]]:
    assert outcome.bad.height == 0, outcome.bad
    found = outcome.usable.unique("dedupe_key").sort("event_at", "event")
    return found.select("event", pl.col("event_at").dt.strftime("%H:%M:%S"), "reason").rows()


def lines(records: list[Any]) -> bytes:
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


@pytest.mark.parametrize(
    "content",
    [
        page([*of_pod(), *NODE, *OTHERS]),
        page([*NODE, *OTHERS, *reversed(of_pod())], scraped="10:05:00"),
        page(of_pod()) + page(NODE),
        lines([answer([*of_pod(), *NODE, *OTHERS], "10:05:00")]),
        lines([answer([*of_pod(), *NODE], "10:05:00", "10:06:00")]),
        lines([series(sample, "10:05:00") for sample in (*of_pod(), *NODE, *OTHERS)]),
    ],
    ids=["text", "federated", "two scrapes", "vector", "matrix", "series"],
)
def test_a_scrape_however_it_comes_tells_when_a_pod_started_and_what_it_holds(content: bytes) -> None:
    outcome = land_alone(KIND, content)

    assert told(outcome) == STARTED
    facts = [
        "replica_id",
        "deployment",
        "chip",
        "chip_count",
        "fraction",
        "provider",
        "region",
        "commitment",
        "node",
    ]
    assert outcome.usable.select(facts).unique().rows() == [
        ("u-1", "llm", "NVIDIA-H100-80GB-HBM3", 8, Decimal(1), "aws", "us-east-1", "spot", "n1")
    ]


@pytest.mark.parametrize(
    "record",
    [
        answer(of_pod(), "10:05:00"),
        series(of_pod()[0], "10:05:00"),
        series(of_pod()[0], "10:05:00", "10:06:00"),
        *({"line": line} for line in page(of_pod()).decode().splitlines()),
    ],
)
def test_it_is_told_from_pods_and_from_scrapes_of_engines(record: Mapping[str, Any]) -> None:
    assert [fit.kind for fit in fitting(record)] == [KIND]
    assert [fit.kind for fit in fitting({"line": "# HELP vllm:prompt_tokens_total n"})] == ["prometheus"]
    assert [fit.kind for fit in fitting(answer([("vllm:prompt_tokens_total", {}, "1")], "10:05:00"))] == [
        "prometheus"
    ]
    assert [fit.kind for fit in fitting(plain(pod()))] == ["k8s_pod"]


def test_scrapes_that_are_repeated_land_each_instant_once_and_make_the_lives_that_the_pod_makes(
    tmp_path: Path,
) -> None:
    source = '[[sources]]\nname = "{0}"\nkind = "{1}"\npath = "landing/{0}/*"\n'
    warehouse = lake(tmp_path, more=source.format("metrics", KIND) + source.format("cluster", "k8s_pod"))
    folder = tmp_path / "landing" / "metrics"
    folder.mkdir(parents=True)
    for minute in range(3, 6):
        scrape = page([*of_pod(), *NODE], scraped=f"10:{minute:02}:00")
        (folder / f"{minute}.prom").write_bytes(scrape)
    with (folder / "all.prom").open("wb") as grown:
        grown.write(page(of_pod()[:5]))

    land_all(warehouse, "metrics")
    with (folder / "all.prom").open("ab") as grown:
        grown.write(
            page([*of_pod()[5:], *of_pod(completion_time="11:00:20", deletion_timestamp="11:00:30"), *NODE])
        )
    land_all(warehouse, "metrics")
    count(warehouse)

    events = query(
        warehouse,
        "SELECT event, strftime(event_at, '%H:%M:%S'), deployment, chip FROM core.replica_events ORDER BY 2",
    )
    assert events == [
        *((event, clock, "llm", "H100") for event, clock, _ in STARTED),
        ("stopped", "11:00:20", "llm", "H100"),
    ]  # fmt: skip
    with warehouse.reading() as con:
        lives = replica_intervals(con.execute("FROM core.replica_events").pl().lazy())
    clock = [pl.col(name).dt.strftime("%H:%M:%S") for name in ("started_at", "ended_at")]
    assert lives.sort("started_at").select("state", *clock).rows() == [
        ("waiting", "09:55:00", "09:57:10"), ("pulling", "09:57:10", "09:59:30"), ("loading", "09:59:30", "10:02:40"),
        ("ready", "10:02:40", "11:00:20"),
    ]  # fmt: skip

    # The pod itself says the same, and when it began to drain.
    seen = pod(
        conditions=[condition("PodScheduled", "09:57:10"), condition("Ready", "10:02:40")], deleted=("11:00:30", 30),
        statuses=[status_of("kserve-container", ended=("09:59:30", "11:00:20", 0))],
    )  # fmt: skip
    (tmp_path / "landing" / "cluster").mkdir()
    (tmp_path / "landing" / "cluster" / "a.json").write_text(json.dumps(plain(seen)))
    land_all(warehouse, "cluster")
    count(warehouse)
    with warehouse.reading() as con:
        both = replica_intervals(con.execute("FROM core.replica_events").pl().lazy())
    assert both.sort("started_at").select("state", *clock).rows()[3:] == [
        ("ready", "10:02:40", "11:00:00"), ("draining", "11:00:00", "11:00:20"),
    ]  # fmt: skip


def test_a_pod_that_is_being_deleted_stops_at_its_deadline_where_no_end_is_told() -> None:
    going = of_pod(deletion_timestamp="11:00:30")
    over = of_pod(deletion_timestamp="11:00:30", completion_time="11:00:20")

    assert told(land_alone(KIND, page(going)))[4:] == [("stopped", "11:00:30", None)]
    assert told(land_alone(KIND, page(over)))[4:] == [("stopped", "11:00:20", None)]


@pytest.mark.parametrize(("why", "reason"), [("Evicted", "preempted"), (None, "crash")])
def test_a_pod_of_the_phase_failed_has_failed(why: str | None, reason: str) -> None:
    samples = of_pod(completion_time="11:00:20")
    who = samples[0][1]
    samples.append(("kube_pod_status_phase", {**who, "phase": "Failed"}, "1"))
    samples.append(("kube_pod_status_reason", {**who, "reason": why or "NodeLost"}, "1" if why else "0"))

    assert told(land_alone(KIND, page(samples)))[4:] == [("failed", "11:00:20", reason)]


@pytest.mark.parametrize(
    ("resource", "count", "chips", "fraction"),
    [
        ("amd_com_gpu", "4", 4, "1"), ("google_com_tpu", "8", 8, "1"), ("aws_amazon_com_neuron", "16", 16, "1"),
        ("nvidia_com_mig_3g_40gb", "2", 2, "0.428571"), ("nvidia_com_mig_1g_6gb", "1", 1, "0.25"),
    ],
)  # fmt: skip
def test_accelerators_are_counted_whatever_their_maker(
    resource: str, count: str, chips: int, fraction: str
) -> None:
    row = land_alone(KIND, page(of_pod(resource=resource, count=count))).usable.row(0, named=True)

    assert (row["chip_count"], row["fraction"]) == (chips, Decimal(fraction))


def test_the_deployment_is_the_owner_where_no_label_names_it() -> None:
    samples = [
        (name, {key: text for key, text in labels.items() if key != "label_app"}, value)
        for name, labels, value in of_pod()
    ]

    assert land_alone(KIND, page(samples)).usable["deployment"].unique().to_list() == ["owned"]


def test_a_pod_without_accelerators_is_ignored_and_one_of_which_none_are_told_makes_no_replica() -> None:
    idle = land_alone(KIND, page(of_pod(resource="memory", count="1024")))
    unknown = land_alone(KIND, page([sample for sample in of_pod() if "resource" not in sample[0]]))

    assert (idle.usable.height, idle.bad.height) == (0, 0)
    assert told(unknown) == STARTED
    assert unknown.usable["deployment"].null_count() == 4
    winners, _ = dedupe_events(unknown.usable.lazy(), from_hour=DAY, to_hour=DAY + timedelta(days=1))
    assert replica_intervals(winners).height == 0


@pytest.mark.parametrize(
    ("samples", "reason", "detail"),
    [
        ([("kube_pod_created", {"pod": "p"}, stamp("09:00:00"))], "missing_replica_id", "uid"),
        ([("kube_pod_created", {"uid": "u"}, "NaN")], "bad_value", "value is no instant"),
        ([("kube_pod_created", {"uid": "u"}, "soon")], "bad_value", "value is no instant"),
        (of_pod(resource="nvidia_com_gpu_shared")[:1] + of_pod(resource="nvidia_com_gpu_shared")[5:6],
         "missing_chip_count", "no whole accelerator"),
        ([*of_pod()[:1], *of_pod()[5:6]], "missing_deployment", "kube_pod_labels"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_reason(
    samples: list[Sample], reason: str, detail: str
) -> None:
    bad = land_alone(KIND, page(samples)).bad

    assert bad["reason"].to_list() == [reason]
    assert detail in bad["detail"][0]


def test_a_line_that_is_no_sample_is_refused_alone() -> None:
    outcome = land_alone(KIND, page(of_pod()) + b"kube_pod_created{uid=\n")

    assert outcome.bad.select("line_number", "reason").rows() == [(13, "wrong_shape")]
    assert outcome.usable.height == 4


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_bytes_every_line_is_used_refused_or_ignored(data: st.DataObject) -> None:
    content = data.draw(mutated(page([*of_pod(), *of_pod("u-2"), *NODE]).splitlines()))

    assert land_alone(KIND, content).holds_together()
