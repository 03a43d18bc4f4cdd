"""The checks as Dagster's asset checks: those of one grain are one step, run when the rows of a job are there."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import duckdb
import polars as pl

from models.schemas import table as schema_of
from models.schemas.base import Table
from pipelines.checks.domain import (
    FAILED_IDS_AT_MOST,
    Bounds,
    CheckOutcome,
    DomainCheck,
    Outcome,
    keep_results,
)
from pipelines.checks.expectations import SUITE_CHECK, has_results, judge_slices
from pipelines.checks.listing import domain_checks, suited_tables
from pipelines.checks.rules import Slice
from pipelines.partitions import ONLY_DUE, dagster_previews, days_of, hours_of
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.staged import partition_key
from pipelines.warehouse.written import days_written_by

Grain = Literal["whole", "hourly", "daily"]

_STILL_TRUE = """
WITH asked AS (
  SELECT unnest($tables::VARCHAR[]) AS table_name, unnest($firsts::VARCHAR[]) AS first,
         unnest($lasts::VARCHAR[]) AS last
),
written AS (
  SELECT table_name, first, last, max(changed_at) AS changed_at FROM ops.partitions JOIN asked USING (table_name)
  WHERE first IS NULL OR (partition_key >= first AND partition_key < last) GROUP BY ALL
)
SELECT table_name, arg_max(summary, checked_at) FROM ops.check_results JOIN written USING (table_name)
WHERE check_name = $check AND is_passed AND checked_at >= changed_at
  AND coalesce(partition_from, '') <= coalesce(first, '') AND coalesce(partition_to, '~') >= coalesce(last, '~')
GROUP BY ALL
"""


def asset_checks(
    assets: Collection[str], *, hourly: dg.PartitionsDefinition[str], daily: dg.PartitionsDefinition[str]
) -> list[dg.AssetChecksDefinition]:
    """Return every asset check of the code location, whose assets are named as their tables: a definition a grain."""
    suites: dict[Grain, list[Table]] = {"whole": [], "hourly": [], "daily": []}
    for table in suited_tables(assets):
        suites[_grain(table)].append(table)
    facts = domain_checks()
    return [
        _checks("whole", suites["whole"], [], None),
        _checks("hourly", suites["hourly"], [check for check in facts if check.grain == "hourly"], hourly),
        _checks("daily", suites["daily"], [check for check in facts if check.grain == "daily"], daily),
    ]


def _grain(table: Table) -> Grain:
    if table.partition is None:
        return "whole"
    return "hourly" if isinstance(table.polars_schema[table.partition], pl.Datetime) else "daily"


def _checks(
    grain: Grain,
    suites: Sequence[Table],
    facts: Sequence[DomainCheck],
    partitions_def: dg.PartitionsDefinition[str] | None,
) -> dg.AssetChecksDefinition:
    suite = "Columns, required values, allowed words, bounds and the key; Great Expectations names what breaks them"
    named = [(SUITE_CHECK, table.dotted, suite) for table in suites]
    named += [(check.name, check.table, check.description) for check in facts]
    with dagster_previews():
        specs = [
            dg.AssetCheckSpec(
                name,
                asset=dg.AssetKey(dotted.split(".")),
                description=description,
                partitions_def=partitions_def,
            )
            for name, dotted, description in named
        ]

        @dg.multi_asset_check(name=f"{grain}_checks", specs=specs, can_subset=True)
        def checks(
            context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
        ) -> Iterator[dg.AssetCheckResult]:
            wanted = {(key.name, ".".join(key.asset_key.path)) for key in context.selected_asset_check_keys}
            bounds = _bounds(context, grain, warehouse, {dotted for _, dotted in wanted})
            docs = warehouse.project.reports / "data_docs"
            with warehouse.reading() as con:
                known, new = _suites(
                    con,
                    [
                        table
                        for table in suites
                        if (SUITE_CHECK, table.dotted) in wanted and table.dotted in bounds
                    ],
                    bounds,
                    warehouse,
                )
                new += [
                    CheckOutcome(
                        name=check.name,
                        table=check.table,
                        bounds=its_bounds,
                        outcome=check.outcome(con, warehouse.project.settings, *its_bounds),
                    )
                    for check in facts
                    if (check.name, check.table) in wanted
                    and (its_bounds := bounds.get(check.table)) is not None
                ]
            keep_results(warehouse, new, run_id=context.op_execution_context.run_id)
            warehouse.progress("checks", f"{len(known) + len(new)} of {grain} rows")
            _look_up_together(context, {result.table for result in (*known, *new)})
            for result in (*known, *new):
                yield _asset_check_result(result, docs=docs)

    return checks


def _look_up_together(context: dg.AssetCheckExecutionContext, dotted: Collection[str]) -> None:
    """Let Dagster look up the materializations that results are of: by itself it asks its database for each result."""
    step = context.op_execution_context.get_step_execution_context()
    if not step.has_partition_key:
        keys = [dg.AssetKey(name.split(".")) for name in sorted(dotted)]
        step._data_version_cache._fetch_input_asset_version_info(keys)  # noqa: SLF001


def _bounds(
    context: dg.AssetCheckExecutionContext, grain: Grain, warehouse: Warehouse, dotted: Collection[str]
) -> dict[str, Bounds]:
    """Return the range to judge of each table: the run's, or where it computed what was due, that of the table."""
    if grain == "daily" and ONLY_DUE.items() <= context.op_execution_context.run.tags.items():
        written = days_written_by(warehouse, context.op_execution_context.run_id)
        return {name: written[name].bounds for name in dotted if name in written}
    bounds: Bounds = None
    if grain != "whole":
        bounds = hours_of(context) if grain == "hourly" else days_of(context)
    return dict.fromkeys(dotted, bounds)


