"""Which replicas lived in a window, and which attempts they may have served."""

from datetime import datetime, timedelta

import polars as pl

from models.costs.deployments import deployed
from models.costs.occupancy import ESTIMATED_SECONDS
from models.costs.ties import tied
from models.lifecycle.live import LIVE_EVENTS
from models.periods import floor_hour
from models.prices.providers import canonical_providers
from models.schemas import table
from models.tiers import DEFAULT_TIER
from pipelines.steps.base import Window
from pipelines.steps.inputs import Inputs

LONGEST_ATTEMPT = timedelta(hours=48)
"""How far before an hour an attempt that ends in it may have started (a batch job takes a day)."""


def live_events(inputs: Inputs, window: Window) -> pl.DataFrame:
    """Return all events of every replica that lived in a window, and of others that bear its id or are of its group.

    Only what an event with a deployment names is a replica.
    """
    return inputs.query(LIVE_EVENTS, window.span)


MAY_BE_POOLED = "(replica_id IS NOT NULL OR route IN (SELECT DISTINCT deployment FROM core.replica_events))"


def attempts(inputs: Inputs, window: Window, *, where: str = "true") -> pl.DataFrame:
    """Return the attempts that started or were still running in a window, as deployments.yml reads their names.

    One without an end ran for a minute.

    Args:
        inputs: where they are read.
        window: whole hours.
        where: a condition that the lake's rows must meet; what is held in memory comes whole.
    """
    running = _still_running(inputs, window, where)
    started = inputs.rows("core.requests", window.start, window.end, where=where)
    if running is not None:
        schema = table("core.requests")
        started = pl.concat([schema.conform(rows.lazy()) for rows in (running, started)]).collect()
    return deployed(started, inputs.whole("ref.deployments"), as_known_at=window.now)


_BEFORE = "started_at < $start AND started_at >= $early"


def _runs_on(start: datetime) -> str:
    """Return SQL of whether an attempt was still running at an instant."""
    # Instants are counted in microseconds: DuckDB adds to one by way of a calendar, which takes ten times as long.
    return f"""coalesce(epoch_us(finished_at),
      epoch_us(started_at) + ((coalesce(queue_seconds, 0) + {ESTIMATED_SECONDS}) * 1e6)::BIGINT)
      >= epoch_us(TIMESTAMPTZ '{start}')"""


def _still_running(inputs: Inputs, window: Window, where: str) -> pl.DataFrame | None:
    """Return the attempts that started before a window and were running at its start, None without any.

    Most ended within the hour, so the first is looked up by three columns before all columns of later ones are read.
    """
    first = inputs.query(
        f"SELECT min(started_at) FROM core.requests WHERE {_BEFORE} AND {_runs_on(window.start)} AND {where}",
        {"start": window.start, "early": window.start - LONGEST_ATTEMPT},
    ).item()
    if first is None:
        return None
    runs_on = f"{_runs_on(window.start)} AND {where}"
    near = inputs.rows("core.requests", floor_hour(first), window.start, where=runs_on)
    span = {"start": window.start, "early": first}
    return inputs.query(f"FROM near WHERE {_BEFORE} AND {runs_on}", span, frames={"near": near})


def first_running(inputs: Inputs, window: Window, *, since: datetime) -> datetime | None:
    """Return the first hour of the landed attempts that may still have run when a window began, None without any.

    The record that tells of an end may have begun later than its attempt, by the dedupe window.

    Args:
        inputs: where landed records are read.
        window: whole hours.
        since: attempts that started earlier are left out.
    """
    reach = inputs.project.dedupe_window
    early = max(since, window.start - LONGEST_ATTEMPT)
    first = inputs.query(
        f"SELECT min(started_at) FROM raw.requests WHERE {_BEFORE} AND {_runs_on(window.start)}",
        {"early": early, "start": window.start + reach},
    ).item()
    return None if first is None else max(early, floor_hour(first - reach))


def parted(inputs: Inputs, window: Window) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the attempts of a window (`attempts`, `pooled`); the steps of a chunk share the result."""
    reads = ("core.requests", "core.replica_events", "ref.deployments", "ref.models")
    return inputs.once("parted", window, reads, lambda: pooled(inputs, attempts(inputs, window)))


def pooled(inputs: Inputs, running: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part attempts into those that ran on a pool, and the others (models/costs/ties.py).

    A tier that no record states is the default one, but only after that: beside provisioned capacity `default` is
    another tier.
    """
    replicas = inputs.query(
        "SELECT DISTINCT replica_id, deployment, provider, chip FROM core.replica_events WHERE deployment IS NOT NULL"
    )
    on, off = (
        (running.clear(), running)
        if replicas.is_empty()
        else tied(running, canonical_providers(replicas.lazy()).collect(), inputs.whole("ref.models"))
    )
    tier = pl.col("service_tier").fill_null(DEFAULT_TIER)
    return on.with_columns(tier), off.with_columns(tier)
