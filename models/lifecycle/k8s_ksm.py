"""kube-state-metrics as lifecycle: its text exposition, `/federate`, or answers of Prometheus' query API.

A series has one fact of a pod, and the value of some is an instant. What a pod is (accelerators, labels, owner, node)
is gathered by its uid from all series that are read together, and the facts of nodes by their names. A pod of which
nothing says that it holds accelerators makes no replica: its deployment is NULL (models/costs/notices.py); one that is
known to hold none is ignored. A scrape that is repeated yields the same events, which are told as duplicates. A pod
that is being deleted is gone at its deadline at the latest, which is when it stops if no container's end is told; no
metric has the grace before it.
Source: kube-state-metrics 2 `docs/metrics`, `internal/store/pod.go`, checked 2026-11-20.
"""

import re

import polars as pl

from models.exposition import FIELDS, SAMPLES
from models.lifecycle.kubernetes import (
    APP,
    CHIP,
    COMPONENT,
    DEPLOYMENT,
    MODEL,
    REGION,
    RELEASE,
    SIDECARS,
    WHOLE,
    cloud,
    commitment,
    group,
    is_head,
    is_unit,
    is_vague,
    label,
    metric_label,
    named_deployment,
    share,
)
from models.records import Importer, first_reason, instant, integer, record_number

_STARTED = "kube_pod_container_state_started"
_ENDED, _DEADLINE = "kube_pod_completion_time", "kube_pod_deletion_timestamp"
_EVENTS = {
    "kube_pod_created": "requested",
    "kube_pod_status_scheduled_time": "scheduled",
    _STARTED: "image_pulled",
    "kube_pod_status_ready_time": "ready",
    _DEADLINE: "stopped",
    _ENDED: "stopped",
}
"""Metrics whose value is an instant, and what happened to the pod then."""
_HELD = ("kube_pod_container_resource_requests", "kube_pod_container_resource_limits")
_NODES = ("kube_node_labels", "kube_node_info")
_PODS = (
    "kube_pod_labels",
    "kube_pod_owner",
    "kube_pod_info",
    "kube_pod_status_phase",
    "kube_pod_status_reason",
)
_READ = (*_EVENTS, *_HELD, *_NODES, *_PODS)
_TURNED_OUT = ("Evicted", "NodeLost", "Preempting", "Shutdown", "NodeShutdown", "Terminated")
_PAIR = r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"'


def _labelled(names: tuple[str, ...]) -> str:
    return label("labels", map(metric_label, names))


