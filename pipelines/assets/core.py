"""core/*: facts by UTC hour. Each asset reads frames, calls the rooms of models, and commits.

A window of hours is worked off in chunks of bounded rows; look-backs are read from the lake, so any hour can
be done again alone.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import polars as pl

from models.costs.allocation import allocate_requests
from models.costs.intervals import slots
from models.costs.occupancy import ESTIMATED_SECONDS
from models.costs.overhead import other_charges
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.costs.token_costs import price_requests
from models.costs.weights import load_weights
from models.finance.restatements import Restated, restate_charges, restate_pools, restate_requests
from models.lifecycle.dedupe import dedupe_events
from models.logs.dedupe import dedupe
from models.marts import mart_sql
from models.prices.chips import canonical_chips
from models.prices.providers import canonical_providers
from models.schemas import table
from pipelines.partitions import hours_of
from pipelines.project import Project
from pipelines.warehouse.closed import closed_periods
from pipelines.warehouse.commit import Commit
from pipelines.warehouse.resource import Warehouse, frame, hours_between

LONGEST_ATTEMPT = timedelta(hours=48)
"""How far before an hour an attempt that ends in it may have started (a batch job takes a day)."""

Work = Callable[[Warehouse, duckdb.DuckDBPyConnection, Commit, datetime, datetime], int]


def core_assets(project: Project, hourly: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """Return the hourly facts, in the order of their flow."""
    sources = [dg.AssetKey(["raw", source.name]) for source in project.sources]
    books = [dg.AssetKey(["ref", name]) for name in ("token_prices", "gpu_prices", "models")]
    requests, events = dg.AssetKey(["core", "requests"]), dg.AssetKey(["core", "replica_events"])
    states = dg.AssetKey(["core", "replica_states"])
    costs = dg.AssetKey(["core", "request_costs"])
    return [
        _hourly_asset("core.requests", _requests, sources, hourly),
        _hourly_asset("core.replica_events", _replica_events, sources, hourly),
        _hourly_asset("core.replica_states", _replica_states, [events, books[1]], hourly),
        _hourly_asset("core.request_costs", _request_costs, [requests, states, *books], hourly),
        _hourly_asset("core.pool_hours", _pool_hours, [requests, states, books[1]], hourly),
        _hourly_asset(
            "core.other_charges",
            _other_charges,
            [dg.AssetKey(["core", "pool_hours"]), dg.AssetKey(["ref", "overhead"])],
            hourly,
        ),
        _hourly_asset("mart.cost_per_token_hourly", _cost_per_token_hourly, [costs], hourly),
    ]


def _hourly_asset(
    dotted: str, work: Work, deps: list[dg.AssetKey], hourly: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    group, name = dotted.split(".")

    @dg.asset(
        key=[group, name],
        group_name=group,
        deps=deps,
        partitions_def=hourly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={"polars", "duckdb"} if group == "core" else {"sql", "duckdb"},
        pool="lake",
        description=table(dotted).grain + ".",
    )
    def fact(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[Any]:
        rows = changed = done = 0
        from_hour, to_hour = hours_of(context)
        total = len(hours_between(from_hour, to_hour))
        for start, end in warehouse.chunks(from_hour, to_hour):
            with (
                warehouse.reading() as con,
                warehouse.committing(run_id=context.run.run_id, job="facts") as commit,
            ):
                rows += work(warehouse, con, commit, start, end)
            changed += commit.changed
            done += len(hours_between(start, end))
            warehouse.progress(dotted, f"{done} of {total} hours")
        return dg.MaterializeResult(metadata={"dagster/row_count": rows, "changed_partitions": changed})

    return fact


def _requests(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, start: datetime, end: datetime
) -> int:
    window = warehouse.project.dedupe_window
    landed = frame(
        con,
        "SELECT * FROM raw.requests WHERE started_at >= ? AND started_at < ?",
        [start - 2 * window, end + window],
    )
    winners, losers = dedupe(landed.lazy(), window=window, from_hour=start, to_hour=end)
    rows, removed = pl.collect_all([canonical_providers(winners), losers])
    hours = hours_between(start, end)
    commit.replace("core.requests", rows, partitions=hours)
    commit.replace("ops.duplicates", removed, partitions=hours)
    return rows.height


def _replica_events(
    _warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, start: datetime, end: datetime
) -> int:
    landed = frame(con, "SELECT * FROM raw.replica_events WHERE event_at >= ? AND event_at < ?", [start, end])
    winners, losers = dedupe_events(landed.lazy(), from_hour=start, to_hour=end)
    rows, removed = pl.collect_all([canonical_chips(winners), losers])
    hours = hours_between(start, end)
    commit.replace("core.replica_events", rows, partitions=hours)
    commit.replace("ops.event_duplicates", removed, partitions=hours)
    return rows.height


def live_events(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """Return all events of every replica that lived in a window, however early or late they are.

    Only what an event with a deployment names is a replica.
    """
    return frame(
        con,
        "SELECT * FROM core.replica_events WHERE replica_id IN ("
        "SELECT replica_id FROM core.replica_events WHERE deployment IS NOT NULL GROUP BY replica_id "
        "HAVING min(event_at) < $end AND "
        "(max(event_at) >= $start OR arg_max(event, event_at) NOT IN ('stopped', 'failed')))",
        {"start": start, "end": end},
    )


def _replica_states(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, start: datetime, end: datetime
) -> int:
    rows = replica_states(
        live_events(con, start, end).lazy(),
        prices=frame(con, "FROM ref.gpu_prices").lazy(),
        time_zone=warehouse.project.time_zone,
        as_known_at=datetime.now(UTC),
        from_hour=start,
        to_hour=end,
        commitments=frame(con, "FROM ref.commitments"),
    )
    commit.replace("core.replica_states", rows, partitions=hours_between(start, end))
    return rows.height


def attempts(
    con: duckdb.DuckDBPyConnection, start: datetime, end: datetime, *, where: str = "true"
) -> pl.DataFrame:
    """Return the attempts that started or were still running in a window; one without an end ran for a minute."""
    return frame(
        con,
        "SELECT * FROM core.requests WHERE started_at < $end AND started_at >= $early AND (started_at >= $start OR "
        "coalesce(finished_at, started_at + to_seconds(coalesce(queue_seconds, 0) + $assumed)) >= $start) "
        f"AND {where}",
        {
            "start": start,
            "end": end,
            "early": start - LONGEST_ATTEMPT,
            "assumed": ESTIMATED_SECONDS,
        },
    )


def pooled(con: duckdb.DuckDBPyConnection, running: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part attempts into those on a known replica or deployment, and the others; a cache hit ran nowhere.

    A replica that no event names is nobody's: its attempts are tied by their route.
    """
    known = frame(
        con, "SELECT DISTINCT replica_id, deployment FROM core.replica_events WHERE deployment IS NOT NULL"
    )
    is_known = pl.col("replica_id").is_in(known.get_column("replica_id").unique().to_list())
    is_routed = pl.col("route").is_in(known.get_column("deployment").unique().to_list())
    is_pooled = (is_known.fill_null(value=False) | is_routed.fill_null(value=False)) & ~pl.col(
        "is_gateway_cache_hit"
    )
    on, off = running.filter(is_pooled), running.filter(~is_pooled)
    return on.with_columns(pl.when(is_known).then("replica_id").alias("replica_id")), off


