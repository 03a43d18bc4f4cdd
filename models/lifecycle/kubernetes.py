"""What Kubernetes' labels tell of a replica: its deployment, and the accelerator, place and terms of its node.

Source: knative/serving, kserve/kserve, Kubernetes' well-known labels, the GPU operators' and clouds' node labels.
"""

import re
from collections.abc import Callable, Iterable

DEPLOYMENT = (
    "serving.kserve.io/inferenceservice",
    "serving.knative.dev/service",
    "serving.knative.dev/configuration",
    "serving.knative.dev/revision",
    "leaderworkerset.sigs.k8s.io/name",
    "ray.io/cluster",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/name",
    "app",
)
"""Pod labels that name the deployment; the first that is there counts."""
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

WHOLE = (
    "nvidia.com/gpu",
    "amd.com/gpu",
    "google.com/tpu",
    "aws.amazon.com/neuron",
    "aws.amazon.com/neurondevice",
    "habana.ai/gaudi",
    "gpu.intel.com/i915",
    "gpu.intel.com/xe",
)
"""Resources that count whole accelerators."""
SLICE = r"^nvidia\.com/mig-(\d)g\.(\d+)gb"
"""A MIG profile: its compute slices and its memory in GB."""
QUARTERS = ("1g.6gb", "2g.12gb", "4g.24gb", "1g.24gb", "2g.48gb", "4g.96gb")
"""Profiles of chips that are cut into four slices (A30, RTX PRO 6000); all others are cut into seven."""
SHARED = r"^nvidia\.com/(gpu\.shared|mig-.*\.shared)$"
"""Time-sliced accelerators: how much of one a replica holds is stated nowhere."""
SIDECARS = ("queue-proxy", "istio-proxy", "istio-init", "linkerd-proxy", "vault-agent")


def label(labels: str, names: Iterable[str]) -> str:
    """SQL of the first of some labels that a map has."""
    return "coalesce(" + ", ".join(f"nullif({labels}['{name}'], '')" for name in names) + ")"


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
    """SQL of whether a resource counts accelerators, or slices of one."""
    return f"list_contains({words(WHOLE)}, {resource}) OR regexp_matches({resource}, '{SLICE}')"


def share(resource: str) -> str:
    """SQL of how much of an accelerator one unit of a resource is, as a fraction such as 3/7."""
    is_quarter = " OR ".join(f"contains({resource}, 'mig-{profile}')" for profile in QUARTERS)
    return (
        f"CASE WHEN regexp_matches({resource}, '{SLICE}') THEN regexp_extract({resource}, '{SLICE}', 1) || '/' || "
        f"CASE WHEN {is_quarter} THEN '4' ELSE '7' END ELSE '1/1' END"
    )