# What kube-state-metrics writes with underscores becomes the name of the resource again.
_WRITTEN = {re.sub(r"\W", "_", name): name for name in WHOLE}
_WHOLE = ", ".join(f"'{written}': '{name}'" for written, name in _WRITTEN.items())
_RESOURCE = (
    f"coalesce(MAP {{{_WHOLE}}}[labels['resource']], "
    r"regexp_replace(labels['resource'], '^nvidia_com_mig_(\d)g_(\d+)gb', 'nvidia.com/mig-\1g.\2gb'))"
)
_SELECT = f"""
WITH {SAMPLES},
named AS NOT MATERIALIZED (
  SELECT line_number, is_sample AND sample.name = '' AS is_broken, NOT is_sample AS is_empty, sample.name AS metric,
         sample.value AS value,
         CASE WHEN sample.name IN {_READ} THEN sample.labels END AS written, NULL::MAP(VARCHAR, VARCHAR) AS answered
  FROM texts
  UNION ALL
  SELECT line_number, is_broken, is_empty OR (NOT is_broken AND point IS NULL), labels['__name__'], point[2], NULL,
         labels
  FROM points
),
samples AS NOT MATERIALIZED (
  SELECT line_number, is_broken, is_empty, metric, value, coalesce(answered,
           TRY(map(regexp_extract_all(written, '{_PAIR}', 1), regexp_extract_all(written, '{_PAIR}', 2)))) AS labels
  FROM named
),
resources AS NOT MATERIALIZED (SELECT *, {_RESOURCE} AS resource FROM samples)
SELECT line_number, is_broken, is_empty, metric, value, {instant("value")} AS event_at, {integer("value")} AS number,
       nullif(labels['uid'], '') AS replica_id, labels['container'] AS container, nullif(labels['node'], '') AS node,
       {is_unit("resource")} AS is_unit, ({is_vague("resource")}) AND ({integer("value")}) > 0 AS is_vague,
       {share("resource")} AS share,
       {_labelled(DEPLOYMENT)} AS label_deployment, {_labelled(APP)} AS app,
       {_labelled((COMPONENT, *MODEL))} AS part, {_labelled(RELEASE)} AS release,
       {group("labels", "labels['namespace']", named=metric_label)} AS replica_group,
       {is_head("labels", named=metric_label)} AS is_group_head, {_labelled(MODEL)} AS model,
       {_labelled(("pod-template-hash",))} AS template_hash, nullif(labels['owner_name'], '') AS owner,
       labels['phase'] AS phase, labels['reason'] AS why, {_labelled(CHIP)} AS chip, {_labelled(REGION)} AS region,
       {commitment("labels", named=metric_label)} AS commitment,
       {cloud("labels", "labels['provider_id']", named=metric_label)} AS provider
FROM resources
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn samples of instants into canonical columns; `is_ignored` marks all others."""
    metric = pl.coalesce("metric", pl.lit(""))
    samples = frame.with_columns(metric=metric).with_row_index("row")
    rows = (
        samples.drop("chip_count", "node", *_OF_POD, *_OF_NODE, strict=False)
        .join(_pods(samples), on="replica_id", how="left", maintain_order="left")
        .join(_nodes(samples), on="node", how="left", maintain_order="left")
    )
    is_broken = pl.col("is_broken").fill_null(value=False)
    is_known = pl.col("is_known").fill_null(value=False)
    is_held = ((pl.col("chip_count") > 0) | pl.col("is_group_head")).fill_null(value=False)
    is_unstated = pl.col("is_unstated").fill_null(value=False)
    is_main = (
        pl.when(is_held)
        .then(pl.col("holders").list.contains(pl.col("container")))
        .otherwise(~pl.col("container").is_in(SIDECARS))
        .fill_null(value=False)
    )
    is_idle = (metric == _STARTED) & ~is_main
    is_outdone = (metric == _DEADLINE) & pl.col("has_ended").fill_null(value=False)
    has_failed = (metric == _ENDED) & pl.col("has_failed").fill_null(value=False)
    slices = pl.col("shares").list.first().str.split("/").list.eval(pl.element().cast(pl.Int64))
    # A pod of a ReplicaSet is named by it; the hash of its template is no part of the deployment's name.
    owner = pl.coalesce(
        pl.col("owner").str.strip_suffix(pl.concat_str(pl.lit("-"), "template_hash")), "owner"
    )
    deployment = named_deployment(
        pl.col("label_deployment"),
        owner,
        release=pl.col("release"),
        app=pl.col("app"),
        is_part=pl.col("part").is_not_null(),
    )
    event = pl.when(has_failed).then(pl.lit("failed")).otherwise(metric.replace_strict(_EVENTS, default=None))
    instant_text = pl.col("event_at").dt.epoch("us").cast(pl.String)
    return rows.with_columns(
        *first_reason(
            (is_broken, "wrong_shape", "it is no sample of a metric"),
            (
                metric == "",
                "missing_metric",
                "__name__: ask for the metrics themselves, not for a sum of them",
            ),
            (pl.col("replica_id").is_null(), "missing_replica_id", "uid: kube-state-metrics 2 tells it"),
            (pl.col("event_at").is_null(), "bad_value", "value is no instant"),
            (is_unstated, "missing_chip_count", "its resources state no whole accelerator"),
            (is_held & deployment.is_null(), "missing_deployment", "kube_pod_labels or kube_pod_owner"),
            (pl.col("shares").list.len() > 1, "bad_value", "resources of several sizes"),
        ),
        record_number=record_number(),
        is_ignored=~is_broken
        & (
            pl.col("is_empty").fill_null(value=False)
            | (
                (metric != "")
                & (~metric.is_in(list(_EVENTS)) | is_idle | is_outdone | (is_known & ~is_held & ~is_unstated))
            )
        ),
        event=event,
        reason=pl.when(has_failed).then(
            pl.when(pl.col("was_turned_out")).then(pl.lit("preempted")).otherwise(pl.lit("crash"))
        ),
        deployment=pl.when(is_held).then(deployment),
        chip_count=pl.when(is_held).then(pl.col("chip_count").fill_null(0)),
        fraction=(slices.list.get(0).cast(pl.Decimal(18, 9)) / slices.list.get(1)).cast(pl.Decimal(9, 6)),
        dedupe_key=pl.concat_str("replica_id", pl.lit("|"), event, pl.lit("|"), instant_text),
    )