MAY_BE_POOLED = "(replica_id IS NOT NULL OR route IN (SELECT DISTINCT deployment FROM core.replica_events))"


def _request_costs(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, start: datetime, end: datetime
) -> int:
    project = warehouse.project
    now = datetime.now(UTC)
    on_pools, others = pooled(con, attempts(con, start, end))
    token_rows = price_requests(
        others.lazy(),
        book=frame(con, "FROM ref.token_prices").lazy(),
        models=frame(con, "FROM ref.models").lazy(),
        fx=frame(con, "FROM ref.fx_rates").lazy(),
        gpu_routes=(),
        time_zone=project.time_zone,
        as_known_at=now,
        from_hour=start,
        to_hour=end,
    )
    gpu_rows = allocate_requests(
        on_pools.lazy(),
        stored_states(con, start, end).lazy(),
        rule=project.allocation_rule,
        weights=load_weights(project.weights_text(), path=project.weights_path),
        time_zone=project.time_zone,
        from_hour=start,
        to_hour=end,
        provisional_from=now - project.max_request_duration,
    )
    families = frame(con, "FROM ref.model_families").lazy()
    gpu_rows = gpu_rows.drop("model_family").join(
        families, left_on=pl.col("model").str.to_lowercase(), right_on="name", how="left"
    )
    rows = pl.concat(pl.collect_all([_conformed(token_rows), _conformed(gpu_rows)]))
    rows = _restated(project, con, commit, "core.request_costs", rows, restate_requests, start, end)
    commit.replace("core.request_costs", rows, partitions=hours_between(start, end))
    return rows.height


