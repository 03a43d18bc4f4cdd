"""Maintenance keeps the lake small: figures, readers and closed months stay as they are."""

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from pipelines.automation.old_runs import forget_old_runs
from pipelines.automation.runner import dagster_home
from pipelines.project import Project
from pipelines.warehouse.connect import connect_read_only
from pipelines.warehouse.maintenance import maintain
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.statistics import METADATA
from tests.content_hashes import content_hashes
from tests.pipelines.small import CLOSE_NOVEMBER, gateway_row, nanodollar, query, write_lines

_PARTITIONS = "SELECT table_name, partition_key, row_count, content_hash FROM ops.partitions ORDER BY ALL"


def stored(project: Project) -> list[Path]:
    return sorted((project.folder / "warehouse/data").rglob("*.parquet"))


def test_many_small_commits_stay_few_files_and_a_closed_month_stays_readable(company_copy: Project) -> None:
    project, warehouse = company_copy, Warehouse(company_copy)
    with warehouse.committing(run_id="close", job="close") as commit:
        commit.execute(CLOSE_NOVEMBER)
        commit.execute("UPDATE ops.closed_periods SET snapshot_id = getvariable('commit_snapshot')")
    ((closed,),) = query(project, "SELECT snapshot_id FROM ops.closed_periods")
    rows = warehouse_rows(warehouse)
    counts = []
    with connect_read_only(project) as reader:
        reader.execute("BEGIN")
        seen = reader.execute("FROM core.requests ORDER BY ALL").fetchall()
        for day in range(3):  # A few days of a year, each with what hourly commits leave behind.
            for hour in range(6):
                with warehouse.committing(run_id=f"{day}-{hour}", job="facts") as commit:
                    commit.replace(
                        "core.requests",
                        rows.with_columns(input_uncached_tokens=hour * 10 + day),
                        partitions=rows["started_hour"].unique().to_list(),
                    )
            with warehouse.committing(
                run_id=f"{day}-part", job="facts"
            ) as commit:  # takes rows out of a file
                part = rows.filter(pl.col("started_hour") == pl.col("started_hour").min())
                partitions = part["started_hour"].unique().to_list()
                part = part.with_columns(input_uncached_tokens=day)
                commit.replace("core.requests", part, partitions=partitions)
            maintain(warehouse, keep=timedelta(days=1), now=datetime.now(UTC) + timedelta(days=3 * day))
            counts.append(len(stored(project)))
        # A reader that began before all of it still reads what it read.
        assert reader.execute("FROM core.requests ORDER BY ALL").fetchall() == seen
    before = content_hashes(project.folder)

    done = nanodollar(project, "maintain", "--keep-days", "0", "--now")

    assert done.code == 0, done.err
    assert content_hashes(project.folder) == before
    live = query(
        project,
        f"SELECT table_id, count(*) FROM {METADATA}.ducklake_data_file f "
        "WHERE f.end_snapshot IS NULL GROUP BY ALL",
    )
    assert {name: count for name, count in live if count > 1} == {}
    ((snapshots,),) = query(project, f"SELECT count(*) FROM {METADATA}.ducklake_snapshot")
    assert snapshots == 2
    assert counts[2] <= counts[1] + 20
    assert len(stored(project)) < counts[0]
    with connect_read_only(project, snapshot=closed) as con:
        assert con.execute("FROM core.requests ORDER BY ALL").fetchall() == seen
        # No row of today has as many: the files were written anew, and DuckLake's statistics with them.
        many = "WHERE input_uncached_tokens > 500"
        ((then,),) = con.execute(f"SELECT count(*) FROM core.requests {many}").fetchall()
        assert then > 0
    assert query(project, f"SELECT count(*) FROM core.requests {many}") == [(0,)]
    at_close = f"SELECT count(*) AS then FROM core.requests AT (VERSION => {closed}) {many}"
    assert nanodollar(project, "sql", "--format", "csv", at_close).out == f"then\n{then}\n"

    # What was merged is still told from what is damaged, though its snapshots are gone.
    for file in stored(project):
        os.utime(file, (file.stat().st_mtime + 60,) * 2)
    assert "mended" not in nanodollar(project, "run").out
    max((project.folder / "warehouse/data/core/pool_hours").glob("*.parquet")).unlink()
    refused = nanodollar(project, "maintain")
    assert refused.code == 1
    assert (
        "of core.pool_hours is gone; nothing was expired or removed. `nanodollar run` mends it" in refused.err
    )


def warehouse_rows(warehouse: Warehouse) -> pl.DataFrame:
    with warehouse.reading() as con:
        return con.execute("FROM core.requests").pl()


def test_old_run_logs_go_and_the_ui_still_knows_what_was_built(company_copy: Project) -> None:
    project = company_copy
    index = project.dagster_home / "history/runs/index.db"
    built = (
        "SELECT count(DISTINCT (asset_key || coalesce(partition, ''))) FROM event_logs "
        "WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
    )
    with sqlite3.connect(index) as con:
        ((before,),) = con.execute(built).fetchall()
    assert before

    with dg.DagsterInstance.from_config(str(dagster_home(project))) as instance:
        forgotten = forget_old_runs(instance, before=datetime.now(UTC) + timedelta(days=1))

    assert forgotten > 2
    with sqlite3.connect(index) as con:
        assert con.execute(built).fetchall() == [(before,)]
        assert con.execute("SELECT count(*) FROM event_logs").fetchall() == [(before,)]
    assert [file.name for file in index.parent.glob("*.db") if file.name != "index.db"] == []
    more = [gateway_row("more", "2026-11-02 09:20:00")]
    write_lines(project.folder / "landing/gateway/more.jsonl", more)
    assert "Computed" in nanodollar(project, "run").out
