"""The computed tables as Dagster assets: one multi-asset a grain, each table with its own key, checks and backfills.

Built from the listing of `pipelines/steps`: keys, dependencies, groups, kinds and descriptions derive from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

import dagster as dg

from models import marts
from models.schemas import table, tables
from pipelines.assets.charts import usd_by_day
from pipelines.assets.made import report_partitions
from pipelines.partitions import DAY_FROM_HOURS, DAYS_MADE, ONLY_DUE, days_of, hours_of
from pipelines.project import Project
from pipelines.steps import step_of, steps, steps_of
from pipelines.steps.base import Grain, Read, Window, grain_of
from pipelines.steps.computing import Task, chunks, compute, computed_ahead
from pipelines.steps.staleness import stale_days
from pipelines.warehouse.commit import OvertakenError, newest_snapshot
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.written import days_written_by
from pipelines.workers.chunk import commit_files
from pipelines.workers.engines import computed_apart

JOB_OF: dict[Grain, str] = {"hourly": "facts", "daily": "marts"}
MOST_IN_ONE_RUN: dict[Grain, int] = {"hourly": 168, "daily": 31}
"""Partitions that a run of a backfill takes at most: between two of them what is more urgent has its turn."""
_SHOWN = ("core", "mart")
_PLOTTED = "mart.cost_per_token_daily"
_TRIES = 3
_FRESH: dict[Grain, dg.FreshnessPolicy] = {
    "hourly": dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=6), warn_window=timedelta(hours=3)),
    "daily": dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36), warn_window=timedelta(hours=30)),
}
"""How old the last build of a table may be: hours are closed hourly, business days every morning."""
_MEASURED = {
    "core.request_costs": """sum(effective_usd) AS usd, count(*) FILTER (price_state = 'unpriced') AS unpriced_attempts,
        count(*) FILTER (price_state <> 'unpriced') / greatest(count(*), 1) AS priced_ratio""",
    "core.pool_hours": """sum(billed_usd) AS usd, sum(idle_usd) AS idle_usd,
        sum(serving_usd) / nullif(sum(billed_usd), 0) AS serving_ratio""",
    "mart.cost_per_token_daily": """sum(usage_usd) AS usd, sum(priced_tokens) AS priced_tokens,
        sum(unpriced_tokens) AS unpriced_tokens""",
    "mart.routing_mistakes": "sum(regret_usd) AS regret_usd",
}
"""Figures of a run that the UI shows, and plots from run to run, with each table."""


def asset_tables(grain: Grain) -> list[str]:
    """Return the tables of a grain that are assets: every step's own, and what it also fills of core and mart."""
    return [
        dotted
        for step in steps_of(grain).values()
        for dotted in step.tables
        if dotted == step.table or table(dotted).schema in _SHOWN
    ]


def key_of(dotted: str) -> dg.AssetKey:
    """Return the asset key of a table."""
    return dg.AssetKey(dotted.split("."))


def computed_assets(
    project: Project, *, hourly: dg.PartitionsDefinition[str], daily: dg.PartitionsDefinition[str]
) -> list[dg.AssetsDefinition]:
    """Return the multi-assets of hours and of business days."""
    sources = [dg.AssetKey(["raw", source.name]) for source in project.sources]
    return [_grain_asset("hourly", sources, hourly), _grain_asset("daily", sources, daily)]


