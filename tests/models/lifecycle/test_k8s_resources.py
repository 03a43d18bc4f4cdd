"""What a pod asks for is read as accelerators or shares of one where its meaning is published, else refused aloud."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from models.prices.chips import canonical_chips
from tests.models.lifecycle.pods import condition, plain, pod, status_of
from tests.models.lifecycle.test_k8s_ksm import KIND as KSM
from tests.models.logs.reading import read_records

START = [condition("PodScheduled", "09:57:10")]
GFD = "nvidia.com/gpu"
"""The prefix of GPU feature discovery's labels."""


def node(capacity: dict[str, str], **labels: str) -> dict[str, Any]:
    return {
        "kind": "Node", "spec": {},
        "metadata": {"name": "n1", "uid": "n", "creationTimestamp": "2026-11-02T08:00:00Z", "labels": labels},
        "status": {"capacity": capacity},
    }  # fmt: skip


def read(*items: dict[str, Any]) -> pl.DataFrame:
    return read_records("k8s_pod", [{"kind": "List", "items": list(items)}])


def limited(limits: dict[str, str], inits: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    found = plain(pod(limits=limits, conditions=START))
    found["spec"]["initContainers"] = inits or []
    return dict(found)


def asking(number: str, **more: str) -> dict[str, Any]:
    return {"name": "i", "resources": {"limits": {"nvidia.com/gpu": number}}, **more}


INF2 = {"node.kubernetes.io/instance-type": "inf2.24xlarge"}
SLICED = {f"{GFD}.replicas": "4", f"{GFD}.count": "2"}
READ = {
    "whole": ({"nvidia.com/gpu": "2"}, {}, (2, "1")),
    "device class": ({"deviceclass.resource.kubernetes.io/gpu.nvidia.com": "2"}, {}, (2, "1")),
    "neuron device": ({"aws.amazon.com/neuron": "1"}, {}, (1, "1")),
    "neuron cores of Inferentia2": ({"aws.amazon.com/neuroncore": "2"}, INF2, (2, "0.5")),
    "gaudi": ({"habana.ai/gaudi": "8"}, {}, (8, "1")),
    "ascend": ({"huawei.com/Ascend910": "8"}, {}, (8, "1")),
    "half an ascend 310P": ({"huawei.com/Ascend310P-4c": "1"}, {}, (1, "0.5")),
    "qualcomm": ({"qualcomm.com/qaic": "4"}, {}, (4, "1")),
    "cores of a TPU v3": ({"cloud-tpus.google.com/v3": "8"}, {}, (8, "0.5")),
    "mig": ({"nvidia.com/mig-3g.20gb": "1"}, {}, (1, "0.428571")),
    "a compute instance of mig": ({"nvidia.com/mig-1c.3g.20gb": "1"}, {}, (1, "0.142857")),
    "hami's cores": ({"nvidia.com/gpu": "1", "nvidia.com/gpucores": "30"}, {}, (1, "0.3")),
    "hami's memory of a node that tells its own": (
        {"nvidia.com/gpu": "1", "nvidia.com/gpumem": "8000"}, {f"{GFD}.memory": "80000"}, (1, "0.1")),
    "time slices of a node that tells how many": ({"nvidia.com/gpu.shared": "1"}, SLICED, (1, "0.25")),
    "time slices by the plain name": ({"nvidia.com/gpu": "1"}, SLICED, (1, "0.25")),
}  # fmt: skip
REFUSED = {
    "k8s.amazonaws.com/vgpu": "5",
    "aws.amazon.com/neuroncore": "2",
    "nvidia.com/gpu.shared": "1",
    "nvidia.com/GA102GL_A10": "1",
    "huawei.com/Ascend910-16c": "1",
    "volcano.sh/vgpu-number": "1",
    "deviceclass.resource.kubernetes.io/mig.nvidia.com": "1",
    "amd.com/cpx_nps4": "1",
    "gpu.intel.com/millicores": "500",
    "iluvatar.ai/vcuda-core": "10",
    "nvidia.com/NVIDIA_A10-24Q": "1",
    "graphcore.ai/ipu": "4",
}


@pytest.mark.parametrize("name", READ)
def test_what_is_published_is_read_as_accelerators_or_shares(name: str) -> None:
    limits, labels, (count, fraction) = READ[name]
    found = read(node({}, **labels), limited(limits)).filter(pl.col("replica_id") == "u-1")
    assert found["quarantine_reason"].null_count() == found.height > 0
    assert found.select("chip_count", "fraction").unique().rows() == [(count, Decimal(fraction))]


@pytest.mark.parametrize("name", REFUSED)
def test_what_else_asks_for_an_accelerator_is_refused_and_never_passed_over(name: str) -> None:
    for limits in ({name: REFUSED[name]}, {"cpu": "8", name: REFUSED[name]}):
        found = read(limited(limits))
        assert not found["is_ignored"].any()
        assert set(found["quarantine_reason"]) == {"missing_chip_count"}


def test_what_asks_for_no_accelerator_is_passed_over() -> None:
    limits = {
        "vpc.amazonaws.com/efa": "32",
        "rdma/hca": "1",
        "nvidia.com/hostdev": "8",
        "hugepages-2Mi": "5Gi",
        "smarter-devices/fuse": "1",
    }
    found = read(limited(limits), limited({"nvidia.com/gpu": "0"}))
    assert found["is_ignored"].all()


def test_a_share_that_an_annotation_gives_is_read_and_memory_of_an_unknown_accelerator_refused() -> None:
    """Run:ai and KAI give shares by annotation; the pod asks for no resource."""
    pods = [limited({"cpu": "8"}) for _ in range(3)]
    for each, notes in zip(
        pods, ({"gpu-fraction": "0.25"}, {"gpu-memory": "20000"}, {"gpu-memory": "20000"}), strict=True
    ):
        each["metadata"]["annotations"] = notes
    pods[1]["spec"]["nodeName"] = "n9"
    found = read(node({}, **{f"{GFD}.memory": "80000"}), *pods)
    found = found.filter(pl.col("replica_id") == "u-1", pl.col("event") == "requested")
    assert found.select("fraction", "quarantine_reason").rows() == [
        (Decimal("0.25"), None),
        (None, "missing_chip_count"),
        (Decimal("0.25"), None),
    ]


def test_the_chip_is_that_of_the_resource_or_of_the_family_of_the_machine() -> None:
    told = {
        "neuroncore": ({"aws.amazon.com/neuroncore": "2"}, INF2),
        "tpu": ({"cloud-tpus.google.com/v3": "8"}, {}),
    }
    found = {
        name: canonical_chips(read(node({}, **labels), limited(limits)).lazy())
        .collect()["chip"]
        .drop_nulls()[-1]
        for name, (limits, labels) in told.items()
    }
    assert found == {"neuroncore": "Inferentia2", "tpu": "TPU-v3"}


@pytest.mark.parametrize(
    ("inits", "count"),
    [
        ([asking("1", restartPolicy="Always")], 3),
        ([asking("1", restartPolicy="Always"), asking("1", restartPolicy="Always")], 4),
        # A pod is reserved at least what an init container asks for, which runs before the others.
        ([asking("4")], 4),
        ([asking("1")], 2),
    ],
)
def test_sidecars_hold_accelerators_beside_the_containers(inits: list[dict[str, Any]], count: int) -> None:
    found = read(limited({"nvidia.com/gpu": "2"}, inits))
    assert found["chip_count"].unique().to_list() == [count]


@pytest.mark.parametrize(
    ("capacity", "labels", "count"),
    [
        ({"nvidia.com/gpu": "8", "cpu": "96"}, {}, 8),
        ({"aws.amazon.com/neuron": "6", "aws.amazon.com/neuroncore": "12"}, INF2, 6),
        ({"nvidia.com/mig-1g.10gb": "14"}, {f"{GFD}.count": "2"}, 2),
        ({"nvidia.com/gpu": "8"}, SLICED, 2),
    ],
)
def test_a_node_is_there_from_its_creation_until_it_is_deleted(
    capacity: dict[str, str], labels: dict[str, str], count: int
) -> None:
    gone = node(capacity, **labels)
    gone["metadata"]["deletionTimestamp"] = "2026-11-02T12:00:00Z"
    found = pl.concat(
        read_records("k8s_pod", [record])
        for record in (
            {"kind": "List", "items": [node(capacity, **labels)]},
            {"type": "DELETED", "object": gone},
        )
    )
    assert found["quarantine_reason"].null_count() == found.height
    told = found.select(
        "deployment", "replica_id", "chip_count", "event", pl.col("event_at").dt.hour()
    ).unique()
    assert set(told.rows()) == {("(none)", "n1", count, "ready", 8), ("(none)", "n1", count, "stopped", 12)}
    assert read(node({"cpu": "8"}))["is_ignored"].all()


def part(uid: str, labels: dict[str, str], limits: dict[str, str] | None = None) -> dict[str, Any]:
    status = [status_of("kserve-container", running="09:59:30")]
    return dict(plain(pod(uid, labels=labels, limits=limits, conditions=START, statuses=status)))


LWS, JOBSET, GROVE = "leaderworkerset.sigs.k8s.io/", "jobset.sigs.k8s.io/", "grove.io/"
GROUPS = {
    "lws": (
        {f"{LWS}name": "deepseek", f"{LWS}group-index": "1", f"{LWS}worker-index": "0"},
        {f"{LWS}name": "deepseek", f"{LWS}group-index": "1", f"{LWS}worker-index": "1"},
    ),
    "ray": (
        {"ray.io/cluster": "llm", "ray.io/node-type": "head"},
        {"ray.io/cluster": "llm", "ray.io/node-type": "worker"},
    ),
    "jobset": (
        {f"{JOBSET}jobset-name": "llm", f"{JOBSET}job-index": "0", "batch.kubernetes.io/job-completion-index": "0"},
        {f"{JOBSET}jobset-name": "llm", f"{JOBSET}job-index": "0", "batch.kubernetes.io/job-completion-index": "1"},
    ),
    "grove": tuple(
        {f"{GROVE}podcliqueset": "llm", f"{GROVE}podcliquescalinggroup": "llm-0-decode",
         f"{GROVE}podcliquescalinggroup-replica-index": "0", f"{GROVE}podclique": f"llm-0-decode-0-{role}"}
        for role in ("decode-ldr", "decode-wkr")
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_pods_of_one_multi_node_replica_are_of_one_group_with_one_head(name: str) -> None:
    head, worker = GROUPS[name]
    # A head may hold no accelerator itself.
    found = read(part("u-0", head, {}), part("u-1", worker)).filter(~pl.col("is_ignored"))
    assert found["quarantine_reason"].null_count() == found.height
    told = found.select("replica_id", "is_group_head", "chip_count").unique().sort("replica_id")
    assert told.rows() == [("u-0", True, 0), ("u-1", False, 8)]
    assert found["replica_group"].n_unique() == 1
    assert found["replica_group"][0].startswith(f"{name}/search/")


def test_each_part_of_a_release_is_a_deployment_of_its_own() -> None:
    release = {
        "app.kubernetes.io/name": "vllm",
        "app.kubernetes.io/instance": "inference",
        "pod-template-hash": "7d",
    }
    found = read(
        *(
            plain(
                pod(
                    f"u-{n}",
                    labels=release | {"app.kubernetes.io/component": n},
                    owner=f"vllm-{n}-7d",
                    conditions=START,
                )
            )
            for n in ("chat", "embed")
        )
    )  # fmt: skip
    assert sorted(found["deployment"].unique()) == ["vllm-chat", "vllm-embed"]


def test_kube_state_metrics_tells_groups_and_refuses_what_it_cannot_count() -> None:
    name = "label_leaderworkerset_sigs_k8s_io_"
    lines = [
        line.replace("POD", f'namespace="llm",pod="p",uid="{uid}"')
        for uid, resource, index in (("a", "nvidia_com_gpu", 0), ("b", "k8s_amazonaws_com_vgpu", 1))
        for line in (
            "kube_pod_created{POD} 1793600000",
            f'kube_pod_container_resource_limits{{POD,container="c",resource="{resource}",unit="integer"}} 4',
            f'kube_pod_labels{{POD,{name}name="d",{name}group_index="0",{name}worker_index="{index}"}} 1',
        )
    ]
    found = read_records(KSM, [{"line": line} for line in lines])
    found = found.filter(~pl.col("is_ignored")).sort("replica_id")
    assert found.select("replica_id", "replica_group", "is_group_head", "quarantine_reason").rows() == [
        ("a", "lws/llm/d/0", True, None),
        ("b", "lws/llm/d/0", False, "missing_chip_count"),
    ]


def claim(name: str, *devices: str, pods: tuple[str, ...] = ("u-1",), **result: Any) -> dict[str, Any]:
    driver = result.pop("driver", "gpu.nvidia.com")
    results = [
        {"request": "r", "driver": driver, "pool": "n1", "device": device, **result} for device in devices
    ]
    return {
        "kind": "ResourceClaim", "metadata": {"name": name, "uid": f"c-{name}"},
        "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": driver, "count": 1}}]}},
        "status": {
            "allocation": {"devices": {"results": results}} if devices else None,
            "reservedFor": [{"resource": "pods", "name": f"llm-{uid}", "uid": uid} for uid in pods],
        },
    }  # fmt: skip


