"""Kubernetes pods and nodes as lifecycle: `kubectl get nodes,pods -o json`, watch streams, audit logs.

A replica is a pod that holds accelerators, by its uid; a node with accelerators is one of the deployment `(none)`, by
its name, from its creation until it is deleted; other pods and nodes, and bookmarks, are ignored. Labels of a node
(chip, region, terms) count where the list holds the node (`kubectl get nodes,pods -A -o json`), else those that the pod
selects. What a pod holds is in the limits of its containers and of init containers that run on beside them, at least
what another init container asks for; one that asks for accelerators of which nobody says how many is refused. A pod
observed often yields the same events again, which are told as duplicates. A container that ends while its pod goes on
has failed; the kubelet takes the pod up again at once, so the next start is scheduled a microsecond later. What a
snapshot no longer shows (a first `Ready` after a later one, all runs but the last two) is not known.
Source: Kubernetes client 37 models, knative/serving, kserve/kserve.
"""

import json
from typing import Any

import polars as pl

from models.lifecycle.k8s_claims import CLAIM_FIELDS, CLAIM_SHAPE, with_claims
from models.lifecycle.k8s_shares import accelerators_held, neuron_chip, with_nodes
from models.lifecycle.kubernetes import (
    APP,
    CHIP,
    COMPONENT,
    DEPLOYMENT,
    MEMORY,
    MODEL,
    NODE_COUNTS,
    NODE_MEMORY,
    NODE_REPLICAS,
    NOTED_COUNT,
    NOTED_MEMORY,
    NOTED_SHARE,
    PERCENT,
    REGION,
    RELEASE,
    SHARED,
    WHOLE,
    chip_of,
    cloud,
    commitment,
    family,
    group,
    is_head,
    is_unit,
    is_vague,
    label,
    named_deployment,
    share,
    words,
)
from models.records import Importer, bad_numbers, first_reason, instant, integer, number, record_number, tried
from models.schemas.vocabulary import NONE_DEPLOYMENT