def _grain_asset(
    grain: Grain, sources: list[dg.AssetKey], partitions: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{grain}_tables",
        specs=[_spec(dotted, sources) for dotted in asset_tables(grain)],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(MOST_IN_ONE_RUN[grain]),
        pool="lake",
        can_subset=True,
    )
    def computed(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):  # type: ignore[no-untyped-def]  # noqa: ANN202
        selected = {".".join(key.path) for key in context.selected_asset_keys}
        names = tuple(name for name, step in steps_of(grain).items() if selected & {*step.tables})
        now = warehouse.project.known_at or datetime.now(UTC)
        zone = warehouse.project.time_zone
        if grain == "hourly":
            window = Window(*hours_of(context), now, zone)
        else:
            window = Window.of_days(*days_of(context), now=now, time_zone=zone)
        tables_made = [name for name in asset_tables(grain) if name in selected]  # in the order of their flow
        if ONLY_DUE.items() <= context.run.tags.items():
            days = work_off_what_is_due(warehouse, names, window, run_id=context.run.run_id)
            context.instance.add_run_tags(context.run.run_id, {DAYS_MADE: " ".join(map(str, sorted(days)))})
            written = days_written_by(warehouse, context.run.run_id)
            windows = {
                name: Window.of_days(*written[name].bounds, now=now, time_zone=zone)
                for name in tables_made
                if name in written
            }
            counts = {name: one.row_count for name, one in written.items()}
            keys = {key_of(name): written[name].keys if name in written else [] for name in tables_made}
        else:
            counts = work_off(warehouse, names, window, run_id=context.run.run_id)
            windows = dict.fromkeys(tables_made, window)
            keys = {key_of(name): list(context.partition_keys) for name in tables_made}
        figures = figures_of(warehouse, windows)
        made: dict[dg.AssetKey, dict[str, Any]] = {
            key_of(name): {"dagster/row_count": counts.get(name, 0), **figures.get(name, {})}
            for name in tables_made
        }
        if _PLOTTED in windows:
            with warehouse.reading() as con:
                made[key_of(_PLOTTED)]["usd_by_day"] = usd_by_day(con, windows[_PLOTTED])
        report_partitions(context, made, keys)
        for key, metadata in made.items():
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)

    return computed


def figures_of(warehouse: Warehouse, windows: Mapping[str, Window]) -> dict[str, dict[str, float]]:
    """Return dollars, coverage and the like of each table's window; what is not known is left out."""
    found: dict[str, dict[str, float]] = {}
    with warehouse.reading() as con:
        for name, window in windows.items():
            if name not in _MEASURED:
                continue
            is_hourly = grain_of(name) == "hourly"
            bounds = [window.start, window.end] if is_hourly else [window.from_on, window.to_on]
            row = con.execute(
                f"SELECT {_MEASURED[name]} FROM {name} WHERE {table(name).partition} >= $1 "
                f"AND {table(name).partition} < $2",
                bounds,
            )
            names = [column[0] for column in row.description]
            values = row.fetchall()[0]
            found[name] = {
                column: float(value) for column, value in zip(names, values, strict=True) if value is not None
            }
    return found


def _spec(dotted: str, sources: list[dg.AssetKey]) -> dg.AssetSpec:
    step = step_of(dotted)
    schema, name = dotted.split(".")
    is_sql = (files(marts) / f"{name}.sql").is_file()
    return dg.AssetSpec(
        key_of(dotted),
        group_name=schema if schema in _SHOWN else {"hourly": "core", "daily": "mart"}[step.grain],
        deps=upstream(step.inputs, step.grain, sources),
        kinds={"sql" if is_sql else "polars", "duckdb"},
        description=table(dotted).grain + ".",
        freshness_policy=_FRESH[step.grain],
        skippable=True,
    )


def day_keys(names: Iterable[str]) -> list[dg.AssetKey]:
    """Return the assets of steps."""
    tables_of = {dotted for name in names for dotted in steps()[name].tables}
    return [key_of(dotted) for dotted in asset_tables("daily") if dotted in tables_of]


def upstream(reads: Iterable[Read], grain: Grain, sources: list[dg.AssetKey]) -> list[dg.AssetDep]:
    """Return the assets that are read: all sources for `raw`, and each table that is one."""
    names = list(dict.fromkeys(read.table for read in reads))
    computed = {dotted for grain in JOB_OF for dotted in asset_tables(grain)}
    deps = [dg.AssetDep(key) for key in sources if any(name.startswith("raw.") for name in names)]
    for dotted in names:
        if dotted in computed:
            is_finer = grain == "daily" and grain_of(dotted) == "hourly"
            deps.append(dg.AssetDep(key_of(dotted), partition_mapping=DAY_FROM_HOURS if is_finer else None))
        elif dotted.startswith("ref.") and tables()[dotted].select is None:
            deps.append(dg.AssetDep(key_of(dotted)))
    return deps


