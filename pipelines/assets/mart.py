"""mart/* and ops/coverage by business date, and the published file."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import duckdb
import polars as pl

from models.cold_starts.bursts import DAYS_BEFORE, HISTORY_DAYS, cold_start_bursts
from models.cold_starts.starts import cold_starts
from models.costs.notices import with_deployments
from models.costs.weight_estimates import WINDOW_DAYS, prefill_weights
from models.costs.weights import load_weights
from models.marts import mart_sql
from models.periods import business_day_bounds
from models.schemas import table
from pipelines.assets.routing import judge_days, project_policy
from pipelines.checks.expectations import build_data_docs
from pipelines.partitions import DAY_FROM_HOURS, days_of
from pipelines.warehouse.commit import Commit
from pipelines.warehouse.publish import publish
from pipelines.warehouse.resource import Warehouse, days_between, frame

START_LOOKBACK = timedelta(hours=7)
"""How far before a day losses and usual traffic are looked at, to tell why replicas were started."""
LONGEST_WAIT = timedelta(hours=1)
"""How long after a day a request may still come that waits for one of its starts."""
_WAITING = (
    "source", "request_id", "replica_id", "route", "provider", "region", "served_model", "started_at",
    "first_token_at", "finished_at", "queue_seconds", "status", "user_id", "api_key_id", "tenant",
    "is_gateway_cache_hit",
)  # fmt: skip
"""What tells of a request whether it waited for a replica."""

Work = Callable[[Warehouse, duckdb.DuckDBPyConnection, Commit, date, date], int]


def waiting_requests(requests: str, *, events: str) -> str:
    """Return the query of the requests that a start may have held up, or from which one may be inferred.

    Args:
        requests: table of `core.requests`' columns that have started between `$early` and `$late`.
        events: table of lifecycle events, whose deployments are observed.
    """
    return (
        f"SELECT {', '.join(_WAITING)} FROM {requests} WHERE started_at >= $early AND started_at < $late "
        f"AND (replica_id IS NOT NULL OR queue_seconds IS NOT NULL OR route IN (SELECT deployment FROM {events}) "
        "OR provider IN (SELECT provider FROM ref.gpu_prices))"
    )


def burst_history(con: duckdb.DuckDBPyConnection, *, from_on: date, to_on: date) -> pl.DataFrame:
    """Return the starts on which the bursts of [from_on, to_on) depend: those of the days before and until `to_on`."""
    return frame(
        con,
        "SELECT * REPLACE (CASE WHEN started_on >= $since THEN delayed_users END AS delayed_users) "
        "FROM mart.cold_starts WHERE started_on >= $early AND started_on <= $to_on",
        {
            "early": from_on - timedelta(days=HISTORY_DAYS),
            "since": from_on - timedelta(days=DAYS_BEFORE),
            "to_on": to_on,
        },
    )


def starts_known_from(con: duckdb.DuckDBPyConnection) -> datetime | None:
    """Return when the records of starts begin."""
    known = con.execute("SELECT min(requested_at) FROM mart.cold_starts").fetchone()
    return known[0] if known else None


def mart_assets(daily: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """Return the daily marts."""
    return [
        *(
            _daily_asset((dotted,), _from_sql(dotted), deps, daily)
            for dotted, deps in {
                "mart.cost_per_token_daily": ["core/request_costs", "core/pool_hours"],
                "ops.coverage": ["core/request_costs"],
                "mart.break_even": ["core/request_costs", "core/pool_hours", "ref/token_prices"],
                "mart.cost_by_chip": ["core/request_costs", "core/pool_hours"],
            }.items()
        ),
        _daily_asset(("mart.gpu_bill_daily",), _gpu_bill_daily, ["core/pool_hours"], daily),
        # A count that lands late moves ops/completeness, and with it the days to be done again.
        _daily_asset(
            ("mart.prefill_weights",), _prefill_weights, ["core/pool_hours", "ops/completeness"], daily
        ),
        _daily_asset(
            ("mart.routing_mistakes", "mart.routing_regret_daily", "mart.routing_coverage_daily"),
            _routing_mistakes,
            [
                "core/request_costs",
                "core/requests",
                "core/pool_hours",
                "ref/routing_policy",
                "ref/token_prices",
            ],
            daily,
        ),
        _daily_asset(
            ("mart.cold_starts",),
            _cold_starts,
            ["core/replica_states", "core/requests", "ref/gpu_prices"],
            daily,
        ),
        _daily_asset(("mart.cold_start_bursts",), _cold_start_bursts, ["mart/cold_starts"], daily),
    ]


def _daily_asset(
    tables: tuple[str, ...], work: Work, deps: list[str], daily: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    upstream = [
        dg.AssetDep(
            dg.AssetKey(key.split("/")),
            partition_mapping=DAY_FROM_HOURS if key.startswith(("core/", "ops/")) else None,
        )
        for key in deps
    ]

    @dg.multi_asset(
        name=tables[0].replace(".", "__"),
        specs=[
            dg.AssetSpec(
                dotted.split("."),
                group_name="mart",
                deps=upstream,
                kinds={"sql" if "cost" in dotted else "polars", "duckdb"},
                description=table(dotted).grain + ".",
            )
            for dotted in tables
        ],
        partitions_def=daily,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="lake",
    )
    def mart(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):  # type: ignore[no-untyped-def]  # noqa: ANN202
        from_on, to_on = days_of(context)
        with (
            warehouse.reading() as con,
            warehouse.committing(run_id=context.run.run_id, job="marts") as commit,
        ):
            rows = work(warehouse, con, commit, from_on, to_on)
        warehouse.progress(tables[0], f"{(to_on - from_on).days} days")
        for dotted in tables:
            yield dg.MaterializeResult(
                asset_key=dotted.split("."),
                metadata={"dagster/row_count": rows} if dotted == tables[0] else {},
            )

    return mart


def _from_sql(dotted: str) -> Work:
    """Return the work of a mart that is one SELECT over days."""

    def work(
        _warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, from_on: date, to_on: date
    ) -> int:
        return _select(dotted, con, commit, from_on, to_on)

    return work


def _select(
    dotted: str, con: duckdb.DuckDBPyConnection, commit: Commit, from_on: date, to_on: date, **parameters: int
) -> int:
    span = {"from_on": from_on, "to_on": to_on}
    rows = frame(con, mart_sql(dotted.partition(".")[2]), span | parameters)
    commit.replace(dotted, rows, partitions=days_between(from_on, to_on))
    return rows.height


def _gpu_bill_daily(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, from_on: date, to_on: date
) -> int:
    target = warehouse.project.settings.gpu.target_utilization_percent
    return _select("mart.gpu_bill_daily", con, commit, from_on, to_on, target_percent=target)


def _prefill_weights(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, from_on: date, to_on: date
) -> int:
    project = warehouse.project
    zone = project.time_zone
    first_on = from_on - timedelta(days=WINDOW_DAYS - 1)
    blocks = frame(
        con,
        mart_sql("prefill_blocks"),
        {
            "start": business_day_bounds(first_on, time_zone=zone)[0],
            "end": business_day_bounds(to_on, time_zone=zone)[0],
            "zone": zone,
        },
    )
    weights = load_weights(project.weights_text(), path=project.weights_path)
    days = days_between(from_on, to_on)
    rows = pl.concat(
        prefill_weights(
            blocks, on=on, weights=weights, day_ends_at=business_day_bounds(on, time_zone=zone)[1]
        )
        for on in days
    )
    commit.replace("mart.prefill_weights", rows, partitions=days)
    return rows.height


def _routing_mistakes(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, from_on: date, to_on: date
) -> int:
    project = warehouse.project
    now = project.known_at or datetime.now(UTC)
    days = days_between(from_on, to_on)
    policy = project_policy(project, as_known_at=now)
    weights = load_weights(project.weights_text(), path=project.weights_path)
    judged = judge_days(
        con, days, time_zone=project.time_zone, policy=policy, weights=weights, as_known_at=now
    )
    commit.replace("mart.routing_mistakes", judged.mistakes, partitions=days)
    commit.replace("mart.routing_regret_daily", judged.regret, partitions=days)
    commit.replace("mart.routing_coverage_daily", judged.coverage, partitions=days)
    return judged.mistakes.height


def _cold_starts(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, from_on: date, to_on: date
) -> int:
    zone = warehouse.project.time_zone
    start = business_day_bounds(from_on, time_zone=zone)[0]
    end = business_day_bounds(to_on, time_zone=zone)[0]
    around = {"early": start - START_LOOKBACK, "late": end + LONGEST_WAIT}
    span = {"start": start, "end": end, **around}
    events = frame(
        con,
        "FROM core.replica_events WHERE event_at >= $early AND event_at < $late OR replica_id IN "
        "(SELECT replica_id FROM core.replica_events WHERE event_at >= $start AND event_at < $end)",
        span,
    )
    rows = cold_starts(
        with_deployments(events.lazy()),
        frame(
            con,
            "FROM core.replica_states WHERE state_hour >= $early AND state_hour < $late "
            "OR life_started_at >= $start AND life_started_at < $end",
            span,
        ).lazy(),
        frame(con, waiting_requests("core.requests", events="core.replica_events"), around).lazy(),
        time_zone=zone,
        from_on=from_on,
        to_on=to_on,
    )
    commit.replace("mart.cold_starts", rows, partitions=days_between(from_on, to_on))
    return rows.height


def _cold_start_bursts(
    warehouse: Warehouse, con: duckdb.DuckDBPyConnection, commit: Commit, from_on: date, to_on: date
) -> int:
    # An incident may run past midnight: the day before is settled with the day.
    from_on = max(from_on - timedelta(days=1), warehouse.project.start_on)
    rows = cold_start_bursts(
        burst_history(con, from_on=from_on, to_on=to_on),
        from_on=from_on,
        to_on=to_on,
        time_zone=warehouse.project.time_zone,
        prices=frame(con, "FROM ref.gpu_prices"),
        known_from=starts_known_from(con),
    )
    commit.replace("mart.cold_start_bursts", rows, partitions=days_between(from_on, to_on))
    return rows.height


@dg.asset(
    key=["reports", "published_warehouse"],
    group_name="reports",
    deps=[dg.AssetKey(["mart", "cost_per_token_daily"]), dg.AssetKey(["mart", "cold_start_bursts"])],
    kinds={"duckdb"},
    pool="lake",
)
def published_warehouse(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[Any]:
    """Bring the plain DuckDB file that analysts open up to date, atomically."""
    published = publish(warehouse.project)
    build_data_docs(warehouse.project.reports / "data_docs")
    warehouse.progress("reports/published_warehouse", str(published.path))
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(published.path)),
            "size_bytes": published.size_bytes,
            "replaced_partitions": published.replaced_partitions,
        }
    )