def _restated(
    project: Project,
    con: duckdb.DuckDBPyConnection,
    commit: Commit,
    dotted: str,
    rows: pl.DataFrame,
    restate: Callable[..., Restated],
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Leave the rows of closed periods as they stand, and book what they should be as corrections."""
    closed = closed_periods(con, project)
    if not closed:
        return rows
    hours = {"start": start, "end": end}
    hour = table(dotted).partition
    restated = restate(
        frame(con, f"FROM {dotted} WHERE {hour} >= $start AND {hour} < $end", hours),
        table(dotted).conform(rows.lazy()).collect(),
        frame(con, "FROM core.adjustments WHERE accrued_hour >= $start AND accrued_hour < $end", hours),
        closed=closed,
        booked_on=datetime.now(ZoneInfo(project.time_zone)).date(),
    )
    commit.append("core.adjustments", restated.adjustments)
    return restated.rows


def _conformed(rows: pl.LazyFrame) -> pl.LazyFrame:
    return table("core.request_costs").conform(rows, fill=True)


def stored_states(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """Return what the ledger holds of the replicas' hours in a window."""
    return frame(con, "FROM core.replica_states WHERE state_hour >= ? AND state_hour < ?", [start, end])


def _pool_hours(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, start: datetime, end: datetime
) -> int:
    rows = pool_hours(
        live_events(con, start, end).lazy(),
        stored_states(con, start, end).lazy(),
        pooled(con, attempts(con, start, end, where=MAY_BE_POOLED))[0].lazy(),
        prices=frame(con, "FROM ref.gpu_prices").lazy(),
        time_zone=warehouse.project.time_zone,
        as_known_at=datetime.now(UTC),
        from_hour=start,
        to_hour=end,
        commitments=frame(con, "FROM ref.commitments"),
    )
    rows = rows.with_columns(
        is_provisional=pl.col("pool_hour") >= datetime.now(UTC) - warehouse.project.max_request_duration
    )
    rows = _restated(warehouse.project, con, commit, "core.pool_hours", rows, restate_pools, start, end)
    commit.replace("core.pool_hours", rows, partitions=hours_between(start, end))
    return rows.height


def _other_charges(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, start: datetime, end: datetime
) -> int:
    rows = other_charges(
        frame(con, "FROM core.pool_hours WHERE pool_hour >= ? AND pool_hour < ?", [start, end]),
        frame(con, "FROM ref.overhead"),
        slots(from_hour=start, to_hour=end, time_zone=warehouse.project.time_zone),
        as_known_at=datetime.now(UTC),
    )
    rows = _restated(warehouse.project, con, commit, "core.other_charges", rows, restate_charges, start, end)
    commit.replace("core.other_charges", rows, partitions=hours_between(start, end))
    return rows.height


def _cost_per_token_hourly(
    _warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, start: datetime, end: datetime
) -> int:
    rows = frame(con, mart_sql("cost_per_token_hourly"), {"from_hour": start, "to_hour": end})
    commit.replace("mart.cost_per_token_hourly", rows, partitions=hours_between(start, end))
    return rows.height