def _computed_here(warehouse: Warehouse, task: Task, *, run_id: str) -> dict[str, int]:
    """Compute a chunk in this process and commit it; where another machine came first, from what it has written."""
    job = JOB_OF[steps()[task.names[0]].grain]
    tries_left = _TRIES
    while True:
        try:
            with warehouse.committing(run_id=run_id, job=job) as commit:
                with warehouse.reading() as con:
                    made = compute(con, task)
                made.commit_to(commit)
        except OvertakenError:
            tries_left -= 1
            if not tries_left:
                raise
            warehouse.progress(job, "another machine has computed some of it meanwhile; computing again")
        else:
            return made.row_counts()


def work_off_what_is_due(
    warehouse: Warehouse, names: tuple[str, ...], window: Window, *, run_id: str
) -> set[date]:
    """Compute what is out of date of daily steps in a window until nothing is: one mart may change another.

    Returns:
        The days of which anything was out of date.
    """
    days: set[date] = set()
    for _ in names:
        with warehouse.reading() as con:
            found = stale_days(con, warehouse.project, now=window.now)
        due = {name: [on for on in window.days if name in found.get(on, ())] for name in names}
        if not any(due.values()):
            break
        work_off(warehouse, names, window, run_id=run_id, due=due)
        days |= {on for of_step in due.values() for on in of_step}
    return days


def work_off(
    warehouse: Warehouse,
    names: tuple[str, ...],
    window: Window,
    *,
    run_id: str,
    due: Mapping[str, Sequence[date]] | None = None,
) -> dict[str, int]:
    """Compute steps of one grain over a window, chunk by chunk, each in one transaction; return the rows by table.

    Chunks of hours may be computed side by side (`[run]`); a day's marts may rest on those of the day before.

    Args:
        warehouse: the lake.
        names: the steps.
        window: the range.
        run_id: run that it is booked to.
        due: of days, which each step computes. None: all.
    """
    grain = steps()[names[0]].grain
    project = warehouse.project
    workers = project.workers if grain == "hourly" else 1
    with warehouse.reading() as con:
        snapshot = newest_snapshot(con)
        days = None if due is None else {on for of_step in due.values() for on in of_step}
        parts = chunks(con, window, grain, workers=workers, days=days)
        ahead = computed_ahead(con, Task(project, names, window)) if len(parts) > 1 else {}
    is_apart = workers > 1 and len(parts) > 1
    if is_apart:
        sent = project.for_workers()
        tasks = [Task(sent, names, part, ahead, window, snapshot=snapshot) for part in parts]
    else:
        tasks = [Task(project, names, part, ahead, window, due=due) for part in parts]
    counts: dict[str, int] = {}
    with closing(computed_apart(tasks)) if is_apart else nullcontext() as made_apart:
        for done, task in enumerate(tasks, start=1):
            found = None
            if made_apart is not None:
                files = next(made_apart)
                with suppress(OvertakenError):
                    commit_files(warehouse, files, task, run_id=run_id, job=JOB_OF[grain])
                    found = files.row_counts()
            if found is None:
                found = _computed_here(warehouse, replace(task, snapshot=None), run_id=run_id)
            for dotted, count in found.items():
                counts[dotted] = counts.get(dotted, 0) + count
            part = task.window
            unit, size = ("hours", len(part.hours)) if grain == "hourly" else ("days", len(part.days))
            size = size if days is None else len(days & {*part.days})
            warehouse.progress(JOB_OF[grain], f"{size} {unit}, part {done} of {len(parts)}")
    return counts