_MAP = "MAP(VARCHAR, VARCHAR)"
_TEXT = "VARCHAR"
_ENDED = {"startedAt": _TEXT, "finishedAt": _TEXT}
_CONTAINER = {
    "name": _TEXT,
    "restartCount": _TEXT,
    "state": {"running": {"startedAt": _TEXT}, "terminated": _ENDED},
    "lastState": {"terminated": _ENDED},
}
_LIMITED = {"name": _TEXT, "restartPolicy": _TEXT, "resources": {"limits": _MAP, "claims": [{"name": _TEXT}]}}
_TERM = [{"matchExpressions": [{"key": _TEXT, "operator": _TEXT, "values": [_TEXT]}]}]
_SHAPE: dict[str, Any] = {
    "kind": _TEXT,
    "metadata": {
        "uid": _TEXT, "name": _TEXT, "namespace": _TEXT, "creationTimestamp": _TEXT, "deletionTimestamp": _TEXT,
        "deletionGracePeriodSeconds": _TEXT, "labels": _MAP, "annotations": _MAP, "ownerReferences": [{"name": _TEXT}],
    },
    "spec": {
        "nodeName": _TEXT, "restartPolicy": _TEXT, "providerID": _TEXT, "nodeSelector": _MAP,
        "containers": [_LIMITED], "initContainers": [_LIMITED],
        "resourceClaims": [{"name": _TEXT}], "driver": _TEXT, "pool": {"name": _TEXT}, "devices": "JSON",
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": _TERM}}},
    },
    "status": {
        "phase": _TEXT, "reason": _TEXT, "capacity": _MAP, "allocatable": _MAP,
        "conditions": [{"type": _TEXT, "status": _TEXT, "lastTransitionTime": _TEXT}],
        "initContainerStatuses": [_CONTAINER], "containerStatuses": [_CONTAINER], **CLAIM_SHAPE,
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
_SIDECARS = "list_filter(pod.spec.initContainers, lambda c: c.restartPolicy = 'Always')"
_ASKED = (
    "list_transform(map_entries(c.resources.limits), "
    "lambda e: {'container': c.name, 'key': e.key, 'value': e.value})"
)


def _most(entries: str, key: str) -> str:
    """SQL of the largest number that a resource has among the limits of containers."""
    chosen = f"list_filter({entries}, lambda e: e.key = '{key}')"
    return f"list_max(list_transform({chosen}, lambda e: {integer('e.value')}))"


_IS_WHOLE = f"lambda e: list_contains({words(WHOLE)}, e.key)"
# A node has one kind of accelerator, of which a device plugin may tell by several names.
_NODE_COUNT = ", ".join(
    (
        *(integer(f"labels['{name}']") for name in NODE_COUNTS),
        f"list_max(list_transform(list_filter(owned, {_IS_WHOLE}), lambda e: nullif({integer('e.value')}, 0)))",
    )
)
_NODE_EVENTS = f"""list_filter([{_event("ready", "created")},
  {_event("stopped", "CASE WHEN is_deleted THEN deletion END")}],
  lambda e: e.at IS NOT NULL OR (e.event = 'stopped' AND is_deleted))"""
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
-- What is needed of a pod, read once: the deep structure goes no further.
facts AS NOT MATERIALIZED (
  SELECT line_number, change, change = 'DELETED' AS is_deleted, is_object, pod.kind AS object_kind,
         pod.metadata IS NOT NULL AS is_pod, pod.spec.containers IS NOT NULL AS has_containers,
         pod.metadata.uid AS replica_id, pod.metadata.name AS object_name, pod.spec.nodeName AS node,
         pod.metadata.creationTimestamp AS created, pod.metadata.deletionTimestamp AS deletion,
         pod.metadata.deletionGracePeriodSeconds AS grace,
         -coalesce({integer("pod.metadata.deletionGracePeriodSeconds")}, 0) * 1000000 AS grace_shift,
         pod.metadata.labels AS own, pod.metadata.ownerReferences[1].name AS owner, pod.spec.providerID AS machine,
         pod.status.phase AS phase, pod.status.reason AS pod_reason, {CLAIM_FIELDS},
         list_transform(list_filter(list_concat(pod.spec.containers, {_SIDECARS}),
           lambda c: len(c.resources.claims) > 0), lambda c: c.name) AS claiming,
         coalesce(pod.status.phase IN ('Succeeded', 'Failed'), false) AS is_done,
         NOT (coalesce(pod.status.phase IN ('Succeeded', 'Failed'), false) OR change = 'DELETED'
           OR pod.metadata.deletionTimestamp IS NOT NULL OR coalesce(pod.spec.restartPolicy <> 'Always', false))
           AS is_restarted,
         list_transform(pod.status.conditions, lambda c: c.type || '=' || c.status) AS turned,
         list_transform(pod.status.conditions, lambda c: c.lastTransitionTime) AS turns,
         flatten(list_transform(list_concat(pod.spec.containers, {_SIDECARS}), lambda c: {_ASKED})) AS limits,
         list_transform(list_filter(pod.spec.initContainers, lambda c: coalesce(c.restartPolicy, '') <> 'Always'),
           lambda c: list_filter({_ASKED}, lambda e: {is_unit("e.key")})) AS first_asked,
         map_entries(CASE WHEN pod.kind = 'Node' THEN coalesce(pod.status.capacity, pod.status.allocatable) END)
           AS owned,
         list_filter(pod.status.initContainerStatuses, lambda c: c.name = 'storage-initializer')[1].state AS loader,
         list_concat(pod.status.containerStatuses, list_filter(pod.status.initContainerStatuses,
           lambda c: list_contains(list_transform({_SIDECARS}, lambda s: s.name), c.name))) AS statuses,
         pod.metadata.namespace AS namespace, pod.metadata.annotations AS notes,
         flatten(list_transform(pod.spec.initContainers, lambda c: {_ASKED})) AS init_limits,
         CASE WHEN pod.kind = 'Node' THEN pod.metadata.labels ELSE map_concat(
           coalesce({_REQUIRED}, {_EMPTY}),
           coalesce(pod.spec.nodeSelector, {_EMPTY})) END AS labels
  FROM pods
),
loaded AS NOT MATERIALIZED (
  SELECT * EXCLUDE (loader, limits, init_limits, owned, notes),
         list_filter(limits, lambda e: {is_unit("e.key")}) AS own_units,
         list_filter(limits, lambda e: regexp_matches(e.key, '{SHARED}') AND e.key NOT LIKE '%mig-%') AS shared,
         len(list_filter(list_concat(limits, init_limits), lambda e: {is_vague("e.key")}
           AND NOT regexp_matches(e.key, '{SHARED}') AND ({integer("e.value")}) IS DISTINCT FROM 0)) > 0 AS is_vague,
         {number(f"notes['{NOTED_SHARE}']")} AS noted_share, {number(f"notes['{NOTED_MEMORY}']")} AS noted_memory,
         coalesce({integer(f"notes['{NOTED_COUNT}']")}, 1) AS noted_count,
         notes['{NOTED_SHARE}'] IS NOT NULL OR notes['{NOTED_MEMORY}'] IS NOT NULL AS is_noted,
         {", ".join(f"{_most('limits', key)} AS {name}" for name, key in PERCENT.items())},
         {_most("limits", MEMORY)} AS memory,
         coalesce({_NODE_COUNT}) AS node_count,
         {chip_of(f"list_filter(owned, lambda e: {is_unit('e.key')})[1].key")} AS node_chip,
         coalesce(loader.running.startedAt, loader.terminated.startedAt) AS loader_from,
         loader.terminated.finishedAt AS loader_to, {_turned("DisruptionTarget")} AS disrupted,
         coalesce({_turned("Ready", "False")}, {_turned("ContainersReady", "False")}) AS unready
  FROM facts
),
needed AS NOT MATERIALIZED (
  SELECT * EXCLUDE (statuses, own_units, first_asked, claiming),
         CASE WHEN len(own_units) > 0 THEN list_transform(own_units, lambda e: e.container) ELSE claiming END
           AS holders,
         CASE WHEN len(own_units) > 0 THEN own_units ELSE flatten(first_asked) END AS units,
         list_max(list_transform(first_asked, lambda a: list_sum(list_transform(a, lambda e: {integer("e.value")}))))
           AS first_count,
         list_transform(statuses, lambda c: {_STATUS}) AS runs
  FROM loaded
),
running AS NOT MATERIALIZED (
  SELECT * EXCLUDE (runs), list_filter(runs, lambda c: list_contains(holders, c.name)) AS mains,
         list_max(list_transform(runs, lambda c: c.now_to)) AS last_ended,
         is_done OR is_deleted OR (deletion IS NOT NULL AND len(runs) > 0
           AND len(list_filter(runs, lambda c: c.now_to IS NULL)) = 0) AS is_over
  FROM needed
),
ended AS NOT MATERIALIZED (
  SELECT *, list_transform(mains, lambda c: c.now_to) AS mains_ended,
         coalesce({instant("last_ended")} < {instant("deletion")} + to_microseconds(grace_shift), false) AS ended_before
  FROM running
)
SELECT line_number, is_object, object_kind, change, nullif(replica_id, '') AS replica_id, object_name,
       {label("own", DEPLOYMENT)} AS label_deployment, {label("own", APP)} AS app,
       {label("own", (COMPONENT, *MODEL))} AS part, owner, own['pod-template-hash'] AS template_hash,
       {label("own", RELEASE)} AS release, {group("own", "namespace")} AS replica_group,
       {is_head("own")} AS is_group_head,
       {family("labels")} AS family, {integer(f"labels['{NODE_REPLICAS}']")} AS share_count,
       {integer(f"labels['{NODE_MEMORY}']")} AS chip_memory, cores, memory_percent, memory, is_vague,
       noted_share, noted_memory, noted_count, is_noted,
       list_transform(shared, lambda e: {integer("e.value")}) AS shared_numbers, first_count, node_count,
       coalesce({chip_of("units[1].key")}, node_chip) AS resource_chip,
       {label("own", MODEL)} AS model, {label("labels", CHIP)} AS chip, {label("labels", REGION)} AS region,
       {commitment("labels")} AS commitment, {cloud("labels", "machine")} AS provider,
       nullif(node, '') AS node, list_transform(units, lambda e: {integer("e.value")}) AS numbers,
       list_distinct(list_transform(units, lambda e: {share("e.key")})) AS shares, is_pod, has_containers,
       is_deleted, grace, claim_count, reserved_for, claimed, slice_driver, slice_pool, slice_devices,
       CASE WHEN object_kind = 'Node' THEN {_NODE_EVENTS} ELSE {_EVENTS} END AS events
FROM ended
"""
_SELECT = f"""
SELECT * EXCLUDE (found, events), found.event AS event, found.at AS at_text, found.reason AS reason,
       {instant("found.at")} + to_microseconds(found.shift) AS event_at, {bad_numbers({"grace": "grace"})} AS bad_grace
FROM (SELECT *, unnest(CASE WHEN len(events) > 0 THEN events ELSE [NULL] END) AS found FROM ({_ROWS}))
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn events of pods and nodes into canonical columns; `is_ignored` marks what holds no accelerator."""
    count, fraction = accelerators_held()
    frame = with_claims(with_nodes(frame)).with_columns(count.alias("held_count"), fraction.alias("fraction"))
    kind = pl.coalesce("object_kind", pl.lit("Pod"))
    is_pod, is_node = kind == "Pod", kind == "Node"
    is_whole = pl.col("is_object").fill_null(value=False) & ~kind.str.ends_with("List")
    # Of a bookmark only the version counts.
    is_bookmark = (pl.col("change") == "BOOKMARK").fill_null(value=False)
    is_shaped = is_whole & (~is_pod | (pl.col("is_pod") & pl.col("has_containers"))).fill_null(value=False)
    is_counted = pl.col("numbers").list.drop_nulls().list.len() == pl.col("numbers").list.len()
    holds_none = (is_counted & (pl.col("held_count").fill_null(0) == 0)).fill_null(value=True)
    is_vague = pl.col("is_vague").fill_null(value=False)
    has_claims = (pl.col("claim_count") > 0).fill_null(value=False)
    is_unclaimed = holds_none & has_claims & pl.col("claimed_count").is_null()
    # A claim is gone with its pod, so that what ends says no more what it held.
    is_end = is_unclaimed & pl.col("event").is_in(["failed", "stopped"]).fill_null(value=False)
    is_unstated = is_unclaimed | is_vague
    is_head = pl.col("is_group_head").fill_null(value=False)
    # A pod of a ReplicaSet is named by it; the hash of its template is no part of the deployment's name.
    owner = pl.coalesce(
        pl.col("owner").str.strip_suffix(pl.concat_str(pl.lit("-"), pl.col("template_hash"))), "owner"
    )
    deployment = pl.when(is_node).then(pl.lit(NONE_DEPLOYMENT)).otherwise(
        named_deployment(
            pl.col("label_deployment"),
            owner,
            release=pl.col("release"),
            app=pl.col("app"),
            is_part=pl.col("part").is_not_null(),
        )
    )  # fmt: skip
    replica = pl.when(is_node).then("object_name").otherwise("replica_id")
    instant_text = pl.col("event_at").dt.epoch("us").cast(pl.String)
    of_place = pl.when(is_node).then(
        pl.concat_str(pl.lit("node"), pl.col("region").fill_null(""), separator="|")
    )
    return frame.with_columns(
        *first_reason(
            (~is_shaped, "unknown_shape", "no pod"),
            (replica.is_null(), "missing_replica_id", "metadata.uid"),
            (deployment.is_null(), "missing_deployment", "metadata.labels"),
            (~is_counted, "bad_value", "resources.limits"),
            (is_vague, "missing_chip_count", "resources.limits states no whole accelerator"),
            (
                is_unclaimed & ~is_end,
                "missing_chip_count",
                "its resource claims: list them with the pods (kubectl get nodes,pods,resourceclaims,resourceslices)",
            ),
            (pl.col("shares").list.len() > 1, "bad_value", "resources.limits of several sizes"),
            (
                ~holds_none & pl.col("fraction").is_null(),
                "missing_chip_count",
                "how much of an accelerator it holds, no node tells",
            ),
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
        record_number=record_number(),
        is_ignored=is_bookmark
        | (
            is_shaped
            & ((~is_pod & ~(is_node & ~holds_none)) | (is_pod & holds_none & ~is_unstated & ~is_head))
        ),
        replica_id=replica,
        deployment=deployment,
        chip=pl.coalesce("resource_chip", "chip", neuron_chip(), "claimed_chip"),
        chip_count=pl.when(~is_end).then(pl.col("held_count").fill_null(0)),
        is_group_head=pl.when(pl.col("replica_group").is_not_null()).then(is_head),
        dedupe_key=pl.concat_str(
            pl.concat_str(of_place, replica, separator="|", ignore_nulls=True),
            "event",
            instant_text,
            separator="|",
        ),
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
        frozenset({"items[0].kind=ResourceClaim"}),
        frozenset({"items[0].kind=ResourceSlice"}),
        frozenset({"type", "object.kind=Pod"}),
        frozenset({"apiVersion=audit.k8s.io", "auditID"}),
    ),
    rank=12,
)
