"""Kubernetes pods (KServe, Knative, plain) as lifecycle: `kubectl get pods -o json`, watch streams, audit logs.

A replica is a pod that holds accelerators, by its uid; other pods, nodes and bookmarks are ignored. Labels of a node
(chip, region, terms) count where the list holds the node (`kubectl get nodes,pods -A -o json`), else those that the pod
selects. A pod observed often yields the same events again, which are told as duplicates. A container that ends while
its pod goes on has failed; the kubelet takes the pod up again at once, so the next start is scheduled a microsecond
later. What a snapshot no longer shows (a first `Ready` after a later one, all runs but the last two) is not known.
Source: Kubernetes client 37 models, knative/serving, kserve/kserve.
"""

import json
from typing import Any

import polars as pl

from models.lifecycle.kubernetes import (
    CHIP,
    DEPLOYMENT,
    MODEL,
    REGION,
    SHARED,
    cloud,
    commitment,
    is_unit,
    label,
    share,
)
from models.records import Importer, bad_numbers, first_reason, instant, integer, tried

_MAP = "MAP(VARCHAR, VARCHAR)"
_TEXT = "VARCHAR"
_ENDED = {"startedAt": _TEXT, "finishedAt": _TEXT}
_CONTAINER = {
    "name": _TEXT,
    "restartCount": _TEXT,
    "state": {"running": {"startedAt": _TEXT}, "terminated": _ENDED},
    "lastState": {"terminated": _ENDED},
}
_TERM = [{"matchExpressions": [{"key": _TEXT, "operator": _TEXT, "values": [_TEXT]}]}]
_SHAPE: dict[str, Any] = {
    "kind": _TEXT,
    "metadata": {
        "uid": _TEXT, "name": _TEXT, "creationTimestamp": _TEXT, "deletionTimestamp": _TEXT,
        "deletionGracePeriodSeconds": _TEXT, "labels": _MAP, "ownerReferences": [{"name": _TEXT}],
    },
    "spec": {
        "nodeName": _TEXT, "restartPolicy": _TEXT, "providerID": _TEXT, "nodeSelector": _MAP,
        "containers": [{"name": _TEXT, "resources": {"limits": _MAP}}],
        "resourceClaims": [{"name": _TEXT}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": _TERM}}},
    },
    "status": {
        "phase": _TEXT, "reason": _TEXT,
        "conditions": [{"type": _TEXT, "status": _TEXT, "lastTransitionTime": _TEXT}],
        "initContainerStatuses": [_CONTAINER], "containerStatuses": [_CONTAINER],
    },
}  # fmt: skip
_TOPS = ("kind", "metadata", "spec", "status")
_BARE = ", ".join(f"'{name}', {name}" for name in _TOPS[1:])
_EMPTY = f"MAP {{}}::{_MAP}"


def _turned(condition: str, status: str = "True") -> str:
    """SQL of when a condition took a status; NULL where it has another."""
    return f"turns[list_position(turned, '{condition}={status}')]"


def _event(event: str, at: str, reason: str = "NULL", *, shift: str = "0") -> str:
    """SQL of an event, `shift` microseconds after an instant; none where the instant is NULL."""
    return f"{{'event': '{event}', 'at': ({at})::VARCHAR, 'reason': ({reason})::VARCHAR, 'shift': ({shift})::BIGINT}}"


def _of_mains(event: str, at: str, *, shift: str = "0") -> str:
    """SQL of an event of each container that holds accelerators; `c` is its status."""
    reason = "NULL" if event == "image_pulled" else "'crash'"
    return f"list_transform(mains, lambda c: {_event(event, at, reason, shift=shift)})"


def _run_at(at: str, *, first_after: int) -> str:
    """SQL of when a container's run began: the image of the first one was pulled before the weights, by the loader."""
    return f"CASE WHEN c.has_loader IS NULL OR c.restarts > {first_after} THEN {at} END"


_PREEMPTED = "CASE WHEN disrupted IS NOT NULL THEN 'preempted' END"
# A pod of the phase Failed went with its node or was turned out, or its container ended.
_LOST = (
    "CASE WHEN disrupted IS NOT NULL OR pod_reason IN "
    "('Evicted', 'Preempting', 'NodeLost', 'NodeShutdown', 'Shutdown', 'Terminated') THEN 'preempted' ELSE 'crash' END"
)
_FIXED = (
    _event("requested", "created"),
    _event("scheduled", _turned("PodScheduled")),
    _event("image_pulled", "loader_from"),
    _event("weights_loaded", "loader_to"),
    _event("ready", _turned("Ready")),
    _event("draining", "deletion", _PREEMPTED, shift="grace_shift"),
    _event(
        "failed",
        "CASE WHEN phase = 'Failed' THEN coalesce(list_max(mains_ended), disrupted, unready) END",
        _LOST,
    ),
    _event(
        "stopped",
        "CASE WHEN is_over AND ended_before THEN deletion WHEN is_over THEN "
        "coalesce(last_ended, CASE WHEN is_deleted THEN deletion END, disrupted, unready) END",
        shift="CASE WHEN ended_before THEN grace_shift ELSE 0 END",
    ),
)
_OF_MAINS = (
    _of_mains("image_pulled", _run_at("c.last_from", first_after=1)),
    _of_mains("failed", "c.last_to"),
    _of_mains("scheduled", "c.last_to", shift="1"),
    _of_mains("image_pulled", _run_at("c.now_from", first_after=0)),
    # A container that has ended while its pod goes on.
    _of_mains("failed", "c.crashed"),
    _of_mains("scheduled", "c.crashed", shift="1"),
)
# A pod that is gone without a time is kept, so that it is refused and not forgotten.
_EVENTS = f"""list_filter(list_concat([{", ".join(_FIXED)}], {", ".join(_OF_MAINS)}),
  lambda e: e.at IS NOT NULL OR (e.event = 'stopped' AND is_deleted))"""
_STATUS = f"""{{'name': c.name, 'restarts': coalesce({integer("c.restartCount")}, 0),
  'has_loader': loader_from, 'now_from': coalesce(c.state.running.startedAt, c.state.terminated.startedAt),
  'now_to': c.state.terminated.finishedAt, 'crashed': CASE WHEN is_restarted THEN c.state.terminated.finishedAt END,
  'last_from': c.lastState.terminated.startedAt, 'last_to': c.lastState.terminated.finishedAt}}"""
_AFFINITY = "pod.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
_REQUIRED = tried(
    f"""list_transform(list_filter(CASE WHEN len({_AFFINITY}) = 1 THEN {_AFFINITY}[1].matchExpressions END,
      lambda e: e.operator = 'In' AND len(e.values) = 1 AND e.key IS NOT NULL),
      lambda e: {{'k': e.key, 'v': e.values[1]}})""",
    "map_from_entries({})",
)
_ROWS = f"""
WITH listed AS NOT MATERIALIZED (
  SELECT line_number, "type" AS change, CASE WHEN items LIKE '[%' THEN TRY(from_json(items, '["JSON"]'))
    ELSE [coalesce("object", responseObject, json_object('kind', coalesce(kind, 'Pod'), {_BARE}))] END AS held
  FROM records
),
objects AS NOT MATERIALIZED (
  SELECT line_number, change, unnest(CASE WHEN len(held) > 0 THEN held ELSE ['null'::JSON] END) AS held FROM listed
),
pods AS NOT MATERIALIZED (
  SELECT line_number, coalesce(change, '') AS change, held LIKE '{{%' AS is_object,
         TRY(from_json(held, '{json.dumps(_SHAPE)}')) AS pod
  FROM objects
),
-- What is needed of a pod, told once: the deep structure goes no further.
facts AS NOT MATERIALIZED (
  SELECT line_number, change, change = 'DELETED' AS is_deleted, is_object, pod.kind AS object_kind,
         pod.metadata IS NOT NULL AS is_pod, pod.spec.containers IS NOT NULL AS has_containers,
         pod.metadata.uid AS replica_id, pod.metadata.name AS object_name, pod.spec.nodeName AS node,
         pod.metadata.creationTimestamp AS created, pod.metadata.deletionTimestamp AS deletion,
         pod.metadata.deletionGracePeriodSeconds AS grace,
         -coalesce({integer("pod.metadata.deletionGracePeriodSeconds")}, 0) * 1000000 AS grace_shift,
         pod.metadata.labels AS own, pod.metadata.ownerReferences[1].name AS owner, pod.spec.providerID AS machine,
         pod.status.phase AS phase, pod.status.reason AS pod_reason, len(pod.spec.resourceClaims) > 0 AS has_claims,
         coalesce(pod.status.phase IN ('Succeeded', 'Failed'), false) AS is_done,
         NOT (coalesce(pod.status.phase IN ('Succeeded', 'Failed'), false) OR change = 'DELETED'
           OR pod.metadata.deletionTimestamp IS NOT NULL OR coalesce(pod.spec.restartPolicy <> 'Always', false))
           AS is_restarted,
         list_transform(pod.status.conditions, lambda c: c.type || '=' || c.status) AS turned,
         list_transform(pod.status.conditions, lambda c: c.lastTransitionTime) AS turns,
         flatten(list_transform(pod.spec.containers, lambda c: list_transform(map_entries(c.resources.limits),
           lambda e: {{'container': c.name, 'key': e.key, 'value': e.value}}))) AS limits,
         list_filter(pod.status.initContainerStatuses, lambda c: c.name = 'storage-initializer')[1].state AS loader,
         pod.status.containerStatuses AS statuses,
         CASE WHEN pod.kind = 'Node' THEN pod.metadata.labels ELSE map_concat(
           coalesce({_REQUIRED}, {_EMPTY}),
           coalesce(pod.spec.nodeSelector, {_EMPTY})) END AS labels
  FROM pods
),
loaded AS NOT MATERIALIZED (
  SELECT * EXCLUDE (loader, limits), list_filter(limits, lambda e: {is_unit("e.key")}) AS units,
         len(list_filter(limits, lambda e: regexp_matches(e.key, '{SHARED}'))) > 0 AS has_shared,
         coalesce(loader.running.startedAt, loader.terminated.startedAt) AS loader_from,
         loader.terminated.finishedAt AS loader_to, {_turned("DisruptionTarget")} AS disrupted,
         coalesce({_turned("Ready", "False")}, {_turned("ContainersReady", "False")}) AS unready
  FROM facts
),
told AS NOT MATERIALIZED (
  SELECT * EXCLUDE (statuses), list_transform(units, lambda e: e.container) AS holders,
         list_transform(statuses, lambda c: {_STATUS}) AS runs
  FROM loaded
),
running AS NOT MATERIALIZED (
  SELECT * EXCLUDE (runs), list_filter(runs, lambda c: list_contains(holders, c.name)) AS mains,
         list_max(list_transform(runs, lambda c: c.now_to)) AS last_ended,
         is_done OR is_deleted OR (deletion IS NOT NULL AND len(runs) > 0
           AND len(list_filter(runs, lambda c: c.now_to IS NULL)) = 0) AS is_over
  FROM told
),
ended AS NOT MATERIALIZED (
  SELECT *, list_transform(mains, lambda c: c.now_to) AS mains_ended,
         coalesce({instant("last_ended")} < {instant("deletion")} + to_microseconds(grace_shift), false) AS ended_before
  FROM running
)
SELECT line_number, is_object, object_kind, change, nullif(replica_id, '') AS replica_id, object_name,
       {label("own", DEPLOYMENT)} AS label_deployment, owner, own['pod-template-hash'] AS template_hash,
       {label("own", MODEL)} AS model, {label("labels", CHIP)} AS chip, {label("labels", REGION)} AS region,
       {commitment("labels")} AS commitment, {cloud("labels", "machine")} AS provider,
       nullif(node, '') AS node, list_transform(units, lambda e: {integer("e.value")}) AS numbers,
       list_distinct(list_transform(units, lambda e: {share("e.key")})) AS shares, is_pod, has_containers,
       has_claims OR has_shared AS is_unstated, is_deleted, grace, {_EVENTS} AS events
FROM ended
"""
_SELECT = f"""
SELECT * EXCLUDE (found, events), found.event AS event, found.at AS at_text, found.reason AS reason,
       {instant("found.at")} + to_microseconds(found.shift) AS event_at, {bad_numbers({"grace": "grace"})} AS bad_grace
FROM (SELECT *, unnest(CASE WHEN len(events) > 0 THEN events ELSE [NULL] END) AS found FROM ({_ROWS}))
"""
_OF_NODE = ("chip", "region", "commitment", "provider")


def _with_nodes(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Give pods the facts of their node where the list holds it, in place of those that they select."""
    nodes = (
        frame.filter(pl.col("object_kind") == "Node")
        .unique(["line_number", "object_name"], keep="first", maintain_order=True)
        .select(
            "line_number",
            pl.col("object_name").alias("node"),
            *(pl.col(n).alias(f"node_{n}") for n in _OF_NODE),
        )
    )
    return frame.join(nodes, on=["line_number", "node"], how="left", maintain_order="left").with_columns(
        pl.coalesce(f"node_{name}", name).alias(name) for name in _OF_NODE
    )


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn events of pods into canonical columns; `is_ignored` marks what is no pod or holds no accelerator."""
    frame = _with_nodes(frame)
    row = pl.int_range(pl.len(), dtype=pl.Int32)
    is_first = (pl.col("line_number") != pl.col("line_number").shift()).fill_null(value=True)
    kind = pl.coalesce("object_kind", pl.lit("Pod"))
    is_pod = kind == "Pod"
    is_whole = pl.col("is_object").fill_null(value=False) & ~kind.str.ends_with("List")
    # Of a bookmark only the version counts.
    is_bookmark = (pl.col("change") == "BOOKMARK").fill_null(value=False)
    is_shaped = is_whole & (~is_pod | (pl.col("is_pod") & pl.col("has_containers"))).fill_null(value=False)
    is_counted = pl.col("numbers").list.drop_nulls().list.len() == pl.col("numbers").list.len()
    holds_none = (is_counted & (pl.col("numbers").list.sum() == 0)).fill_null(value=True)
    is_unstated = pl.col("is_unstated").fill_null(value=False)
    slices = pl.col("shares").list.first().str.split("/").list.eval(pl.element().cast(pl.Int64))
    # A pod of a ReplicaSet is named by it; the hash of its template is no part of the deployment's name.
    owner = pl.coalesce(
        pl.col("owner").str.strip_suffix(pl.concat_str(pl.lit("-"), pl.col("template_hash"))), "owner"
    )
    deployment = pl.coalesce("label_deployment", owner)
    instant_text = pl.col("event_at").dt.epoch("us").cast(pl.String)
    return frame.with_columns(
        *first_reason(
            (~is_shaped, "unknown_shape", "no pod"),
            (pl.col("replica_id").is_null(), "missing_replica_id", "metadata.uid"),
            (deployment.is_null(), "missing_deployment", "metadata.labels"),
            (~is_counted, "bad_value", "resources.limits"),
            (holds_none & is_unstated, "missing_chip_count", "resources.limits states no whole accelerator"),
            (pl.col("shares").list.len() > 1, "bad_value", "resources.limits of several sizes"),
            (pl.col("bad_grace").is_not_null(), "bad_value", "metadata.deletionGracePeriodSeconds"),
            (
                pl.col("event_at").is_null() & pl.col("at_text").is_not_null(),
                "bad_value",
                "a time is no instant",
            ),
            (
                pl.col("event_at").is_null(),
                "missing_event_at",
                pl.coalesce("event", pl.lit("no event has a time")),
            ),
        ),
        record_number=row - pl.when(is_first).then(row).forward_fill() + 1,
        is_ignored=is_bookmark | (is_shaped & (~is_pod | (holds_none & ~is_unstated))),
        deployment=deployment,
        chip_count=pl.col("numbers").list.sum(),
        fraction=(slices.list.get(0).cast(pl.Decimal(18, 9)) / slices.list.get(1)).cast(pl.Decimal(9, 6)),
        dedupe_key=pl.concat_str("replica_id", pl.lit("|"), "event", pl.lit("|"), instant_text),
    )


IMPORTER = Importer(
    kind="k8s_pod",
    table="raw.replica_events",
    columns={"type": "VARCHAR", "kind": "VARCHAR"}
    | dict.fromkeys(("object", "responseObject", "items", *_TOPS[1:]), "JSON"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(
        frozenset({"kind=Pod", "metadata.uid", "spec.containers"}),
        frozenset({"metadata.uid", "spec.containers", "status"}),
        frozenset({"kind=PodList", "items"}),
        frozenset({"items[0].kind=Pod"}),
        frozenset({"items[0].kind=Node"}),
        frozenset({"type", "object.kind=Pod"}),
        frozenset({"apiVersion=audit.k8s.io", "auditID"}),
    ),
    rank=12,
)
