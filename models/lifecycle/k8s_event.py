"""Kubernetes Events of pods: `kubectl get events -o json`, watch streams, event exporters; core and events.k8s.io.

An Event says what happened to a pod and not what the pod is: deployment, accelerators and chip are NULL, and so it
refines a replica that other records name, and makes none (models/costs/notices.py). A repeated Event lands once, at its
first instant. Events of other objects, and those that tell no lifecycle, are ignored.
Source: Kubernetes client 37 models; kubelet, scheduler and taint manager event reasons.
"""

import json
from typing import Any

import polars as pl

from models.lifecycle.kubernetes import SIDECARS, words
from models.records import Importer, first_reason, instant, record_number

_TEXT = "VARCHAR"
_OF = {"kind": _TEXT, "uid": _TEXT, "fieldPath": _TEXT}
_FROM = {"host": _TEXT}
_SHAPE: dict[str, Any] = {
    "kind": _TEXT, "involvedObject": _OF, "regarding": _OF, "reason": _TEXT, "message": _TEXT, "note": _TEXT,
    "firstTimestamp": _TEXT, "deprecatedFirstTimestamp": _TEXT, "eventTime": _TEXT,
    "source": _FROM, "deprecatedSource": _FROM,
}  # fmt: skip
_BARE = ", ".join(f"'{name}', {name}" for name in _SHAPE if name != "kind")
_LOST = ("Preempting", "Preempted", "Evicted", "NodeNotReady", "TaintManagerEviction")
"""Reasons of Events that take a pod from its node."""
_RESTARTS = "restarted|recreated|probe"
"""What the kubelet says when it kills one container and starts it again; its pod goes on."""
_SELECT = f"""
WITH listed AS NOT MATERIALIZED (
  SELECT line_number, CASE WHEN "object" IS NULL AND event IS NULL THEN '' ELSE "type" END AS change,
         CASE WHEN items LIKE '[%' THEN TRY(from_json(items, '["JSON"]'))
           ELSE [coalesce("object", event, json_object('kind', coalesce(kind, 'Event'), {_BARE}))] END AS held
  FROM records
),
objects AS NOT MATERIALIZED (
  SELECT line_number, change, unnest(CASE WHEN len(held) > 0 THEN held ELSE ['null'::JSON] END) AS held FROM listed
),
events AS NOT MATERIALIZED (
  SELECT line_number, change, held LIKE '{{%' AS is_object, TRY(from_json(held, '{json.dumps(_SHAPE)}')) AS e
  FROM objects
),
facts AS NOT MATERIALIZED (
  SELECT line_number, change, is_object, e.kind AS object_kind, coalesce(e.involvedObject, e.regarding) AS pod,
         e.reason AS why, coalesce(e.message, e.note, '') AS words,
         nullif(coalesce(e.source.host, e.deprecatedSource.host), '') AS node,
         coalesce(e.firstTimestamp, e.deprecatedFirstTimestamp, e.eventTime) AS at_text
  FROM events
)
SELECT line_number, change, is_object, object_kind, pod.kind AS pod_kind, nullif(pod.uid, '') AS replica_id, node,
       at_text, {instant("at_text")} AS event_at,
       CASE WHEN why = 'Scheduled' THEN 'scheduled'
            WHEN why = 'Pulled' AND coalesce(pod.fieldPath, '') NOT LIKE 'spec.initContainers%'
              AND NOT list_contains({words(SIDECARS)}, regexp_extract(coalesce(pod.fieldPath, ''), '\\{{(.*)\\}}', 1))
              THEN 'image_pulled'
            WHEN why = 'Killing' AND NOT regexp_matches(words, '{_RESTARTS}') THEN 'draining'
            WHEN why IN {_LOST} AND NOT starts_with(words, 'Cancelling') THEN 'draining' END AS event,
       CASE WHEN why IN {_LOST} THEN 'preempted' END AS reason
FROM facts
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    kind = pl.coalesce("object_kind", pl.lit("Event"))
    is_event = kind == "Event"
    is_whole = pl.col("is_object").fill_null(value=False) & ~kind.str.ends_with("List")
    is_shaped = is_whole & (~is_event | pl.col("pod_kind").is_not_null())
    is_of_pod = is_event & (pl.col("pod_kind") == "Pod").fill_null(value=False)
    # Of a bookmark only the version counts.
    is_bookmark = (pl.col("change") == "BOOKMARK").fill_null(value=False)
    instant_text = pl.col("event_at").dt.epoch("us").cast(pl.String)
    return frame.with_columns(
        *first_reason(
            (~is_shaped, "unknown_shape", "no Event of an object"),
            (pl.col("replica_id").is_null(), "missing_replica_id", "involvedObject.uid"),
            (
                pl.col("event_at").is_null() & pl.col("at_text").is_not_null(),
                "bad_value",
                "its time is no instant",
            ),
            (pl.col("event_at").is_null(), "missing_event_at", "firstTimestamp and eventTime"),
        ),
        record_number=record_number(),
        is_ignored=is_bookmark | (is_shaped & ~(is_of_pod & pl.col("event").is_not_null())),
        dedupe_key=pl.concat_str("replica_id", pl.lit("|"), "event", pl.lit("|"), instant_text),
    )


IMPORTER = Importer(
    kind="k8s_event",
    table="raw.replica_events",
    columns=dict.fromkeys(
        (
            "type",
            "kind",
            "reason",
            "message",
            "note",
            "firstTimestamp",
            "deprecatedFirstTimestamp",
            "eventTime",
        ),
        _TEXT,
    )
    | dict.fromkeys(
        ("object", "event", "items", "involvedObject", "regarding", "source", "deprecatedSource"), "JSON"
    ),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(
        frozenset({"kind=EventList", "items"}),
        frozenset({"items[0].involvedObject", "items[0].reason"}),
        frozenset({"items[0].regarding", "items[0].reason"}),
        frozenset({"type", "object.kind=Event", "object.involvedObject"}),
        frozenset({"type", "object.kind=Event", "object.regarding"}),
        frozenset({"event.involvedObject", "event.reason"}),
        frozenset({"involvedObject.uid", "reason"}),
        frozenset({"regarding.uid", "reason"}),
    ),
    rank=11,
)
