"""Lifecycle events become the lives of replicas: intervals of one state each, mended where events are not clean."""

from datetime import timedelta

import polars as pl

from models.costs.groups import GROUP, grouped
from models.costs.notices import parted, with_notices
from models.costs.rates import UNKNOWN, units_held
from models.schemas.vocabulary import NONE_DEPLOYMENT, REPLICA_EVENTS

_ASSUMED: dict[str, str | int] = {
    "provider": UNKNOWN,
    "region": UNKNOWN,
    "chip": UNKNOWN,
    "commitment": "on_demand",
    "chip_count": 1,
}
_FACTS = ("deployment", *_ASSUMED, "fraction", "model", "node")
_OF_NODE = ("provider", "region", "chip", "commitment")
"""What a replica has of its node where no event of its own states it."""
_IDENTITY = ("replica", "replica_id", "source", "cluster")
_LIFE = ("replica", "life")
_KUBERNETES = "k8s_"
"""How the kinds begin whose replicas are named by a uid, which no other cluster has."""
INTERRUPTED = "preempted"
"""The reason of an end that the vendor made."""
LARGEST_SKEW = timedelta(seconds=60)
"""How far the clocks of two nodes are taken to differ at most; what is further out of order is a wrong event."""
_TICK = timedelta(microseconds=1)
_LATE = ("scheduled", "image_pulled", "weights_loaded", "ready")
_BEGINNINGS = ("requested", "scheduled", "image_pulled", "weights_loaded", "ready")


