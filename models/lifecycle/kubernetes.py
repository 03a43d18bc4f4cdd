"""What Kubernetes' labels tell of a replica: its deployment, and the accelerator, place and terms of its node.

Source: knative/serving, kserve/kserve, Kubernetes' well-known labels, the GPU operators' and clouds' node labels.
"""

import re
from collections.abc import Callable, Iterable

import polars as pl

DEPLOYMENT = (
    "serving.kserve.io/inferenceservice",
    "serving.knative.dev/service",
    "serving.knative.dev/configuration",
    "serving.knative.dev/revision",
    "leaderworkerset.sigs.k8s.io/name",
    "ray.io/cluster",
    "jobset.sigs.k8s.io/jobset-name",
    "grove.io/podcliqueset",
)
"""Pod labels that name the deployment; the first that is there counts."""
RELEASE = ("app.kubernetes.io/instance", "app.kubernetes.io/name")
"""Labels that all objects of a Helm release share (Helm, "Labels and Annotations")."""
COMPONENT = "app.kubernetes.io/component"
"""The label of a part of a release: a pod that has it, or names its model, is of the deployment of its owner."""
APP = ("app",)
MODEL = ("llm-d.ai/model", "model")
CHIP = (
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "cloud.google.com/gke-accelerator",
    "cloud.google.com/gke-tpu-accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "karpenter.k8s.aws/instance-accelerator-name",
    "eks.amazonaws.com/instance-gpu-name",
    "gpu.nvidia.com/class",
)
REGION = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
TERMS = (
    "karpenter.sh/capacity-type",
    "eks.amazonaws.com/capacityType",
    "cloud.google.com/gke-provisioning",
    "kubernetes.azure.com/scalesetpriority",
)
GKE_SPOT = ("cloud.google.com/gke-spot", "cloud.google.com/gke-preemptible")
"""Labels that are `true` on nodes that may be taken away."""
COMMITMENTS = {
    "spot": "spot",
    "preemptible": "spot",
    "on-demand": "on_demand",
    "on_demand": "on_demand",
    "regular": "on_demand",
    "standard": "on_demand",
    "reserved": "reserved",
    "capacity_block": "reserved",
}
CLOUDS = {
    "aws": ("karpenter.k8s.aws/", "eks.amazonaws.com/"),
    "gcp": ("cloud.google.com/",),
    "azure": ("kubernetes.azure.com/",),
}
"""The cloud whose label prefixes a node has, or a pod asks for."""

INSTANCE = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
NODE_COUNTS = (
    "nvidia.com/gpu.count",
    "karpenter.k8s.aws/instance-gpu-count",
    "karpenter.k8s.aws/instance-accelerator-count",
    "eks.amazonaws.com/instance-gpu-count",
)
"""Node labels that count its accelerators, however they are shared or sliced."""
NODE_REPLICAS = "nvidia.com/gpu.replicas"
"""Into how many shares the device plugin cuts each accelerator of a node (time slicing, MPS); 1 is none."""
NODE_MEMORY = "nvidia.com/gpu.memory"
"""Memory of each accelerator of a node, in MiB."""

