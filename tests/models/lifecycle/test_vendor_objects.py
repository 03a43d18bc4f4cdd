"""Objects of vendors become the events of replicas: which phases began when, and of what they are made."""

from typing import Any

import polars as pl
import pytest

from models.costs.lives import replica_intervals
from models.prices.chips import canonical_events
from models.schemas import table
from tests.models.logs.reading import read_records
from tests.pipelines.landing.vendors import VENDOR_KINDS, vendor_object

AT = "2026-11-02T0{}:00:00Z"


def told(kind: str, records: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return replica, event and hour of what records tell, but for stops of replicas that no record counted."""
    rows = read_records(kind, records).filter(~pl.col("is_ignored"))
    assert rows["quarantine_reason"].null_count() == rows.height, rows["quarantine_detail"].to_list()
    started = rows.filter(pl.col("event") != "stopped")["replica_id"].implode()
    seen = rows.filter(pl.col("replica_id").is_in(started.first()))
    seen = seen.sort("event_at", "replica_id", "event", "record_number")
    return [
        (row["replica_id"], row["event"], f"{row['event_at']:%H:%M}") for row in seen.iter_rows(named=True)
    ]


def endpoint(hour: int, status: str, current: int | None, desired: int) -> dict[str, Any]:
    event = vendor_object("sagemaker_endpoint_event", 0) | {"time": AT.format(hour)}
    counts = {"VariantName": "AllTraffic", "CurrentInstanceCount": current, "DesiredInstanceCount": desired}
    return event | {"detail": event["detail"] | {"EndpointStatus": status, "ProductionVariants": [counts]}}


def component(hour: int, copies: int) -> dict[str, Any]:
    detail = {
        "InferenceComponentName": "llama", "InferenceComponentStatus": "InService", "EndpointName": "shared",
        "Specification": {"ModelName": "m", "ComputeResourceRequirements": {"NumberOfAcceleratorDevicesRequired": 2}},
        "RuntimeConfig": {"CurrentCopyCount": copies, "DesiredCopyCount": copies},
    }  # fmt: skip
    named = "SageMaker InferenceComponent State Change"
    return {"detail-type": named, "time": AT.format(hour), "region": "us-east-1", "detail": detail}


def poll(kind: str, hour: int, **changes: Any) -> dict[str, Any]:
    when = "observed_at" if kind == "replica_counts" else "polled_at"
    return vendor_object(kind, 0) | {when: AT.format(hour)} | changes


def stats(ready: int, waiting: int = 0) -> dict[str, int]:
    return {"readyReplicaCount": ready, "downloadingModelReplicaCount": waiting}


def begun(replica: str, hour: str) -> list[tuple[str, str, str]]:
    """Return what is told of a replica that is found ready."""
    return [(replica, event, hour) for event in ("ready", "requested")]


def serving(state: str, ready: int) -> dict[str, Any]:
    return {"state": f"DEPLOYMENT_STATE_{state}", "readyReplicas": ready}


def started(hour: int, state: str) -> dict[str, Any]:
    return {
        "object": "endpoint", "id": "endpoint-d2", "name": "dev/llama-a32b82a1", "type": "dedicated", "state": state,
        "model": "meta-llama/Llama-3-8b-chat-hf", "hardware": "1x_nvidia_a100_80gb_sxm",
        "autoscaling": {"min_replicas": 2, "max_replicas": 5}, "polled_at": AT.format(hour),
    }  # fmt: skip


def fed(hour: int, happened: str, **more: Any) -> dict[str, Any]:
    plain = {"oldReplicas": None, "newReplicas": None}
    return (
        vendor_object("together_endpoint_event", 0)
        | plain
        | {"createdAt": AT.format(hour), "type": happened}
        | more
    )


def gauge(name: str, minute: int, count: int) -> dict[str, Any]:
    one = vendor_object("baseten_metrics", minute)
    return {
        "metric": one["metric"] | {"__name__": f"baseten_replicas_{name}"},
        "value": [one["value"][0], str(count)],
    }


def ran(hour: int, state: str, seconds: int) -> dict[str, Any]:
    runners = vendor_object("fal_runner", 1)["runners"]
    told = [runners[0] | {"state": state, "uptime_seconds": seconds}, runners[0] | {"machine_type": "XS"}]
    return {"polled_at": AT.format(hour), "runners": told}


LIVES = {
    # Two are asked for, one of them turns ready; what is counted again tells nothing; the last one stops first.
    "counts": (
        "replica_counts",
        [
            poll("replica_counts", hour, ready_count=ready, starting_count=starting)
            for hour, (ready, starting) in enumerate([(1, 0), (1, 2), (2, 1), (2, 1), (1, 0), (0, 0)])
        ],
        [
            *begun("chat#1", "00:00"), ("chat#2", "stopped", "00:00"), ("chat#3", "stopped", "00:00"),
            ("chat#2", "requested", "01:00"), ("chat#3", "requested", "01:00"),
            ("chat#2", "ready", "02:00"), ("chat#2", "stopped", "04:00"), ("chat#3", "stopped", "04:00"),
            ("chat#1", "stopped", "05:00"),
        ],
    ),
    "what ran before a file began and is not counted in it has stopped": (
        "replica_counts",
        [poll("replica_counts", 0, ready_count=2), poll("replica_counts", 1, ready_count=3)],
        [*begun("chat#1", "00:00"), *begun("chat#2", "00:00"), ("chat#3", "stopped", "00:00"),
         *begun("chat#3", "01:00")],
    ),
    "Baseten wakes a deployment up": (
        "baseten_deployment",
        [
            poll("baseten_deployment", hour, status=status, active_replica_count=ready)
            for hour, (status, ready) in enumerate([("WAKING_UP", 0), ("ACTIVE", 1), ("SCALED_TO_ZERO", 0)])
        ],
        [("dep1#1", "requested", "00:00"), ("dep1#1", "ready", "01:00"), ("dep1#1", "stopped", "02:00")],
    ),
    "Fireworks tells phases by numbers": (
        "fireworks_deployment",
        [poll("fireworks_deployment", 0, replicaStats=stats(0, 1)),
         poll("fireworks_deployment", 1, replicaStats=stats(1)),
         poll("fireworks_deployment", 2, state="DELETED", replicaStats=stats(1))],
        [("x1#1", "requested", "00:00"), ("x1#1", "ready", "01:00"), ("x1#1", "stopped", "02:00")],
    ),
    "Together tells what is ready of what is wanted, and of an endpoint's deployments": (
        "together_deployment",
        [
            poll("together_deployment", 0, desiredReplicas=1, status=serving("SCALING", 0)),
            poll("together_deployment", 1, desiredReplicas=1, status=serving("READY", 1)),
            {
                "id": "e1", "name": "acme/chat", "endpointType": "ENDPOINT_TYPE_DEDICATED", "trafficSplit": [],
                "polled_at": AT.format(2), "deployments": [
                    {"name": "acme/chat/a", "state": "DEPLOYMENT_STATE_STOPPED", "hardware": "2x_nvidia_h100_80gb_sxm"}
                ],
            },
        ],
        [("acme/chat/a#1", "requested", "00:00"), ("acme/chat/a#1", "ready", "01:00"),
         ("acme/chat/a#1", "stopped", "02:00")],
    ),
    # docs.together.ai/reference/createendpoint
    "Together's first API tells a state and the least that runs": (
        "together_deployment",
        [started(0, "PENDING"), started(1, "STARTED"), started(2, "STOPPED")],
        [("dev/llama-a32b82a1#1", "requested", "00:00"), ("dev/llama-a32b82a1#2", "requested", "00:00"),
         ("dev/llama-a32b82a1#1", "ready", "01:00"), ("dev/llama-a32b82a1#2", "ready", "01:00"),
         ("dev/llama-a32b82a1#1", "stopped", "02:00"), ("dev/llama-a32b82a1#2", "stopped", "02:00")],
    ),
    "Together's feed scales up from zero, turns ready, and down": (
        "together_endpoint_event",
        [fed(0, "deployment.created"), fed(1, "deployment.scaled", oldReplicas=0, newReplicas=2),
         fed(2, "condition.set", reason="AllReplicasReady", status="True"), fed(3, "pod.log"),
         fed(4, "deployment.scaled", oldReplicas=2, newReplicas=1),
         fed(5, "deployment.scaled", oldReplicas=1, newReplicas=2), fed(6, "deployment.deleted")],
        [("dep_1#1", "requested", "01:00"), ("dep_1#2", "requested", "01:00"), ("dep_1#1", "ready", "02:00"),
         ("dep_1#2", "ready", "02:00"), ("dep_1#2", "stopped", "04:00"), ("dep_1#2", "requested", "05:00"),
         ("dep_1#1", "stopped", "06:00"), ("dep_1#2", "stopped", "06:00")],
    ),
    "Baseten's metrics count what is active, and what starts beside it": (
        "baseten_metrics",
        [gauge("starting", 0, 1), gauge("active", 0, 0), gauge("active", 1, 1), gauge("starting", 1, 0),
         gauge("active", 2, 0)],
        [("dep1#1", "requested", "09:00"), ("dep1#1", "ready", "09:01"), ("dep1#1", "stopped", "09:02")],
    ),
    "Modal's apps tell how many containers run": (
        "modal_app",
        [poll("modal_app", 0, tasks="2"), poll("modal_app", 1, tasks="1"),
         poll("modal_app", 2, state="stopped", tasks="1")],
        [*begun("llm#1", "00:00"), *begun("llm#2", "00:00"), ("llm#2", "stopped", "01:00"),
         ("llm#1", "stopped", "02:00")],
    ),
    "fal's runners tell their age, and a machine without an accelerator is passed over": (
        "fal_runner",
        [ran(1, "SETUP", 60), ran(2, "IDLE", 3660), ran(3, "TERMINATED", 1),
         {"polled_at": AT.format(4), "runners": []}],
        [("f1", "requested", "00:59"), ("f1", "requested", "00:59"), ("f1", "ready", "02:00"),
         ("f1", "stopped", "03:00")],
    ),
    "SageMaker creates, scales to zero and from it": (
        "sagemaker_endpoint_event",
        [endpoint(0, "Creating", None, 1), endpoint(1, "InService", 1, 1), endpoint(2, "InService", 0, 0),
         endpoint(3, "Updating", 0, 1), endpoint(4, "InService", 1, 1), endpoint(5, "Deleting", 1, 1)],
        [("chat#1", "requested", "00:00"), ("chat#1", "ready", "01:00"), ("chat#1", "stopped", "02:00"),
         ("chat#1", "requested", "03:00"), ("chat#1", "ready", "04:00"), ("chat#1", "stopped", "05:00")],
    ),
    "copies of a SageMaker component": (
        "sagemaker_endpoint_event",
        [component(0, 1), component(1, 2), component(2, 0)],
        [*begun("llama#1", "00:00"), ("llama#2", "stopped", "00:00"), *begun("llama#2", "01:00"),
         ("llama#1", "stopped", "02:00"), ("llama#2", "stopped", "02:00")],
    ),
    "model units": (
        "bedrock_provisioned",
        [{"provisionedModelSummaries": [vendor_object("bedrock_provisioned", n) for n in (1, 2)]}],
        [(f"arn:aws:bedrock:us-east-1:1:provisioned-model/p{n}", event, f"09:0{n}")
         for n in (1, 2) for event in ("ready", "requested")],
    ),
    "PTUs, and not what is paid by token": (
        "azure_deployment",
        [vendor_object("azure_deployment", 1),
         vendor_object("azure_deployment", 2) | {"sku": {"name": "GlobalStandard", "capacity": 50}}],
        [("/subscriptions/s/accounts/a/deployments/d1", "ready", "09:01")],
    ),
    "a prediction": (
        "replicate_prediction",
        [vendor_object("replicate_prediction", 1) | {"created_at": "2026-11-02T09:00:00Z"}],
        [("p1", "requested", "09:00"), ("p1", "ready", "09:01"), ("p1", "stopped", "10:00")],
    ),
    "a pod that a poll finds exited": (
        "runpod_pod",
        [vendor_object("runpod_pod", 1) | {"desiredStatus": "EXITED", "polled_at": "2026-11-02T09:30:00Z"}],
        [*begun("r1", "09:01"), ("r1", "stopped", "09:30")],
    ),
    "an instance of Vast": (
        "vast_instance",
        [vendor_object("vast_instance", 1) | {"start_date": 1793610000, "intended_status": "stopped"}],
        [*begun("1", "09:00"), ("1", "stopped", "09:01")],
    ),
    "an instance of Lambda": (
        "lambda_instance",
        [vendor_object("lambda_instance", 1) | {"status": status, "polled_at": AT.format(hour)}
         for hour, status in enumerate(("booting", "active", "terminated"))],
        [("l1", "requested", "00:00"), ("l1", "ready", "01:00"), ("l1", "stopped", "02:00")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LIVES)
def test_what_a_vendor_tells_is_the_life_of_replicas(case: str) -> None:
    kind, records, expected = LIVES[case]
    assert told(kind, records) == expected


FACTS = {
    "replica_counts": ("modal", "us-east-1", "H100", 1),
    "baseten_deployment": ("baseten", None, "H100", 2),
    "together_deployment": ("together", None, "H100", 2),
    "together_endpoint_event": ("together", None, None, None),
    "baseten_metrics": ("baseten", None, None, None),
    "modal_app": ("modal", None, None, None),
    "fal_runner": ("fal", "global", "H100", None),
    "fireworks_deployment": ("fireworks", "US_IOWA_1", "H100", 2),
    "sagemaker_endpoint_event": ("aws.sagemaker", "us-east-1", "A10G", 4),
    "bedrock_provisioned": ("aws.bedrock", "us-east-1", "capacity_unit", 2),
    "azure_deployment": ("azure.ai.openai", "global", "capacity_unit", 50),
    "replicate_prediction": ("replicate", "global", "H100", 1),
    "runpod_pod": ("runpod", "US-KS-2", "H100", 2),
    "vast_instance": ("vast", "Texas, US", "H100", 1),
    "lambda_instance": ("lambda", "us-east-1", "H100", 8),
}
"""Who bills, where, and the accelerators: a machine in the chip's place is its accelerators."""


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_who_bills_and_the_accelerators_are_known(kind: str) -> None:
    rows = read_records(kind, [vendor_object(kind, 1)]).with_columns(source=pl.lit("s"))
    typed = rows.lazy().with_columns(pl.col("chip_count").cast(pl.Int32))
    found = canonical_events(typed).select("provider", "region", "chip", "chip_count").unique().collect()
    assert found.rows() == [FACTS[kind]]


def test_a_hardware_of_replicate_is_so_many_of_a_chip() -> None:
    """Names as replicate.com/pricing and its API spell them."""
    names = {
        "gpu-2x-l40s": ("L40S", 2),
        "gpu-a100-large-8x": ("A100-80GB", 8),
        "gpu-t4": ("T4", 1),
        "cpu": ("cpu", 1),
    }
    records = [vendor_object("replicate_prediction", n) | {"hardware": name} for n, name in enumerate(names)]
    rows = read_records("replicate_prediction", records).with_columns(source=pl.lit("s"))
    found = canonical_events(rows.lazy().with_columns(pl.col("chip_count").cast(pl.Int32))).collect()
    first = found.unique("replica_id", keep="first").sort("replica_id")
    assert first.select("chip", "chip_count").rows() == list(names.values())


def test_a_count_that_is_none_is_refused() -> None:
    odd = [poll("replica_counts", 0, ready_count=wrong) for wrong in ("many", "-1", None, "1.5")]
    rows = read_records("replica_counts", [*odd, poll("replica_counts", 0, observed_at="yesterday")])
    assert rows["quarantine_reason"].to_list() == [
        "bad_value",
        "bad_value",
        "missing_count",
        "bad_value",
        "bad_value",
    ]


def test_a_replica_that_comes_a_minute_after_one_was_told_to_have_stopped_is_there() -> None:
    polls = [vendor_object("replica_counts", number) for number in range(3)]
    rows = read_records("replica_counts", polls).with_columns(
        source=pl.lit("s"), source_kind=pl.lit("replica_counts"), file_hash=pl.lit("f"),
        ingested_at=pl.col("event_at"), event_hour=pl.col("event_at"),
    )  # fmt: skip
    events = canonical_events(table("core.replica_events").conform(rows.lazy(), fill=True))
    lives = replica_intervals(events).filter(pl.col("phase") == "ready").sort("replica_id")
    told = [
        (row["replica_id"], f"{row['started_at']:%H:%M}", row["ended_at"])
        for row in lives.iter_rows(named=True)
    ]
    assert told == [("chat#1", "09:00", None), ("chat#2", "09:01", None), ("chat#3", "09:02", None)]