def replica_intervals(events: pl.LazyFrame) -> pl.DataFrame:
    """Return every interval of every life of every replica.

    requested -> scheduled is waiting, -> image_pulled pulling, -> ready loading (weights_loaded lies inside),
    -> draining ready, -> stopped draining. An absent event folds its phase into the next. The phases of a start
    that ends in `failed`, and the time from `failed` to `stopped`, are in state `failed`. A start event after
    `stopped` or `failed`, or `requested` after `ready`, begins another life. Of duplicates the first counts; an
    event later than one that must follow it is moved to that one: as `clock_skew`, with its seconds, up to
    LARGEST_SKEW, beyond it as `out_of_order`. An event later than when it was read is `clock_ahead`. All repairs are
    named in `repair`. Events without a deployment only refine the lives that others name (`notices.py`).

    A replica is its source, its cluster or else its region, and its id; a pod of Kubernetes is its uid. A fact is what
    the first event of the life that knows it states, else what its node has (`_OF_NODE`), else a default, which is
    named; facts of one life that contradict each other are named as `several_...`. A commitment is that of the node
    where it states one.

    Args:
        events: `core.replica_events` of the replicas, whole lives.

    Returns:
        `replica` (its identity), `replica_id, source, cluster, life, life_started_at`, pool dimensions, `model, node,
        chip_count, fraction, units` (parts of accelerators), `interrupted_after` (how long a life ran that the vendor
        ended), `state`, `phase` (where a failed start was), `started_at`, `ended_at` (NULL while alive), `is_last`
        (ends its life), `reason`, `repair`.
    """
    lives = _lives(events)
    at = {event: pl.col(f"{event}_at") for event in REPLICA_EVENTS}
    end = pl.col("ended_at")
    reached = pl.coalesce(at["ready"], at["draining"], at["failed"], end)
    is_loading = pl.any_horizontal(
        at[event].is_not_null() for event in ("image_pulled", "weights_loaded", "ready", "draining")
    )
    before_loading = pl.coalesce(at["scheduled"], at["requested"])
    loading_from = pl.coalesce(at["image_pulled"], before_loading, at["weights_loaded"])
    is_ready_lost = at["ready"].is_null() & at["draining"].is_not_null()
    is_unready = at["ready"].is_null() & at["draining"].is_null()
    has_scheduled, has_pulled = at["scheduled"].is_not_null(), at["image_pulled"].is_not_null()
    phases = {
        "waiting": (at["requested"], pl.coalesce(at["scheduled"], reached), has_scheduled | ~is_loading),
        "pulling": (
            before_loading,
            pl.coalesce(at["image_pulled"], reached),
            has_pulled | (has_scheduled & ~is_loading),
        ),
        "loading": (loading_from, reached, is_loading & ~is_ready_lost),
        "ready": (
            pl.coalesce(at["ready"], loading_from),
            pl.coalesce(at["draining"], at["failed"], end),
            ~is_unready,
        ),
        "draining": (at["draining"], pl.coalesce(at["failed"], end), at["draining"].is_not_null()),
        "failed": (at["failed"], end, at["failed"].is_not_null()),
    }
    begun_by = dict(
        zip(phases, ("requested", "scheduled", "image_pulled", "ready", "draining", "failed"), strict=True)
    )
    is_failed_start = at["failed"].is_not_null() & is_unready
    is_interrupted = pl.any_horizontal(
        (pl.col(f"{event}_reason") == INTERRUPTED).fill_null(value=False)
        for event in ("draining", "failed", "stopped")
    )
    held_from = pl.coalesce(at["scheduled"], loading_from, at["ready"], at["draining"])
    parts = [
        lives.filter(is_present & starts_at.is_not_null()).select(
            *_IDENTITY,
            "life",
            *_FACTS,
            *GROUP,
            units_held().alias("units"),
            pl.when(is_interrupted).then(end - held_from).alias("interrupted_after"),
            (pl.when(is_failed_start).then(pl.lit("failed")).otherwise(pl.lit(phase))).alias("state"),
            pl.lit(phase).alias("phase"),
            starts_at.alias("started_at"),
            ends_at.alias("ended_at"),
            pl.col("ended_at").alias("life_ended_at"),
            pl.coalesce(f"{begun_by[phase]}_reason", "first_reason").alias("reason"),
            pl.when(pl.lit(phase == "ready") & is_ready_lost)
            .then(
                pl.concat_str([pl.col("repair"), pl.lit("missing_ready")], separator=", ", ignore_nulls=True)
            )
            .otherwise("repair")
            .alias("repair"),
        )
        for phase, (starts_at, ends_at, is_present) in phases.items()
    ]
    is_kept = pl.col("ended_at").is_null() | (pl.col("ended_at") > pl.col("started_at"))
    return grouped(
        pl.concat(parts)
        .filter(is_kept)
        .sort(*_LIFE, "started_at")
        .with_columns(
            (
                pl.col("life_ended_at").is_not_null()
                & (pl.col("ended_at") == pl.col("life_ended_at"))
                & (pl.int_range(pl.len()).over(*_LIFE) == pl.len().over(*_LIFE) - 1)
            ).alias("is_last"),
            pl.col("started_at").min().over(*_LIFE).alias("life_started_at"),
        )
        .drop("life_ended_at")
    )


def _numbered(events: pl.LazyFrame) -> pl.LazyFrame:
    """Number the lives of each replica."""
    event = pl.col("event")
    is_terminal = event.is_in(["stopped", "failed"])
    ended_before = (
        pl.when(event != "draining").then(is_terminal).forward_fill().shift(1).over("replica")
    ).fill_null(value=False)
    previous = event.shift(1).over("replica")
    begins = (event.is_in(_BEGINNINGS) & ended_before) | (
        (event == "requested") & previous.is_in(["ready", "draining"]).fill_null(value=False)
    )
    ranks = event.replace_strict(
        list(REPLICA_EVENTS), list(range(len(REPLICA_EVENTS))), return_dtype=pl.Int32
    )
    numbered = (
        events.with_columns(ranks.alias("rank"))
        .sort("replica", "event_at", "rank", "file_hash", "line_number", "record_number")
        .with_columns(begins.alias("begins"))
        .with_columns(pl.col("begins").cast(pl.Int32).cum_sum().over("replica").alias("life"))
    )
    return _without_echoes(numbered)