WHOLE = (
    "nvidia.com/gpu",
    "amd.com/gpu",
    "google.com/tpu",
    "aws.amazon.com/neuron",
    "aws.amazon.com/neurondevice",
    "habana.ai/gaudi",
    "gpu.intel.com/i915",
    "gpu.intel.com/xe",
    "qualcomm.com/qaic",
    "furiosa.ai/rngd",
    "furiosa.ai/warboy",
    "rebellions.ai/ATOM",
    "cambricon.com/mlu",
    *(
        f"huawei.com/Ascend{name}"
        for name in ("310", "310P", "910", "910A", "910B", "910B2", "910B3", "910B4", "910C")
    ),
    *(
        f"deviceclass.resource.kubernetes.io/{name}"
        for name in ("gpu.nvidia.com", "gpu.amd.com", "gpu.intel.com", "gaudi.intel.com", "tpu.google.com")
    ),
)
"""Resources that count whole accelerators.

Those of the vendors' device plugins, and DRA's device classes of whole devices as extended resources (Kubernetes
enhancement 5004).
"""
CORE = "aws.amazon.com/neuroncore"
"""A core of an accelerator; how many there are of them on one, the machine's family tells."""
CORES = {"inf1": 4, "inf2": 2, "trn1": 2, "trn1n": 2, "trn2": 8, "trn2u": 8}
"""Neuron cores of each Neuron device by instance family (AWS Neuron, "Neuron Architecture")."""
PARTS = {
    r"^cloud-tpus\.google\.com/(preemptible-)?v[23]$": "1/2",
    r"^huawei\.com/Ascend310P-1c": "1/8",
    r"^huawei\.com/Ascend310P-2c": "2/8",
    r"^huawei\.com/Ascend310P-4c": "4/8",
    r"^amd\.com/spx_": "1/1",
    r"^amd\.com/dpx_": "1/2",
    r"^amd\.com/qpx_": "1/4",
}
"""Resources that count parts of an accelerator, as published.

Cores of a TPU v2 or v3, of which a chip has two; AI cores of an Ascend 310P, which has eight; partitions of an Instinct
by its mode.
"""
SLICE = r"^nvidia\.com/mig-(?:\dc\.)?(\d)g\.(\d+)gb"
"""A MIG profile: its compute slices and its memory in GB."""
QUARTERS = ("1g.6gb", "2g.12gb", "4g.24gb", "1g.24gb", "2g.48gb", "4g.96gb")
"""Profiles of chips that are cut into four slices (A30, RTX PRO 6000); all others are cut into seven."""
PERCENT = {"cores": "nvidia.com/gpucores", "memory_percent": "nvidia.com/gpumem-percentage"}
"""What HAMi lets a container have of each virtual accelerator, in percent."""
MEMORY = "nvidia.com/gpumem"
"""The same in MiB."""
NOTED_SHARE, NOTED_MEMORY, NOTED_COUNT = "gpu-fraction", "gpu-memory", "gpu-fraction-num-devices"
"""Annotations by which the schedulers Run:ai and KAI give a pod a share of each of some accelerators, or MiB of it."""
SHARED = r"^nvidia\.com/(gpu\.shared|mig-.*\.shared)$"
"""Time-sliced accelerators: how much of one a replica holds, only the node tells."""
LIKE = (
    r"gpu|npu|tpu|mlu|gcu|dcu|ipu|vpu|xpu|ppu|hpu|fpga|cuda|directx|neuron|gaudi|habana|ascend|qaic|qualcomm|accelerat|"
    r"mig[-_]|furiosa|rebellions|tenstorrent|mthreads|metax|iluvatar|biren|kunlun|vastai|graphcore|hailo|coral|"
    r"sambanova|groq|cerebras|deviceclass[._]resource|^amd[._]com.[cdqst]px_|^nvidia[._]com"
)
"""What the name of a resource has that asks for an accelerator; what it counts may be published nowhere."""
FABRIC = r"hostdev|rdma|roce|sriov|infiniband|mlnx|[/_.]ib|nic$|[/_.]bf\d"
"""What the name of a resource has that is a network of accelerators."""
SIDECARS = ("queue-proxy", "istio-proxy", "istio-init", "linkerd-proxy", "vault-agent")


def label(labels: str, names: Iterable[str]) -> str:
    """SQL of the first of some labels that a map has."""
    return "coalesce(" + ", ".join(f"nullif({labels}['{name}'], '')" for name in names) + ")"


def named_deployment(
    own: pl.Expr, owner: pl.Expr, *, release: pl.Expr, app: pl.Expr, is_part: pl.Expr
) -> pl.Expr:
    """Return the deployment that labels or owner name; of the parts of a release each is its owner's."""
    of_release = pl.when(is_part & release.is_not_null()).then(owner)
    return pl.coalesce(own, of_release, release, app, owner)


def words(names: Iterable[str]) -> str:
    """SQL of a list of texts."""
    return "[" + ", ".join(f"'{name}'" for name in names) + "]"


def metric_label(name: str) -> str:
    """Return what kube-state-metrics calls a label of an object: its lint allows small letters, digits and _."""
    words_apart = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"\W", "_", name, flags=re.ASCII))
    return f"label_{words_apart.lower()}"


def commitment(labels: str, *, named: Callable[[str], str] = str) -> str:
    """SQL of the terms that the labels of a node state; `named` is how the map calls a label."""
    spot = ", ".join(label(labels, [named(name)]) for name in GKE_SPOT)
    cases = " ".join(f"WHEN '{word}' THEN '{name}'" for word, name in COMMITMENTS.items())
    terms = label(labels, map(named, TERMS))
    return f"CASE WHEN list_contains([{spot}], 'true') THEN 'spot' ELSE CASE lower({terms}) {cases} END END"


def cloud(labels: str, machine: str, *, named: Callable[[str], str] = str) -> str:
    """SQL of the cloud that a node's provider id or the prefixes of its labels tell."""
    cases = " ".join(
        f"WHEN list_has_any(list_transform(map_keys({labels}), lambda k: starts_with(k, '{named(prefix)}')), [true]) "
        f"THEN '{name}'"
        for name, prefixes in CLOUDS.items()
        for prefix in prefixes
    )
    schemes = "WHEN 'aws' THEN 'aws' WHEN 'gce' THEN 'gcp' WHEN 'azure' THEN 'azure'"
    return f"coalesce(CASE split_part({machine}, '://', 1) {schemes} END, CASE {cases} END)"


