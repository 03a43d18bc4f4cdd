"""Bursts of cold starts that are planted in the owned fleet: four incidents, each with its cause."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np

from models.samples.deployments import DEPLOYMENTS
from models.samples.replicas import SECOND, Life, lost, phase_ends, replica_name, started
from models.samples.traffic import MICROSECONDS_PER_HOUR, instants, microseconds_of, midnight

_NUMBERED_FROM = 100_000
"""Replicas of bursts are numbered from here, so that their names differ from the others'."""
_MINUTE = 60 * SECOND


@dataclass(frozen=True, kw_only=True)
class Burst:
    """What was planted: `onset_at` and `ended_at` are the first and last request for a replica, UTC."""

    deployment: str
    cause: str
    onset_at: datetime
    ended_at: datetime
    start_count: int


def planted_bursts(starts_on: date, *, days: int, seed: int) -> tuple[list[Life], list[Burst]]:
    """Return the lives of the planted incidents and what a detector should find, by onset."""
    lives: list[Life] = []
    bursts: list[Burst] = []
    for number, (cause, name, share, hour, plant) in enumerate(_INCIDENTS):
        place = next(place for place, item in enumerate(DEPLOYMENTS) if item.name == name)
        day = starts_on + timedelta(days=min(int(days * share), days - 1))
        onset = microseconds_of(midnight(day)) + int(hour * MICROSECONDS_PER_HOUR)
        found = plant(np.random.default_rng([seed, 91, number]), place, onset)
        asked = instants(np.array([life.requested for life in found], dtype=np.int64)).sort().to_list()
        lives += found
        bursts.append(
            Burst(deployment=name, cause=cause, onset_at=asked[0], ended_at=asked[-1], start_count=len(found))
        )
    return lives, sorted(bursts, key=lambda burst: burst.onset_at)


def _crash_loop(rng: np.random.Generator, place: int, onset: int) -> list[Life]:
    """Restart one replica with growing pauses: out of memory near the end of its load, 14 times."""
    name = replica_name(place, _NUMBERED_FROM)
    lives: list[Life] = []
    at = onset
    for turn in range(14):
        ends = phase_ends(rng, DEPLOYMENTS[place], at)
        failed = ends[-1] - 2 * SECOND
        lives.append(
            Life(
                deployment=place,
                replica_id=name,
                reason="crash" if turn else "scale_up",
                requested=at,
                scheduled=ends[0],
                image_pulled=ends[1],
                failed=failed,
                failed_reason="crash",
            )
        )
        at = failed + min(10 * 2**turn, 60) * SECOND
    return lives


def _scale_from_zero(rng: np.random.Generator, place: int, onset: int) -> list[Life]:
    """Stop the only replica a minute after it is ready and start it again for the next call, 12 times."""
    lives: list[Life] = []
    at = onset
    for turn in range(12):
        name = replica_name(place, _NUMBERED_FROM + turn)
        life = started(rng, place, at, replica_id=name, reason="scale_from_zero", until=0)
        lives.append(replace(life, boost=25.0))
        at = (life.stopped or at) + int(rng.integers(5, 60)) * SECOND
    return lives


def _deploy(rng: np.random.Generator, place: int, onset: int) -> list[Life]:
    """Roll out three replicas, and again after each of four failed health checks; the last ones stay an hour."""
    rounds, width = 5, 3
    lives: list[Life] = []
    for turn in range(rounds):
        at = onset + turn * 14 * _MINUTE
        stays = 60 if turn == rounds - 1 else 9
        for replica in range(width):
            name = replica_name(place, _NUMBERED_FROM + turn * width + replica)
            asked = at + replica * 20 * SECOND
            until = asked + stays * _MINUTE
            lives.append(started(rng, place, asked, replica_id=name, reason="deploy", until=until))
    return lives


def _preemption(rng: np.random.Generator, place: int, onset: int) -> list[Life]:
    """Lose two spot replicas to the vendor a few minutes after each start, six times."""
    lives: list[Life] = []
    for replica in range(2):
        at = onset + replica * 90 * SECOND
        for turn in range(6):
            name = replica_name(place, _NUMBERED_FROM + turn * 2 + replica)
            life = started(rng, place, at, replica_id=name, reason="preempted", until=0)
            failed = (life.ready or at) + int(rng.integers(120, 420)) * SECOND
            lives.append(lost(life, failed, reason="preempted"))
            at = failed + 4 * SECOND
    return lives


_Plant = Callable[[np.random.Generator, int, int], list[Life]]
_INCIDENTS: tuple[tuple[str, str, float, float, _Plant], ...] = (
    ("crash_loop", "llama-70b-chat", 0.5, 2.2, _crash_loop),
    ("scale_from_zero", "deepseek-r1-reason", 0.65, 1.1, _scale_from_zero),
    ("preemption", "llama-70b-night", 0.75, 3.1, _preemption),
    ("deploy", "qwen-32b-code", 0.82, 14.3, _deploy),
)
"""Cause, deployment, share of the period that has passed by then, UTC hour, what happens."""
