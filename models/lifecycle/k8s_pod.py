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
    CLOUDS,
    COMMITMENTS,
    DEPLOYMENT,
    GKE_SPOT,
    MODEL,
    QUARTERS,
    REGION,
    SHARED,
    SLICE,
    TERMS,
    WHOLE,
    label,
    words,
)
from models.records import Importer, bad_numbers, first_reason, instant, integer

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
_BARE = ", ".join(f"'{name}', CASE WHEN json_valid({name}) THEN {name}::JSON END" for name in _TOPS[1:])
_EMPTY = f"MAP {{}}::{_MAP}"
_CLOUD = " ".join(
    f"WHEN list_has_any(list_transform(map_keys(labels), lambda k: starts_with(k, '{prefix}')), [true]) THEN '{cloud}'"
    for cloud, prefixes in CLOUDS.items()
    for prefix in prefixes
)
_TERMS = " ".join(f"WHEN '{word}' THEN '{name}'" for word, name in COMMITMENTS.items())
_QUARTER = " OR ".join(f"contains(x.k, 'mig-{profile}')" for profile in QUARTERS)


def _turned(condition: str, status: str = "True") -> str:
    """SQL of when a condition took a status; NULL where it has another."""
    return (
        f"list_filter(pod.status.conditions, lambda c: c.type = '{condition}' AND c.status = '{status}')[1]"
        ".lastTransitionTime"
    )


def _event(event: str, at: str, reason: str = "NULL", *, shift: str = "0") -> str:
    """SQL of an event, `shift` microseconds after an instant; none where the instant is NULL."""
    return f"{{'event': '{event}', 'at': ({at})::VARCHAR, 'reason': ({reason})::VARCHAR, 'shift': ({shift})::BIGINT}}"


def _of_mains(event: str, at: str, *, shift: str = "0") -> str:
    """SQL of an event of each container that holds accelerators; `c` is its status."""
    reason = "NULL" if event == "image_pulled" else "'crash'"
    return f"list_transform(mains, lambda c: {_event(event, at, reason, shift=shift)})"


_DELETION = "pod.metadata.deletionTimestamp"
_GRACE = f"-coalesce({integer('pod.metadata.deletionGracePeriodSeconds')}, 0) * 1000000"
_PREEMPTED = f"CASE WHEN {_turned('DisruptionTarget')} IS NOT NULL THEN 'preempted' END"
# A pod of the phase Failed went with its node or was turned out, or its container ended.
_LOST = (
    f"CASE WHEN {_turned('DisruptionTarget')} IS NOT NULL OR pod.status.reason IN "
    "('Evicted', 'Preempting', 'NodeLost', 'NodeShutdown', 'Shutdown', 'Terminated') THEN 'preempted' ELSE 'crash' END"
)
_GONE_AT = f"coalesce({_turned('Ready', 'False')}, {_turned('ContainersReady', 'False')})"
_LATEST = "list_max(list_transform({}, lambda c: c.state.terminated.finishedAt))"
_LAST, _NOW = "c.lastState.terminated", "c.state.terminated"


def _run_at(at: str, *, first_after: int) -> str:
    """SQL of when a container's run began: the image of the first one was pulled before the weights, by the loader."""
    restarts = f"coalesce({integer('c.restartCount')}, 0)"
    return f"CASE WHEN loader IS NULL OR {restarts} > {first_after} THEN {at} END"


