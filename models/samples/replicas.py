"""When replicas of the owned fleet live: scaled by the rhythm of the day, lost now and then. Not the bursts."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from models.samples.deployments import DEPLOYMENTS, SampleDeployment
from models.samples.traffic import MICROSECONDS_PER_HOUR, instants, load_of, microseconds_of, midnight
from models.schemas.vocabulary import REPLICA_EVENTS

SECOND = 1_000_000
DRAIN = 45 * SECOND
SHORTEST_READY = 60 * SECOND
LOST_SHARE = 0.12
"""Chance a day that a deployment loses a replica and starts another in its place."""
_LAST_MINUTES = 6
"""The fleet is shut down this long before the period ends, so that no replica outlives the logs."""
_NIGHT_ENDS = 5
_SATURDAY = 5


@dataclass(frozen=True, kw_only=True)
class Life:
    """One life of a replica: the instant of each event in microseconds since the epoch, None where there is none.

    `deployment` is a place in DEPLOYMENTS; `boost` multiplies the traffic that the replica gets.
    """

    deployment: int
    replica_id: str
    reason: str
    requested: int
    scheduled: int
    image_pulled: int
    weights_loaded: int | None = None
    ready: int | None = None
    draining: int | None = None
    stopped: int | None = None
    failed: int | None = None
    failed_reason: str | None = None
    boost: float = 1.0


def phase_ends(rng: np.random.Generator, deployment: SampleDeployment, at: int) -> list[int]:
    """Draw when a start asked for at an instant is scheduled, pulled, loaded and ready; whole milliseconds."""
    load = deployment.loading
    usual = np.array([deployment.waiting, deployment.pulling, load * 0.8, load * 0.2])
    after = np.cumsum(usual * rng.lognormal(0.0, 0.18, size=len(usual)))
    return [at + int(seconds * 1000) * 1000 for seconds in after]


def started(
    rng: np.random.Generator, place: int, at: int, *, replica_id: str, reason: str, until: int
) -> Life:
    """Begin a life at an instant; it drains at `until`, but not before it was ready for a minute."""
    scheduled, pulled, loaded, ready = phase_ends(rng, DEPLOYMENTS[place], at)
    life = Life(
        deployment=place,
        replica_id=replica_id,
        reason=reason,
        requested=at,
        scheduled=scheduled,
        image_pulled=pulled,
        weights_loaded=loaded,
        ready=ready,
    )
    return drained(life, until)


def drained(life: Life, at: int) -> Life:
    """End a life at an instant, but not before it was ready for a minute."""
    draining = max(at, (life.ready or at) + SHORTEST_READY)
    return replace(life, draining=draining, stopped=draining + DRAIN)


def lost(life: Life, at: int, *, reason: str) -> Life:
    """Let a ready replica fail at an instant."""
    return replace(life, draining=None, stopped=None, failed=at, failed_reason=reason)


def replica_name(place: int, number: int) -> str:
    """Name a replica as Kubernetes names a pod; the same number has the same name."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    mixed = (number * 2_654_435_761 + place * 97_777) % 2**32
    suffix = "".join(letters[mixed // len(letters) ** digit % len(letters)] for digit in range(6))
    return f"{DEPLOYMENTS[place].name}-{suffix}"


def background_lives(starts_on: date, *, days: int, seed: int) -> list[Life]:
    """Return the lives of a fleet that scales by the hour, at most one start an hour and deployment."""
    return [
        life
        for place in range(len(DEPLOYMENTS))
        for life in _scaled(np.random.default_rng([seed, 90, place]), place, starts_on, days)
    ]


def _wanted(deployment: SampleDeployment, starts_on: date, hour: int) -> int:
    """Return how many replicas an hour wants; night work runs against the rhythm."""
    day, of_day = starts_on + timedelta(days=hour // 24), hour % 24
    if deployment.task_class == "overnight":
        return deployment.most - 1 if of_day < _NIGHT_ENDS and day.weekday() < _SATURDAY else 0
    return deployment.least + round((deployment.most - deployment.least) * load_of(day, of_day))


def _scaled(rng: np.random.Generator, place: int, starts_on: date, days: int) -> list[Life]:
    deployment = DEPLOYMENTS[place]
    first = microseconds_of(midnight(starts_on))
    end = first + days * 24 * MICROSECONDS_PER_HOUR - _LAST_MINUTES * 60 * SECOND
    running: list[Life] = []
    done: list[Life] = []

    def start(at: int, reason: str) -> None:
        name = replica_name(place, len(running) + len(done))
        running.append(started(rng, place, at, replica_id=name, reason=reason, until=end))

    for turn in range(deployment.least):
        start(first + (turn + 1) * 20 * SECOND, "scale_up")
    for hour in range(days * 24):
        begins = first + hour * MICROSECONDS_PER_HOUR
        at = begins + int(rng.integers(2 * 60_000, 50 * 60_000)) * 1000
        wanted = _wanted(deployment, starts_on, hour)
        if len(running) < wanted:
            start(at, "scale_up" if running else "scale_from_zero")
        elif len(running) > wanted:
            done.append(drained(running.pop(), at))
        elif running and rng.random() < LOST_SHARE / 24 and (running[0].ready or at) + SHORTEST_READY < at:
            reason = "preempted" if deployment.commitment == "spot" else "crash"
            done.append(lost(running.pop(0), at, reason=reason))
            start(at + 3 * SECOND, reason)
    return [*done, *running]


def event_rows(lives: list[Life]) -> pl.DataFrame:
    """Return the lifecycle events of lives as the generic format has them, by instant."""
    rows = []
    for life in lives:
        deployment = DEPLOYMENTS[life.deployment]
        reasons = {"requested": life.reason, "failed": life.failed_reason}
        rows += [
            {
                "replica_id": life.replica_id,
                "deployment": deployment.name,
                "event": event,
                "event_at": getattr(life, event),
                "reason": reasons.get(event),
                "model": deployment.model,
                "chip": deployment.chip,
                "chip_count": deployment.chip_count,
                "provider": deployment.provider,
                "region": deployment.region,
                "commitment": deployment.commitment,
            }
            for event in REPLICA_EVENTS
            if getattr(life, event) is not None
        ]
    frame = pl.DataFrame(rows, infer_schema_length=None).sort("event_at", "replica_id", "event")
    return frame.with_columns(instants(frame.get_column("event_at").to_numpy()).alias("event_at"))