def is_unit(resource: str) -> str:
    """SQL of whether a resource counts accelerators, or parts of one of a known size."""
    parts = " OR ".join(f"regexp_matches({resource}, '{pattern}')" for pattern in (SLICE, *PARTS))
    return f"list_contains({words((*WHOLE, CORE))}, {resource}) OR {parts}"


def is_vague(resource: str) -> str:
    """SQL of whether a resource asks for accelerators, but what it counts is not known."""
    known = words((*WHOLE, CORE, *PERCENT.values(), MEMORY))
    return (
        f"regexp_matches(lower({resource}), '{LIKE}') AND NOT regexp_matches(lower({resource}), '{FABRIC}') "
        f"AND NOT list_contains({known}, {resource}) "
        f"AND NOT ({is_unit(resource)})"
    )


def share(resource: str) -> str:
    """SQL of how much of an accelerator one unit of a resource is, as a fraction such as 3/7; of a core 1/core."""
    is_quarter = " OR ".join(f"contains({resource}, '{profile}')" for profile in QUARTERS)
    slices = f"regexp_extract({resource}, 'mig-(\\d)', 1)"
    parts = " ".join(
        f"WHEN regexp_matches({resource}, '{name}') THEN '{part}'" for name, part in PARTS.items()
    )
    return (
        f"CASE WHEN regexp_matches({resource}, '{SLICE}') THEN {slices} || '/' || "
        f"CASE WHEN {is_quarter} THEN '4' ELSE '7' END WHEN {resource} = '{CORE}' THEN '1/core' {parts} ELSE '1/1' END"
    )


def chip_of(resource: str) -> str:
    """SQL of the accelerator that the name of a resource tells, which no label outdoes; else NULL."""
    return (
        f"CASE WHEN regexp_matches({resource}, '^huawei.com/Ascend') THEN "
        f"regexp_extract({resource}, '(Ascend[0-9]+[A-Z]?[0-9]?)', 1) "
        f"WHEN regexp_matches({resource}, '^cloud-tpus.*v3$') THEN 'TPU-v3' "
        f"WHEN regexp_matches({resource}, '^cloud-tpus.*v2$') THEN 'TPU-v2' "
        f"WHEN {resource} = 'qualcomm.com/qaic' THEN 'Cloud-AI-100' END"
    )


def family(labels: str, *, named: Callable[[str], str] = str) -> str:
    """SQL of the instance family of a node, such as inf2."""
    return f"split_part({label(labels, map(named, INSTANCE))}, '.', 1)"


_GROUPS = {
    "lws": ("leaderworkerset.sigs.k8s.io/name", "leaderworkerset.sigs.k8s.io/group-index"),
    "ray": ("ray.io/cluster",),
    "jobset": ("jobset.sigs.k8s.io/jobset-name",),
    "grove": ("grove.io/podcliquescalinggroup", "grove.io/podcliquescalinggroup-replica-index"),
}
_HEADS = {
    "lws": "coalesce({worker}, '0') = '0'",
    "ray": "{node_type} = 'head'",
    "jobset": "coalesce({global_index}, {job_index}, '0') = '0' AND coalesce({completion}, '0') = '0'",
    "grove": "regexp_matches({clique}, '(ldr|leader|head|master)$') AND coalesce({pod_index}, '0') = '0'",
}
_OF_HEADS = {
    "worker": "leaderworkerset.sigs.k8s.io/worker-index",
    "node_type": "ray.io/node-type",
    "global_index": "jobset.sigs.k8s.io/job-global-index",
    "job_index": "jobset.sigs.k8s.io/job-index",
    "completion": "batch.kubernetes.io/job-completion-index",
    "clique": "grove.io/podclique",
    "pod_index": "grove.io/podclique-pod-index",
}


def group(labels: str, namespace: str, *, named: Callable[[str], str] = str) -> str:
    """SQL of the group of pods that serve as one replica over several nodes; NULL for a pod that is one by itself.

    LeaderWorkerSet (docs/reference/labels-annotations-and-environment-variables), KubeRay, JobSet and Grove name the
    group and the place in it by labels.
    """
    cases = []
    for name, keys in _GROUPS.items():
        parts = [label(labels, [named(key)]) for key in keys]
        is_known = " AND ".join(f"{part} IS NOT NULL" for part in parts)
        cases.append(
            f"WHEN {is_known} THEN concat_ws('/', '{name}', coalesce({namespace}, ''), {', '.join(parts)})"
        )
    return f"CASE {' '.join(cases)} END"


def is_head(labels: str, *, named: Callable[[str], str] = str) -> str:
    """SQL of whether a pod of a group is its head, which serves for all of it."""
    found = {name: label(labels, [named(key)]) for name, key in _OF_HEADS.items()}
    cases = " ".join(
        f"WHEN {label(labels, [named(_GROUPS[name][-1])])} IS NOT NULL THEN {test.format(**found)}"
        for name, test in _HEADS.items()
    )
    return f"coalesce(CASE {cases} END, false)"