_OF_POD = (
    "label_deployment",
    "release",
    "app",
    "part",
    "model",
    "template_hash",
    "owner",
    "replica_group",
    "is_group_head",
)
_OF_NODE = ("chip", "region", "commitment", "provider")


def _pods(samples: pl.LazyFrame) -> pl.LazyFrame:
    """Return what all series together say of each pod."""
    of_pods = samples.filter(pl.col("replica_id").is_not_null())
    units = (
        of_pods.filter(pl.col("metric").is_in(_HELD))
        .group_by("replica_id", "container", "share", "is_unit", "is_vague")
        .agg(pl.col("number").max())
        .group_by("replica_id")
        .agg(
            pl.lit(value=True).alias("is_known"),
            pl.col("number").filter(pl.col("is_unit")).sum().alias("chip_count"),
            pl.col("container").filter(pl.col("is_unit") & (pl.col("number") > 0)).alias("holders"),
            pl.col("share")
            .filter(pl.col("is_unit") & (pl.col("number") > 0))
            .unique()
            .sort()
            .alias("shares"),
            pl.col("is_vague").any().alias("is_unstated"),
        )
    )
    is_so = pl.col("number") == 1
    is_failed = is_so & (pl.col("metric") == "kube_pod_status_phase") & (pl.col("phase") == "Failed")
    is_lost = is_so & (pl.col("metric") == "kube_pod_status_reason") & pl.col("why").is_in(_TURNED_OUT)
    facts = (
        of_pods.sort("row")
        .group_by("replica_id")
        .agg(
            *(pl.col(name).drop_nulls().first() for name in ("node", *_OF_POD[:-1])),
            # Of the series of a pod only one has its labels.
            pl.col("is_group_head").filter(pl.col("replica_group").is_not_null()).first(),
            is_failed.any().alias("has_failed"),
            ((pl.col("metric") == _ENDED) & pl.col("event_at").is_not_null()).any().alias("has_ended"),
            is_lost.any().alias("was_turned_out"),
        )
    )
    return facts.join(units, on="replica_id", how="left")


def _nodes(samples: pl.LazyFrame) -> pl.LazyFrame:
    """Return the facts of each node."""
    return (
        samples.filter(pl.col("metric").is_in(_NODES) & pl.col("node").is_not_null())
        .sort("row")
        .group_by("node")
        .agg(pl.col(name).drop_nulls().first() for name in _OF_NODE)
    )


IMPORTER = Importer(
    kind="k8s_ksm",
    table="raw.replica_events",
    columns=dict.fromkeys(FIELDS, "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "text"),
    is_joint=True,
    signature=(
        frozenset({"data.resultType", "data.result[0].metric.__name__=kube_"}),
        frozenset({"metric.__name__=kube_", "value"}),
        frozenset({"metric.__name__=kube_", "values"}),
        *(frozenset({f"line={start}kube_"}) for start in ("", "# HELP ", "# TYPE ")),
    ),
    rank=11,
)