def sliced(device: str, **attributes: str) -> dict[str, Any]:
    told = {name: {"string": value} for name, value in attributes.items()}
    devices = [{"name": device, "attributes": told}]
    return {"kind": "ResourceSlice", "metadata": {"uid": "s"},
            "spec": {"driver": "gpu.nvidia.com", "pool": {"name": "n1"}, "devices": devices}}  # fmt: skip


CLAIMED = {
    "two devices": ([claim("a", "gpu-0", "gpu-1")], (2, "1")),
    "two claims": ([claim("a", "gpu-0"), claim("b", "gpu-1")], (2, "1")),
    "a slice by its name": ([claim("a", "gpu-2-mig-3g47gb-5-0")], (1, "0.428571")),
    "a slice by its attributes": (
        [claim("a", "gpu-2-mig-9-4-4"), sliced("gpu-2-mig-9-4-4", profile="1g.10gb", productName="NVIDIA H100")],
        (1, "0.142857"),
    ),
    "a device of two pods": ([claim("a", "gpu-0", pods=("u-1", "u-2"))], (1, "0.5")),
    "a network card too": ([claim("a", "gpu-0"), claim("b", "eth1", driver="dra.net")], (1, "1")),
    "neuron": ([claim("a", "neuron-device-0", "neuron-device-1", driver="neuron.aws.com")], (2, "1")),
    "only a network card": ([claim("a", "eth1", driver="dra.net")], None),
    "an unknown slice": ([claim("a", "gpu-2-mig-9-4-4")], "missing_chip_count"),
    "a share by capacity": ([claim("a", "gpu-0", shareID="x")], "missing_chip_count"),
    "an unknown driver": ([claim("a", "npu-0", driver="npu.example.com")], "missing_chip_count"),
    "not allocated": ([claim("a")], "missing_chip_count"),
    "not in the list": ([], "missing_chip_count"),
}  # fmt: skip


