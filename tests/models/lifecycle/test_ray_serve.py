"""Ray Serve's own lines, of a run of ray 2.60 whose node was in New York; one replica crashed, two were scaled away."""

import polars as pl

from tests.models.logs.reading import read_records
from tests.pipelines.landing.test_fuzz import land_alone

OF = "Replica(id='{}', deployment='llm', app='chat')"
_TOOK = "(PID: 22358). Replica constructor, reconfigure method, and initial health check took 1.5s."
_SAID = (
    (
        "21:47,567",
        "Deploying new version of Deployment(name='llm', app='chat') (initial target replicas: 1).",
    ),
    ("21:47,679", "Adding 1 replica to Deployment(name='llm', app='chat')."),
    ("21:47,680", f"Starting {OF.format('upns4ao3')}."),
    ("21:51,479", f"{OF.format('upns4ao3')} started successfully on node 'd20cfd0d' after 3.8s {_TOOK}"),
    (
        "21:54,873",
        "Upscaling Deployment(name='llm', app='chat') from 1 to 3 replicas. Current ongoing requests: 6.00.",
    ),
    ("21:54,979", f"Starting {OF.format('rxl6ywmw')}."),
    ("22:01,649", f"{OF.format('rxl6ywmw')} started successfully on node 'd20cfd0d' after 6.7s {_TOOK}"),
    ("22:08,396", f"Replica {OF.format('rxl6ywmw')} failed health check, stopping it."),
    ("22:08,396", f"Stopping {OF.format('rxl6ywmw')} (currently ReplicaState.RUNNING)."),
    ("22:08,399", f"{OF.format('rxl6ywmw')} is stopped."),
    ("22:08,400", f"Starting {OF.format('wmi7hyik')}."),
    ("22:13,356", f"Stopping {OF.format('wmi7hyik')} (currently ReplicaState.STARTING)."),
    ("22:14,881", f"{OF.format('wmi7hyik')} is stopped."),
    ("22:18,239", f"Stopping {OF.format('upns4ao3')} (currently ReplicaState.RUNNING)."),
    ("22:20,328", f"{OF.format('upns4ao3')} is stopped."),
)
CONTROLLER = [f"INFO 2026-11-02 06:{at} controller 21700 -- {said}" for at, said in _SAID]
LIVES = [
    ("upns4ao3", "requested", "11:21:47.680", "deploy"), ("upns4ao3", "scheduled", "11:21:49.979", None),
    ("upns4ao3", "ready", "11:21:51.479", None), ("rxl6ywmw", "requested", "11:21:54.979", "scale_up"),
    ("rxl6ywmw", "scheduled", "11:22:00.149", None), ("rxl6ywmw", "ready", "11:22:01.649", None),
    ("rxl6ywmw", "failed", "11:22:08.396", "crash"), ("rxl6ywmw", "draining", "11:22:08.396", None),
    ("rxl6ywmw", "stopped", "11:22:08.399", None), ("wmi7hyik", "requested", "11:22:08.400", "crash"),
    ("wmi7hyik", "failed", "11:22:13.356", None), ("wmi7hyik", "stopped", "11:22:14.881", None),
    ("upns4ao3", "draining", "11:22:18.239", None), ("upns4ao3", "stopped", "11:22:20.328", None),
]  # fmt: skip
ACCESS = [
    "INFO 2026-11-02 06:21:49,673 chat_llm upns4ao3 -- Started initializing replica.",
    "INFO 2026-11-02 06:21:51,837 chat_llm upns4ao3 req-one -- GET /v1 200 203.6ms",
    "INFO 2026-11-02 06:21:51,839 proxy 192.0.2.2 req-one -- GET /v1 200 209.6ms",
    "WARNING 2026-11-02 06:22:06,099 proxy 192.0.2.2 req-die -- Request failed: The actor died unexpectedly.",
    "\tclass_name: ServeReplica:chat:llm",
    "INFO 2026-11-02 06:22:06,100 proxy 192.0.2.2 req-die -- GET /v1 500 175.8ms",
    "INFO 2026-11-02 06:22:07,000 chat_embed a1b2c3d4 req-one -- CALL /v1 OK 12.0ms",
]


def landed(kind: str, lines: list[str]) -> pl.DataFrame:
    """Return what lands of lines of a node in New York."""
    outcome = land_alone(kind, "\n".join(lines).encode(), time_zone="America/New_York")
    assert outcome.bad.height == 0
    return outcome.usable


def test_the_controllers_lines_are_the_lives_of_replicas_in_utc() -> None:
    rows = landed("ray_serve_controller_log", CONTROLLER)
    told = [(row["replica_id"], row["event"], f"{row['event_at']:%H:%M:%S.%f}"[:-3], row["reason"])
            for row in rows.sort("line_number", "record_number").iter_rows(named=True)]  # fmt: skip
    assert told == LIVES
    assert set(rows["deployment"]) == {"chat/llm"}
    assert set(rows.filter(pl.col("event") == "ready")["node"]) == {"d20cfd0d"}


def test_a_request_is_its_replicas_line_or_the_proxys_where_no_replica_answered() -> None:
    rows = landed("ray_serve_access_log", ACCESS).sort("line_number")
    assert rows.select("request_id", "logical_request_id", "replica_id", "status", "error_class").rows() == [
        ("req-one", "req-one", "upns4ao3", "ok", None),
        ("req-die", "req-die", None, "error", "500"),
        ("req-one:a1b2c3d4", "req-one", "a1b2c3d4", "ok", None),
    ]
    assert f"{rows['started_at'][0]:%H:%M:%S.%f} {rows['finished_at'][0]:%H:%M:%S.%f}" == (
        "11:21:51.633400 11:21:51.837000"
    )
    assert set(rows["usage_source"]) == {"missing"}


def test_lines_as_json_have_their_own_instant() -> None:
    line = {
        "asctime": "2026-11-02 06:24:20,032", "levelname": "INFO", "component_name": "controller",
        "component_id": "28624", "timestamp_ns": 1793618660032708000, "message": f"Starting {OF.format('xvzfxrgt')}.",
    }  # fmt: skip
    (row,) = read_records("ray_serve_controller_log", [line]).iter_rows(named=True)
    assert f"{row['event_at']:%H:%M:%S.%f} {row['event']}" == "11:24:20.032708 requested"


def test_a_text_that_is_no_log_of_ray_is_refused() -> None:
    for kind in ("ray_serve_controller_log", "ray_serve_access_log"):
        outcome = land_alone(kind, b"hello\nworld\n")
        assert (outcome.usable.height, outcome.bad["reason"].to_list()) == (0, ["unknown_shape"] * 2)
