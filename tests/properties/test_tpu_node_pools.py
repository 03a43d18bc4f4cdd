"""Random TPU node pools on GKE: slices of one and more hosts, their pods, and the bill by the chip.

Labels and resources as GKE's pages tell them ("TPUs in GKE", "Deploy TPU workloads in GKE Standard") and as the
LeaderWorkerSet project's example for multi-host slices asks for them.
"""

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random

import polars as pl

from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.lifecycle.dedupe import dedupe_events
from models.prices.builtin import builtin_gpu_sheets
from models.prices.chips import canonical_events
from models.prices.gpu_book import gpu_book
from models.prices.gpu_sheets import load_gpu_sheets
from models.schemas import table
from tests.pipelines.landing.test_fuzz import land_alone

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
WINDOW = {"from_hour": START, "to_hour": START + timedelta(hours=6)}
FLAT, DEEP = {1: "2x2", 2: "2x4", 4: "4x4"}, {1: "2x2x1", 2: "2x2x2", 4: "2x2x4"}
"""Topologies by hosts."""
MACHINES = {
    "ct5lp-hightpu-4t": ("tpu-v5-lite-podslice", "TPU-v5e", FLAT, {"on_demand": "1.20", "spot": "0.63"}),
    "ct6e-standard-4t": ("tpu-v6e-slice", "TPU-v6e", FLAT, {"on_demand": "2.70", "spot": "1.89"}),
    "ct5p-hightpu-4t": ("tpu-v5p-slice", "TPU-v5p", DEEP, {"on_demand": "4.20", "spot": "2.42"}),
}
"""Machine -> GKE's name of its chip, ours, topologies, dollars an hour of a chip (Google's list, 2026-08-19)."""
CHIPS = 4


def written(seconds):
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def object_of(kind, name, *, labels, created, deleted, spec, status):
    return {
        "kind": kind, "apiVersion": "v1", "spec": spec, "status": status,
        "metadata": {
            "name": name, "uid": f"uid-{name}", "labels": labels, "creationTimestamp": written(created),
            **({"namespace": "serving", "deletionGracePeriodSeconds": 0} if kind == "Pod" else {}),
            **({} if deleted is None else {"deletionTimestamp": written(deleted)}),
        },
    }  # fmt: skip