def _suites(
    con: duckdb.DuckDBPyConnection,
    suites: Sequence[Table],
    bounds: Mapping[str, Bounds],
    warehouse: Warehouse,
) -> tuple[list[CheckOutcome], list[CheckOutcome]]:
    """Return the results of suites whose rows have not changed since they passed, and the new ones of the others."""
    ranges = [bounds[table.dotted] for table in suites]
    parameters = {
        "tables": [table.dotted for table in suites],
        "check": SUITE_CHECK,
        "firsts": [partition_key(its[0]) if its else None for its in ranges],
        "lasts": [partition_key(its[1]) if its else None for its in ranges],
    }
    true_still = dict(con.execute(_STILL_TRUE, parameters).fetchall())
    moved = [table for table in suites if table.dotted not in true_still]
    outcomes = judge_slices(
        con,
        [Slice(table=table, bounds=bounds[table.dotted]) for table in moved],
        docs=warehouse.project.reports / "data_docs",
    )
    known = [
        CheckOutcome(
            name=SUITE_CHECK,
            table=dotted,
            bounds=bounds[dotted],
            outcome=Outcome(is_passed=True, summary=summary),
        )
        for dotted, summary in true_still.items()
    ]
    new = [
        CheckOutcome(name=SUITE_CHECK, table=table.dotted, bounds=bounds[table.dotted], outcome=outcome)
        for table, outcome in zip(moved, outcomes, strict=True)
    ]
    return known, new


def _asset_check_result(result: CheckOutcome, *, docs: Path) -> dg.AssetCheckResult:
    """Return a result in Dagster's terms."""
    outcome = result.outcome
    metadata: dict[str, Any] = {
        "failed_count": outcome.failed_count,
        "failed_ids": outcome.failed_ids[:FAILED_IDS_AT_MOST],
    }
    if result.name == SUITE_CHECK and has_results(docs):
        metadata["data_docs"] = dg.MetadataValue.path(str(docs / "index.html"))
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(schema_of(result.table).dotted.split(".")),
        check_name=result.name,
        passed=outcome.is_passed,
        severity=dg.AssetCheckSeverity.WARN if outcome.severity == "warn" else dg.AssetCheckSeverity.ERROR,
        description=outcome.summary,
        metadata=metadata,
    )