def _without_echoes(numbered: pl.LazyFrame) -> pl.LazyFrame:
    """Give start events that a fast clock put just after their life's stop back to that life.

    Left alone they would begin a life that never ends. A life is such an echo when it holds nothing but start
    events other than `requested`, none of which the life before it has, and begins within LARGEST_SKEW of its stop.
    """
    at = pl.col("event_at")
    is_stop = pl.col("event") == "stopped"
    lives = (
        numbered.group_by(_LIFE)
        .agg(
            pl.col("event").unique().alias("names"),
            at.min().alias("first_at"),
            at.filter(is_stop).min().alias("stopped_at"),
        )
        .sort(_LIFE)
    )
    before = {name: pl.col(name).shift(1).over("replica") for name in ("names", "stopped_at")}
    is_late = pl.col("names").list.set_difference(list(_LATE)).list.len() == 0
    is_new = pl.col("names").list.set_intersection(before["names"]).list.len() == 0
    is_near = pl.col("first_at") - before["stopped_at"] <= LARGEST_SKEW
    echoes = (is_late & is_new & is_near).fill_null(value=False).cast(pl.Int32).cum_sum().over("replica")
    merged = lives.select(*_LIFE, (pl.col("life") - echoes).alias("true_life"))
    return numbered.join(merged, on=_LIFE, how="left", maintain_order="left").with_columns(
        pl.col("true_life").alias("life")
    )


def _lives(events: pl.LazyFrame) -> pl.DataFrame:
    """Return one row per life: the instant of each event, when it ended, the replica's facts and repairs."""
    is_event = {event: pl.col("event") == event for event in REPLICA_EVENTS}
    stated, notices = parted(events)
    rows = (
        _numbered(_identified(stated))
        .group_by(_LIFE)
        .agg(
            pl.col("replica_id", "cluster").drop_nulls().first(),
            pl.col("source").min(),
            *(pl.col("event_at").filter(test).min().alias(f"{event}_at") for event, test in is_event.items()),
            *(
                pl.col("reason").filter(test).first().alias(f"{event}_reason")
                for event, test in is_event.items()
            ),
            pl.col("reason").drop_nulls().first().alias("first_reason"),
            pl.col("event").is_duplicated().any().alias("has_duplicates"),
            (pl.col("event_at") - pl.col("ingested_at")).max().alias("ahead"),
            pl.col("event_at").min().alias("first_at"),
            *(pl.col(fact).drop_nulls().first() for fact in (*_FACTS, *GROUP)),
            *(
                (pl.col(fact).drop_nulls().n_unique() > 1).alias(f"several_{fact}s")
                for fact in (*_ASSUMED, "fraction")
            ),
        )
        .sort(_LIFE)
        .collect()
    )
    ended = pl.coalesce("stopped_at", "failed_at", pl.col("first_at").shift(-1).over("replica"))
    rows = rows.with_columns(
        ended.alias("ended_at"),
        (
            pl.col("stopped_at").is_null()
            & pl.col("failed_at").is_null()
            & pl.col("first_at").shift(-1).over("replica").is_not_null()
        ).alias("has_no_stop"),
    )
    # A container that starts anew on its pod is told a microsecond after its end, to come after it; it left no gap.
    before = pl.col("ended_at").shift(1).over("replica")
    is_at_once = (pl.col("scheduled_at") - before == _TICK).fill_null(value=False)
    rows = rows.with_columns(
        pl.when(is_at_once).then(before).otherwise("scheduled_at").alias("scheduled_at"),
        pl.when(is_at_once).then(before).otherwise("first_at").alias("first_at"),
    )
    rows = _with_nodes(with_notices(rows, notices, largest_skew=LARGEST_SKEW))
    limit = pl.col("ended_at")
    mended: dict[str, pl.Expr] = {}
    for event in reversed(REPLICA_EVENTS[:-2]):
        instant = pl.min_horizontal(f"{event}_at", limit)
        mended[event] = pl.when(pl.col(f"{event}_at").is_not_null()).then(instant)
        limit = pl.min_horizontal(mended[event], limit)
    failed = pl.min_horizontal("failed_at", "ended_at")
    moved = pl.max_horizontal(pl.col(f"{event}_at") - mended[event] for event in mended).fill_null(
        timedelta()
    )
    is_skew = (moved > timedelta()) & (moved <= LARGEST_SKEW)
    seconds = pl.format("clock_skew {} s", (moved.dt.total_microseconds() / 1e6).round(3))
    ahead = pl.format("clock_ahead {} s", (pl.col("ahead").dt.total_microseconds() / 1e6).round(3))
    notes = {
        "duplicate_events": pl.col("has_duplicates"),
        "out_of_order": moved > LARGEST_SKEW,
        "missing_stopped": pl.col("has_no_stop"),
        **{f"assumed_{fact}": pl.col(fact).is_null() for fact in _ASSUMED},
        **{name: pl.col(name) for name in rows.columns if name.startswith("several_")},
        "terms_of_node": pl.col("terms_of_node"),
    }
    named = [pl.when(test).then(pl.lit(name)) for name, test in notes.items()]
    measured = [pl.when(is_skew).then(seconds), pl.when(pl.col("ahead") > timedelta()).then(ahead)]
    repair = pl.concat_str([*named, *measured], separator=", ", ignore_nulls=True)
    return rows.with_columns(
        pl.when(repair != "").then(repair).alias("repair"),
        *(mended[event].alias(f"{event}_at") for event in mended),
        pl.when(pl.col("failed_at").is_not_null()).then(failed).alias("failed_at"),
        *(pl.col(fact).fill_null(value) for fact, value in _ASSUMED.items()),
        pl.col("fraction").fill_null(1),
    )