@pytest.mark.parametrize("name", CLAIMED)
def test_what_a_pod_claims_is_what_its_claims_were_given(name: str) -> None:
    claims, want = CLAIMED[name]
    found = limited({"cpu": "8"})
    names = [item["metadata"]["name"] for item in claims if item["kind"] == "ResourceClaim"] or ["a"]
    found["spec"]["resourceClaims"] = [{"name": name, "resourceClaimName": name} for name in names]
    rows = read(*claims, found).filter(pl.col("replica_id") == "u-1")
    assert rows.height
    if want is None:
        assert rows["is_ignored"].all()
    elif isinstance(want, str):
        assert not rows["is_ignored"].any()
        assert set(rows["quarantine_reason"]) == {want}
    else:
        assert rows["quarantine_reason"].null_count() == rows.height
        assert rows.select("chip_count", "fraction").unique().rows() == [(want[0], Decimal(want[1]))]


def test_the_end_of_a_pod_counts_whose_claims_are_gone_with_it() -> None:
    gone = plain(pod(limits={}, conditions=START, phase="Failed",
                     statuses=[status_of("kserve-container", ended=("09:59:00", "10:30:00", 1))]))  # fmt: skip
    gone["spec"]["resourceClaims"] = [{"name": "a", "resourceClaimTemplateName": "t"}]
    gone["spec"]["containers"][0]["resources"]["claims"] = [{"name": "a"}]
    rows = read(gone).filter(pl.col("quarantine_reason").is_null())
    assert set(rows.select("event", "chip_count").rows()) == {("failed", None), ("stopped", None)}
