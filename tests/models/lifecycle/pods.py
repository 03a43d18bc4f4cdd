"""Pods as the official Kubernetes client writes them, built of its models."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes import client
from kubernetes.client import models as k8s

_SERIALIZER = client.ApiClient()
DAY = datetime(2026, 11, 2, tzinfo=UTC)


def at(text: str) -> datetime:
    """Return an instant of the day, as `09:55:00`."""
    hours, minutes, seconds = (int(part) for part in text.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def plain(model: Any) -> Any:
    """Return a model as the JSON that the client sends and prints."""
    return _SERIALIZER.sanitize_for_serialization(model)


def condition(kind: str, when: str, status: str = "True") -> k8s.V1PodCondition:
    return k8s.V1PodCondition(type=kind, status=status, last_transition_time=at(when))


def status_of(
    name: str,
    *,
    running: str | None = None,
    ended: tuple[str, str, int] | None = None,
    last: tuple[str, str, int] | None = None,
    restarts: int = 0,
) -> k8s.V1ContainerStatus:
    """Return a container's status; a run that ended is its start, its end and its exit code."""

    def terminated(run: tuple[str, str, int] | None) -> k8s.V1ContainerStateTerminated | None:
        if run is None:
            return None
        started, finished, code = run
        return k8s.V1ContainerStateTerminated(
            started_at=at(started),
            finished_at=at(finished),
            exit_code=code,
            reason="Error" if code else "Completed",
        )

    now = k8s.V1ContainerState(
        running=None if running is None else k8s.V1ContainerStateRunning(started_at=at(running)),
        terminated=terminated(ended),
    )
    return k8s.V1ContainerStatus(
        name=name, ready=running is not None, restart_count=restarts, image="i", image_id="i", state=now,
        last_state=k8s.V1ContainerState(terminated=terminated(last)),
    )  # fmt: skip


def pod(
    uid: str = "u-1",
    *,
    labels: dict[str, str] | None = None,
    limits: dict[str, str] | None = None,
    conditions: list[k8s.V1PodCondition] | None = None,
    statuses: list[k8s.V1ContainerStatus] | None = None,
    loaders: list[k8s.V1ContainerStatus] | None = None,
    phase: str = "Running",
    deleted: tuple[str, int] | None = None,
    owner: str | None = None,
    node: str | None = "n1",
    spec: dict[str, Any] | None = None,
    reason: str | None = None,
) -> k8s.V1Pod:
    """Return a serving pod with a sidecar; `deleted` is the deadline of its deletion and the grace in seconds."""
    held = {"cpu": "8", **({"nvidia.com/gpu": "8"} if limits is None else limits)}
    container = k8s.V1Container(
        name="kserve-container", image="i", args=["--model", "m"],
        resources=k8s.V1ResourceRequirements(limits=held),
    )  # fmt: skip
    owners = None
    if owner is not None:
        reference = {
            "api_version": "apps/v1",
            "kind": "ReplicaSet",
            "name": owner,
            "uid": "o",
            "controller": True,
        }
        owners = [k8s.V1OwnerReference(**reference)]
    return k8s.V1Pod(
        api_version="v1",
        kind="Pod",
        metadata=k8s.V1ObjectMeta(
            uid=uid, name=f"llm-{uid}", namespace="search", creation_timestamp=at("09:55:00"),
            labels={"app": "llm"} if labels is None else labels,
            owner_references=owners,
            deletion_timestamp=at(deleted[0]) if deleted else None,
            deletion_grace_period_seconds=deleted[1] if deleted else None,
        ),
        spec=k8s.V1PodSpec(
            node_name=node, restart_policy="Always", **(spec or {}),
            containers=[container, k8s.V1Container(name="queue-proxy", image="i")],
        ),
        status=k8s.V1PodStatus(
            phase=phase, reason=reason, conditions=conditions, container_statuses=statuses,
            init_container_statuses=loaders,
        ),
    )  # fmt: skip