_FAILED_AT = f"coalesce({_LATEST.format('mains')}, {_turned('DisruptionTarget')}, {_GONE_AT})"
_STOPPED_AT = (
    f"coalesce({_LATEST.format('pod.status.containerStatuses')}, CASE WHEN is_deleted THEN {_DELETION} END, "
    f"{_turned('DisruptionTarget')}, {_GONE_AT})"
)
_FIXED = (
    _event("requested", "pod.metadata.creationTimestamp"),
    _event("scheduled", _turned("PodScheduled")),
    _event("image_pulled", "coalesce(loader.state.running.startedAt, loader.state.terminated.startedAt)"),
    _event("weights_loaded", "loader.state.terminated.finishedAt"),
    _event("ready", _turned("Ready")),
    _event("draining", _DELETION, _PREEMPTED, shift=_GRACE),
    _event("failed", f"CASE WHEN pod.status.phase = 'Failed' THEN {_FAILED_AT} END", _LOST),
    _event(
        "stopped",
        f"CASE WHEN is_over AND ended_before THEN {_DELETION} WHEN is_over THEN {_STOPPED_AT} END",
        shift=f"CASE WHEN ended_before THEN {_GRACE} ELSE 0 END",
    ),
)
_OF_MAINS = (
    _of_mains("image_pulled", _run_at(f"{_LAST}.startedAt", first_after=1)),
    _of_mains("failed", f"{_LAST}.finishedAt"),
    _of_mains("scheduled", f"{_LAST}.finishedAt", shift="1"),
    _of_mains(
        "image_pulled", _run_at(f"coalesce(c.state.running.startedAt, {_NOW}.startedAt)", first_after=0)
    ),
    *(
        f"CASE WHEN is_restarted THEN {_of_mains(event, f'{_NOW}.finishedAt', shift=shift)} END"
        for event, shift in (("failed", "0"), ("scheduled", "1"))
    ),
)
# A pod that is gone without a time is kept, so that it is refused and not forgotten.
_EVENTS = f"""list_filter(list_concat([{", ".join(_FIXED)}], {", ".join(_OF_MAINS)}),
  lambda e: e.at IS NOT NULL OR (e.event = 'stopped' AND is_deleted))"""