def slice_of(draw, number):
    """Return what a watch tells of one slice, and (chip, terms, rate, chip-seconds of its machines)."""
    machine = draw.choice(sorted(MACHINES))
    label, chip, topologies, rates = MACHINES[machine]
    hosts = draw.choice(sorted(topologies))
    terms = draw.choice(sorted(rates))
    ask = {
        "cloud.google.com/gke-tpu-accelerator": label,
        "cloud.google.com/gke-tpu-topology": topologies[hosts],
    }
    created, ended = sorted(draw.sample(range(5 * 3600), 2))
    ended = max(ended, created + 900)
    found, held = [], 0
    for host in range(hosts):
        # The machines of a slice come and go as one, within seconds.
        since, until = created + draw.randrange(60), ended + draw.randrange(60)
        held += CHIPS * (until - since)
        node = f"gke-tpu-{number}-{host}"
        labels = ask | {
            "cloud.google.com/gke-nodepool": f"tpu-{number}", "cloud.google.com/gke-accelerator-count": str(CHIPS),
            "node.kubernetes.io/instance-type": machine, "topology.kubernetes.io/region": "us-west4",
            "topology.kubernetes.io/zone": "us-west4-a",
            **({"cloud.google.com/gke-spot": "true", "cloud.google.com/gke-provisioning": "spot"}
               if terms == "spot" else {"cloud.google.com/gke-provisioning": "standard"}),
        }  # fmt: skip
        found += [
            (change, object_of(
                "Node", node, labels=labels, created=since, deleted=None if change == "ADDED" else until,
                spec={"providerID": f"gce://p/us-west4-a/{node}"},
                status={"capacity": {"cpu": "112", "google.com/tpu": str(CHIPS)},
                        "allocatable": {"cpu": "111", "google.com/tpu": str(CHIPS)}},
            ))
            for change in ("ADDED", "DELETED")
        ]  # fmt: skip
        if draw.random() < 0.2:
            continue  # nothing is scheduled on it
        asked, left = since + draw.randrange(120), until - draw.randrange(60)
        group = {
            "leaderworkerset.sigs.k8s.io/name": f"llm-{number}", "leaderworkerset.sigs.k8s.io/group-index": "0",
            "leaderworkerset.sigs.k8s.io/worker-index": str(host),
        }  # fmt: skip
        steps = {"PodScheduled": asked + 20, "Ready": asked + 400}
        running = {"startedAt": written(asked + 200)}
        ending = {"startedAt": written(asked + 200), "finishedAt": written(left), "exitCode": 0}
        found += [
            (change, object_of(
                "Pod", f"llm-{number}-0-{host}", labels=group if hosts > 1 else {"app": f"llm-{number}"},
                created=asked, deleted=None if change == "ADDED" else left,
                spec={"nodeName": node, "nodeSelector": ask, "containers": [
                    {"name": "vllm-tpu", "image": "vllm/vllm-tpu", "resources": {
                        "requests": {"google.com/tpu": str(CHIPS)}, "limits": {"google.com/tpu": str(CHIPS)}}}]},
                status={"phase": "Running" if change == "ADDED" else "Succeeded",
                        "conditions": [{"type": name, "status": "True", "lastTransitionTime": written(at)}
                                       for name, at in steps.items()],
                        "containerStatuses": [{"name": "vllm-tpu", "restartCount": 0, "ready": change == "ADDED",
                                               "state": {"running": running} if change == "ADDED"
                                               else {"terminated": ending}}]},
            ))
            for change in ("ADDED", "DELETED")
        ]  # fmt: skip
    return found, (chip, terms, Fraction(rates[terms]), held)


def test_tpu_node_pools_cost_what_their_machines_ran_and_no_more():
    draw = Random(18)
    slices = [slice_of(draw, number) for number in range(60)]
    changes = [change for found, _ in slices for change in found]
    draw.shuffle(changes)
    content = "".join(json.dumps({"type": change, "object": found}) + "\n" for change, found in changes)
    landed = land_alone("k8s_pod", content.encode())
    assert landed.bad.is_empty(), landed.bad["quarantine_detail"].unique()
    winners, _ = dedupe_events(landed.usable.lazy(), **WINDOW)
    events = canonical_events(winners).collect()

    known = {
        "prices": gpu_book(load_gpu_sheets(builtin_gpu_sheets())).lazy(),
        "time_zone": "UTC", "as_known_at": WINDOW["to_hour"],
    }  # fmt: skip
    states = replica_states(events.lazy(), **known, **WINDOW)
    nobody = table("core.requests").frame([])
    pools = pool_hours(events.lazy(), states.lazy(), nobody.lazy(), **known, **WINDOW)

    expected = {}
    for _, (chip, terms, rate, held) in slices:
        seconds, usd = expected.get((chip, terms), (0, Fraction(0)))
        expected[chip, terms] = (seconds + held, usd + rate * held / 3600)
    rows = pools.group_by("chip", "commitment").agg(
        pl.col("billed_gpu_seconds").sum(), pl.col("billed_usd").sum(), pl.len()
    )
    for chip, terms, seconds, usd, count in rows.iter_rows():
        held, owed = expected.pop((chip, terms))
        assert seconds == held
        assert abs(Fraction(usd) - owed) <= Fraction(count, 10**12)
    assert not expected
    assert pools["region"].unique().to_list() == ["us-west4"]
    # What no pod holds is nobody's; what pods hold is their deployment's, of several hosts as of one.
    served = {found["metadata"]["name"].rsplit("-", 2)[0] for _, found in changes if found["kind"] == "Pod"}
    assert set(pools["deployment"]) == served | {"(none)"}