def _identified(events: pl.LazyFrame) -> pl.LazyFrame:
    """Add `replica`: what tells a replica apart from others that bear its id.

    An event that names no place is of the place that the replica's events name before it; a start's, of the one that
    they name after it.
    """
    place = pl.coalesce("cluster", "region")
    named = ("source", "replica_id")
    before, after = place.forward_fill().over(named), place.backward_fill().over(named)
    is_start = pl.col("event").is_in(_BEGINNINGS)
    known = (
        pl.when(is_start).then(pl.coalesce(place, after, before)).otherwise(pl.coalesce(place, before, after))
    )
    is_uid = pl.col("source_kind").str.starts_with(_KUBERNETES)
    is_node = is_uid & (pl.col("deployment") == NONE_DEPLOYMENT)
    teller = pl.when(~is_uid).then("source").otherwise(pl.lit(""))
    qualified = pl.concat_str(
        teller, known.fill_null(""), pl.col("replica_id"), separator="\x1f", ignore_nulls=False
    )
    return events.sort("source", "replica_id", "event_at").with_columns(
        pl.when(is_uid & ~is_node).then("replica_id").otherwise(qualified).alias("replica")
    )


def _with_nodes(lives: pl.DataFrame) -> pl.DataFrame:
    """Give replicas what their events do not state and their node's do, and always its terms: it is what is rented."""
    nodes = (
        lives.filter(pl.col("deployment") == NONE_DEPLOYMENT)
        .group_by(pl.col("replica_id").alias("first_node"), maintain_order=True)
        .agg(pl.col(fact).drop_nulls().first().alias(f"node_{fact}") for fact in _OF_NODE)
    )
    if nodes.is_empty():
        return lives.with_columns(pl.lit(value=False).alias("terms_of_node"))
    first_node = pl.col("node").str.split(",").list.first().str.strip_chars()
    return (
        lives.with_columns(first_node.alias("first_node"))
        .join(nodes, on="first_node", how="left", maintain_order="left")
        .with_columns(
            (pl.col("commitment") != pl.col("node_commitment")).fill_null(value=False).alias("terms_of_node"),
            *(pl.coalesce(fact, f"node_{fact}").alias(fact) for fact in _OF_NODE if fact != "commitment"),
            pl.coalesce("node_commitment", "commitment").alias("commitment"),
        )
        .drop("first_node", *(f"node_{fact}" for fact in _OF_NODE))
    )