_HOLDS = f"list_contains({words(WHOLE)}, x.k) OR regexp_matches(x.k, '{SLICE}')"
_ROWS = f"""
WITH listed AS NOT MATERIALIZED (
  SELECT line_number, "type" AS change, CASE WHEN TRY(json_type(items)) = 'ARRAY' THEN TRY(from_json(items, '["JSON"]'))
    ELSE [coalesce(CASE WHEN json_valid("object") THEN "object"::JSON END,
                   CASE WHEN json_valid(responseObject) THEN responseObject::JSON END,
                   json_object('kind', coalesce(kind, 'Pod'), {_BARE}))] END AS held
  FROM records
),
parsed AS NOT MATERIALIZED (
  SELECT line_number, change, list_transform(held, lambda o: TRY(from_json(o, '{json.dumps(_SHAPE)}'))) AS held,
         list_transform(held, lambda o: json_type(o)) AS types
  FROM listed
),
pods AS NOT MATERIALIZED (
  SELECT line_number, change, list_filter(held, lambda o: o.kind = 'Node' AND o.metadata.name IS NOT NULL) AS nodes,
         unnest(CASE WHEN len(held) > 0 THEN held ELSE [NULL] END) AS pod,
         unnest(CASE WHEN len(held) > 0 THEN types ELSE ['none'] END) AS json_kind
  FROM parsed
),
limits AS NOT MATERIALIZED (
  SELECT *, list_filter(nodes, lambda o: o.metadata.name = pod.spec.nodeName)[1] AS node,
         pod.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms AS terms,
         CASE WHEN len(terms) = 1 THEN terms[1].matchExpressions END AS wanted,
         flatten(list_transform(pod.spec.containers, lambda c: list_transform(map_entries(c.resources.limits),
           lambda e: {{'container': c.name, 'k': e.key, 'v': e.value}}))) AS held,
         pod.metadata.deletionTimestamp IS NOT NULL AS is_deleting,
         coalesce(pod.status.phase IN ('Succeeded', 'Failed'), false) AS is_done,
         coalesce(change = 'DELETED', false) AS is_deleted,
         len(pod.status.containerStatuses) > 0 AND len(list_filter(pod.status.containerStatuses,
           lambda c: c.state.terminated.finishedAt IS NULL)) = 0 AS has_ended
  FROM pods
),
facts AS NOT MATERIALIZED (
  SELECT *, list_filter(held, lambda x: {_HOLDS}) AS units,
         NOT (is_done OR is_deleted OR is_deleting OR coalesce(pod.spec.restartPolicy <> 'Always', false))
           AS is_restarted,
         is_done OR is_deleted OR (is_deleting AND coalesce(has_ended, false)) AS is_over,
         map_concat(
           coalesce(TRY(map_from_entries(list_transform(list_filter(wanted,
             lambda e: e.operator = 'In' AND len(e.values) = 1 AND e.key IS NOT NULL),
             lambda e: {{'k': e.key, 'v': e.values[1]}}))), {_EMPTY}),
           coalesce(pod.spec.nodeSelector, {_EMPTY}), coalesce(node.metadata.labels, {_EMPTY})) AS labels,
         list_filter(pod.status.initContainerStatuses, lambda c: c.name = 'storage-initializer')[1] AS loader
  FROM limits
),
running AS NOT MATERIALIZED (
  SELECT *, list_transform(units, lambda x: x.container) AS holders, list_transform(units, lambda x: x.v) AS counts,
         list_filter(pod.status.containerStatuses, lambda c: list_contains(holders, c.name)) AS mains,
         list_distinct(list_transform(units, lambda x: CASE WHEN regexp_matches(x.k, '{SLICE}')
           THEN regexp_extract(x.k, '{SLICE}', 1) || '/' || CASE WHEN {_QUARTER} THEN '4' ELSE '7' END
           ELSE '1/1' END)) AS shares,
         coalesce({instant(_LATEST.format("pod.status.containerStatuses"))}
           < {instant(_DELETION)} + to_microseconds({_GRACE}), false) AS ended_before
  FROM facts
)
SELECT line_number, json_kind, pod.kind AS object_kind, change, nullif(pod.metadata.uid, '') AS replica_id,
       {label("pod.metadata.labels", DEPLOYMENT)} AS label_deployment, pod.metadata.ownerReferences[1].name AS owner,
       pod.metadata.labels['pod-template-hash'] AS template_hash,
       {label("pod.metadata.labels", MODEL)} AS model, {label("labels", CHIP)} AS chip,
       {label("labels", REGION)} AS region,
       CASE lower({label("labels", TERMS)}) {_TERMS} END AS stated_terms,
       list_contains([{label("labels", GKE_SPOT[:1])}, {label("labels", GKE_SPOT[1:])}], 'true') AS is_spot,
       coalesce(CASE split_part(node.spec.providerID, '://', 1) WHEN 'aws' THEN 'aws' WHEN 'gce' THEN 'gcp'
         WHEN 'azure' THEN 'azure' END, CASE {_CLOUD} END) AS provider,
       nullif(pod.spec.nodeName, '') AS node, counts, shares, pod.metadata IS NOT NULL AS is_pod,
       list_transform(counts, lambda n: {integer("n")}) AS numbers,
       len(pod.spec.resourceClaims) > 0
         OR len(list_filter(held, lambda x: regexp_matches(x.k, '{SHARED}'))) > 0 AS is_unstated,
       is_deleted, {_EVENTS} AS events, pod.metadata.deletionGracePeriodSeconds AS grace,
       pod.spec.containers IS NOT NULL AS has_containers
FROM running
"""
_SELECT = f"""
SELECT * EXCLUDE (found, events), found.event AS event, found.at AS at_text, found.reason AS reason,
       {instant("found.at")} + to_microseconds(found.shift) AS event_at, {bad_numbers({"grace": "grace"})} AS bad_grace
FROM (SELECT *, unnest(CASE WHEN len(events) > 0 THEN events ELSE [NULL] END) AS found FROM ({_ROWS}))
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn events of pods into canonical columns; `is_ignored` marks what is no pod or holds no accelerator."""
    row = pl.int_range(pl.len(), dtype=pl.Int32)
    is_first = (pl.col("line_number") != pl.col("line_number").shift()).fill_null(value=True)
    kind = pl.coalesce("object_kind", pl.lit("Pod"))
    is_pod = kind == "Pod"
    is_whole = (pl.col("json_kind") == "OBJECT").fill_null(value=False) & ~kind.str.ends_with("List")
    # Of a bookmark only the version counts.
    is_bookmark = (pl.col("change") == "BOOKMARK").fill_null(value=False)
    is_shaped = is_whole & (~is_pod | (pl.col("is_pod") & pl.col("has_containers"))).fill_null(value=False)
    is_counted = pl.col("numbers").list.drop_nulls().list.len() == pl.col("counts").list.len()
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
        commitment=pl.when("is_spot").then(pl.lit("spot")).otherwise("stated_terms"),
        dedupe_key=pl.concat_str("replica_id", pl.lit("|"), "event", pl.lit("|"), instant_text),
    )


IMPORTER = Importer(
    kind="k8s_pod",
    table="raw.replica_events",
    columns=dict.fromkeys(("type", "object", "responseObject", "items", *_TOPS), "VARCHAR"),
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
