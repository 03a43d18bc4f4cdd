"""Ray Serve's controller log: when replicas are asked for, placed, ready, drained and gone, and why.

Files `controller_<pid>.log` below `/tmp/ray/session_*/logs/serve/`, as text or JSON (`LoggingConfig(encoding="JSON")`).
Text has the node's local time and names no zone: state it as `time_zone` of the source; JSON has `timestamp_ns`. A
replica is placed as long before it is ready as its constructor took; one that is stopped while it starts is a start
that failed. No line names the accelerator: state `chip`,
`chip_count`, `provider` and `region` in the source. A deployment is `app/deployment`, of the app `default` its name.
Source: a run of ray 2.60 (tests/models/lifecycle/test_ray_serve.py holds its lines).
"""

import polars as pl

from models.records import LOCAL_INSTANT, Importer, first_reason, instant, record_number

_REPLICA = r"Replica\(id=''([^'']+)'', deployment=''([^'']+)'', app=''([^'']*)''\)"
_DEPLOYMENT = r"Deployment\(name=''([^'']+)'', app=''([^'']*)''\)"
_LOCAL = r"^[A-Z]+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d+) controller \S+ -- (.*)$"
_FIELDS = ("line", "message", "asctime", "timestamp_ns", "component_name")
_SELECT = f"""
WITH lines AS NOT MATERIALIZED (
  SELECT line_number, component_name, timestamp_ns,
         coalesce(message, regexp_extract(line, '{_LOCAL}', 2)) AS said,
         coalesce(asctime, regexp_extract(line, '{_LOCAL}', 1)) AS written, line
  FROM records
),
parsed AS NOT MATERIALIZED (
  SELECT *, regexp_extract(said, '{_REPLICA}', ['id', 'deployment', 'app']) AS replica,
         regexp_extract(said, '{_DEPLOYMENT}', ['deployment', 'app']) AS named,
         CASE WHEN timestamp_ns IS NULL THEN {LOCAL_INSTANT} ELSE {instant("timestamp_ns")} END AS logged_at
  FROM lines
),
messages AS NOT MATERIALIZED (
  SELECT *, coalesce(nullif(replica.deployment, ''), nullif(named.deployment, '')) AS deployment_name,
         coalesce(nullif(replica.app, ''), nullif(named.app, '')) AS app,
         CASE WHEN starts_with(said, 'Starting Replica(') THEN 'requested'
              WHEN contains(said, ' started successfully on node ') THEN 'ready'
              WHEN starts_with(said, 'Stopping Replica(') AND contains(said, 'ReplicaState.STARTING') THEN 'failed'
              WHEN starts_with(said, 'Stopping Replica(') OR starts_with(said, 'Migrating Replica(') THEN 'draining'
              WHEN contains(said, ' failed health check') THEN 'failed'
              WHEN regexp_matches(said, 'Replica\\(.*\\) is stopped\\.$') THEN 'stopped' END AS event,
         CASE WHEN regexp_matches(said, '^Upscaling Deployment\\(.* from 0 to ') THEN 'scale_from_zero'
              WHEN starts_with(said, 'Upscaling Deployment(') THEN 'scale_up'
              WHEN starts_with(said, 'Deploying new version of ') THEN 'deploy'
              WHEN contains(said, ' failed health check') THEN 'crash'
              WHEN starts_with(said, 'Migrating Replica(') THEN 'preempted' END AS cause
  FROM parsed
),
caused AS NOT MATERIALIZED (
  SELECT *, last_value(cause IGNORE NULLS) OVER (
    PARTITION BY deployment_name, app ORDER BY line_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS why
  FROM messages
),
events AS NOT MATERIALIZED (
  SELECT *, CASE WHEN event = 'ready' THEN [
      {{'event': 'scheduled', 'at': logged_at - to_microseconds(CAST(round(1e6 * coalesce(TRY_CAST(
        regexp_extract(said, 'initial health check took ([0-9.]+)s', 1) AS DOUBLE), 0)) AS BIGINT))}},
      {{'event': 'ready', 'at': logged_at}}] ELSE [{{'event': event, 'at': logged_at}}] END AS found
  FROM caused
)
SELECT line_number, component_name, written, timestamp_ns, coalesce(said <> '', false) AS is_line,
       event IS NULL AS is_other, nullif(replica.id, '') AS replica_id,
       CASE WHEN coalesce(app, 'default') IN ('default', '') THEN deployment_name
            ELSE concat_ws('/', app, deployment_name) END AS deployment,
       nullif(regexp_extract(said, 'on node ''([^'']+)''', 1), '') AS node,
       one.event AS event, one.at AS event_at,
       CASE WHEN one.event = 'requested' OR cause IN ('preempted', 'crash') THEN why END AS reason
FROM (SELECT *, unnest(found) AS one FROM events)
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_foreign = (pl.col("component_name") != "controller").fill_null(value=False)
    at = pl.col("event_at").dt.epoch("us").cast(pl.String)
    return frame.with_columns(
        *first_reason(
            (~pl.col("is_line"), "unknown_shape", "no line of a controller"),
            (pl.col("replica_id").is_null(), "missing_replica_id", "the line names no replica"),
            (pl.col("event_at").is_null(), "missing_event_at", "the line's time"),
        ),
        record_number=record_number(),
        # A message of several lines, such as a traceback, goes on below its head.
        is_ignored=(pl.col("is_line") & (pl.col("is_other") | is_foreign))
        | (~pl.col("is_line") & pl.col("is_line").any()),
        dedupe_key=pl.concat_str("replica_id", pl.lit("|"), "event", pl.lit("|"), at),
    )


IMPORTER = Importer(
    kind="ray_serve_controller_log",
    table="raw.replica_events",
    columns=dict.fromkeys(_FIELDS, "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "text"),
    signature=(frozenset({"component_name=controller", "asctime", "message"}),),
    rank=30,
    is_joint=True,
    is_local_time=True,
)
