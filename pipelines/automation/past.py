"""The warehouse as it would stand had the world ended at an instant: rebuilt apart, never in the live tables.

Only log rows that had landed, and prices, names, contracts, exchange rates, commitments and policies that were known
by then, count. What a later entry corrected is open again, so that the engine needs no other rule for the past.
"""

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import duckdb
import polars as pl

from models.errors import DataError
from models.schemas import table, tables
from pipelines.automation.code_location import build_defs
from pipelines.automation.runner import RunSummary, build, instance_of_this_process
from pipelines.project import Project
from pipelines.quoting import sql_text
from pipelines.steps.reference import reference_frames
from pipelines.steps.routes import project_policy
from pipelines.warehouse.resource import Warehouse, frame

_LANDED = ("ingested_at", "landed_at", "quarantined_at")
"""Columns that say since when a row that landed is known."""
_MONTHS = """
SELECT date_trunc('month', spent_on)::DATE AS month, sum(spend_usd) AS usd
FROM spend(DATE '1970-01-01', DATE '9999-01-01', 'corrected') WHERE spent_on < $until GROUP BY ALL
"""


@dataclass(frozen=True)
class RebuiltPast:
    """A past that was rebuilt: where it stands, what was computed, and (month, dollars then, dollars now)."""

    project: Project
    summary: RunSummary
    months: list[tuple[date, Decimal | None, Decimal | None]]


def rebuild_past(
    live: Project, known_at: datetime, *, on_progress: Callable[[str, str], None] | None = None
) -> RebuiltPast:
    """Build facts, marts and reports of every hour that had ended by `known_at` as known then.

    An earlier rebuild of the same instant is replaced.

    Args:
        live: the project; its warehouse is only read.
        known_at: what was learned later does not count.
        on_progress: told the step and how far it is.

    Raises:
        DataError: nothing had landed by then, or a step failed.
    """
    past = live.as_known(known_at)
    shutil.rmtree(past.own_folder, ignore_errors=True)
    with Warehouse(live).reading() as con:
        landed = con.execute(
            "SELECT count(*) FROM ops.landed_files WHERE landed_at <= ?", [known_at]
        ).fetchone()
        if landed is None or not landed[0]:
            raise DataError(f"Nothing had landed by {known_at:%Y-%m-%d %H:%M:%S} UTC; name a later instant.")
        warehouse = Warehouse(past, on_progress)
        warehouse.prepare()
        _bring_in(con, warehouse, known_at)
    summary = RunSummary()
    definitions = build_defs(project=past, resource_overrides={"warehouse": warehouse})
    with instance_of_this_process(past) as instance:
        build(warehouse, definitions, instance, summary, now=known_at)
    until = known_at.date()
    with Warehouse(live).reading() as now, warehouse.reading() as then:
        months = frame(then, _MONTHS, {"until": until}).join(
            frame(now, _MONTHS, {"until": until}), on="month", how="full", coalesce=True, suffix="_now"
        )
    return RebuiltPast(past, summary, months.sort("month").rows())


def _bring_in(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, known_at: datetime) -> None:
    with warehouse.committing(run_id=str(uuid.uuid4()), job="as_known") as commit:
        for dotted, column in _landed_tables().items():
            columns = "*"
            if "landed_snapshot" in table(dotted).column_names:
                # Snapshots of the live lake say nothing of this one.
                columns = "* REPLACE (0 AS landed_snapshot)"
            query = f"SELECT {columns} FROM {dotted} WHERE {column} <= TIMESTAMPTZ '{known_at.isoformat()}'"
            path = commit.new_file(dotted, "as_known")
            con.execute(f"COPY ({query}) TO {sql_text(path)} (FORMAT parquet)")
            commit.add_files(dotted, [path])
        project = warehouse.project
        for dotted, rows in reference_frames(project).items():
            if dotted != "ref.routing_policy":
                commit.replace(dotted, _known(rows, known_at))
        commit.replace("ref.routing_policy", project_policy(project, as_known_at=known_at).clauses)


def _landed_tables() -> dict[str, str]:
    """Return the tables that a landing fills, each with the column that says since when a row is known."""
    return {
        schema.dotted: column
        for schema in tables().values()
        if schema.schema in {"raw", "ops"} and schema.select is None
        for column in _LANDED
        if column in schema.column_names
    }


def _known(rows: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    """Return the rows that were known, with what ended later still in force."""
    if "known_from" in rows.columns:
        known_from = pl.col("known_from")
        rows = rows.filter(known_from.is_null() | (known_from <= known_at))
    if "known_to" in rows.columns:
        rows = rows.with_columns(pl.when(pl.col("known_to") <= known_at).then("known_to").alias("known_to"))
    return rows
