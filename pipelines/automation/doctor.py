"""The health of a project: each part in a line that says ok, warn or fail, and what to do about it."""

import importlib.metadata
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import dagster as dg
import duckdb
from dagster._core.scheduler.instigation import TickStatus
from sqlalchemy.exc import SQLAlchemyError

from models.errors import DataError, NanodollarError, NoWarehouseError
from models.schemas import table as schema_of
from pipelines.automation.runner import dagster_home
from pipelines.automation.schedules import SCHEDULES
from pipelines.masking import mask
from pipelines.object_store import SCHEME
from pipelines.project import Project
from pipelines.steps.staleness import stale_days, stale_hours
from pipelines.warehouse.connect import is_current, load_extension, memory_connection
from pipelines.warehouse.damage import (
    counted_otherwise,
    damaged_files,
    differing_partitions,
    mend,
    unnamed_files,
)
from pipelines.warehouse.data_files import dead_drafts
from pipelines.warehouse.failing import failing_checks, failing_lines
from pipelines.warehouse.marker import refuse_a_copy
from pipelines.warehouse.old_prices import old_price_lines
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.statistics import METADATA

State = Literal["ok", "warn", "fail"]
_RUN = "`nanodollar run` builds it anew"
_MANY_FILES = 2_000
_MANY_SNAPSHOTS = 5_000
_LOW_BYTES, _LOW_RATIO = 1_000_000_000, 0.05
_LATE = timedelta(hours=26)
"""A source whose newest record is older has probably stopped."""
_SILENT = timedelta(minutes=5)
_RUNS_LOOKED_AT = 100


@dataclass(frozen=True)
class Finding:
    """What was found of one part: its state, what there is to say, and what to do."""

    part: str
    state: State
    what: str
    remedy: str = ""


def examine(warehouse: Warehouse, *, now: datetime, is_thorough: bool = False) -> list[Finding]:
    """Examine a project; nothing is changed.

    Args:
        warehouse: the project's lake; it need not open.
        now: the time.
        is_thorough: whether every file of the lake is read and held against the hashes of its commit.
    """
    project = warehouse.project
    found = [_versions(), *_extensions(project), *_disks(project), _privacy(project)]
    try:
        with warehouse.reading() as con:
            found.append(_catalog(con))
            for part in (
                lambda: _copies(con, project),
                lambda: _files(con, project, is_thorough=is_thorough),
                lambda: _partitions(con),
                lambda: _waiting(con, project, now=now),
                lambda: _orphans(con, project),
                lambda: _sizes(con),
                lambda: _closed_months(con),
                lambda: _sources(con, project, now=now),
                lambda: _prices(con, now=now),
                lambda: _checks(con),
            ):
                found += _tried(part)
    except NoWarehouseError:
        found.append(
            Finding("catalog", "warn", "nothing has run yet", "`nanodollar run` makes the warehouse")
        )
        return found + list(_schedules(project, now=now))
    except (NanodollarError, duckdb.Error) as error:
        found.append(
            Finding("catalog", "fail", _sentence(error), "mend what it names, or `nanodollar restore`")
        )
    found.append(_published(project))
    try:
        return found + list(_schedules(project, now=now))
    except (OSError, SQLAlchemyError) as error:  # such as on a full disk: it opens Dagster's storage to write
        what = f"Dagster's records under {project.dagster_home} cannot be used ({_sentence(error)})"
        return [*found, Finding("schedules", "fail", what, "free some of the disk, or mend what it names")]


def _tried(part: Callable[[], Iterator[Finding] | list[Finding]]) -> list[Finding]:
    try:
        return list(part())
    except (NanodollarError, duckdb.Error, OSError) as error:
        return [Finding("lake", "fail", _sentence(error), _RUN)]


def _sentence(error: Exception) -> str:
    return mask(str(error).strip().splitlines()[0])


def _versions() -> Finding:
    wrong = []
    for need in importlib.metadata.requires("nanodollar") or []:
        name, is_pinned, wanted = need.partition("==")
        if is_pinned and ";" not in need:
            have = importlib.metadata.version(name)
            if have != wanted:
                wrong.append(f"{name} {have} instead of {wanted}")
    own = f"nanodollar {importlib.metadata.version('nanodollar')}, Python {sys.version.split()[0]}"
    if wrong:
        return Finding(
            "versions", "warn", f"{own}; {', '.join(wrong)}", "install requirements.lock (`make test` does)"
        )
    return Finding("versions", "ok", f"{own}, DuckDB {duckdb.__version__}, Dagster {dg.__version__}")


def _extensions(project: Project) -> Iterator[Finding]:
    names = ["ducklake", "sqlite_scanner" if project.catalog.startswith("sqlite:") else "postgres_scanner"]
    if project.data_path.startswith(SCHEME):
        names.append("httpfs")
    try:
        with memory_connection() as con:
            for name in names:
                load_extension(con, name)
        yield Finding("extensions", "ok", ", ".join(names))
    except NanodollarError as error:
        yield Finding("extensions", "fail", _sentence(error), "install requirements.lock (`make test` does)")


def _disks(project: Project) -> Iterator[Finding]:
    places = {project.folder, project.published.parent, project.dagster_home}
    if not project.data_path.startswith(SCHEME):
        places.add(Path(project.data_path))
    there = {place for place in places if place.exists()}
    usage = {(used.total, used.free): place for place in sorted(there) for used in [shutil.disk_usage(place)]}
    for (total, free), place in usage.items():
        what = f"{free / 1e9:,.1f} GB of {total / 1e9:,.1f} GB free for {place}"
        is_low = free < _LOW_BYTES or free < _LOW_RATIO * total
        state: State = "fail" if free < _LOW_BYTES / 10 else "warn" if is_low else "ok"
        yield Finding("disk", state, what, "free some, or `nanodollar maintain`" if is_low else "")


def _privacy(project: Project) -> Finding:
    open_to_others = [
        str(place)
        for place in (project.dagster_home, project.published.parent, project.reports)
        if place.exists() and place.stat().st_mode & 0o077
    ]
    if open_to_others:
        return Finding(
            "privacy", "warn", f"others may read {', '.join(open_to_others)}", "`nanodollar doctor --repair`"
        )
    return Finding("privacy", "ok", "the project's files are its user's alone")


def _catalog(con: duckdb.DuckDBPyConnection) -> Finding:
    ((version,),) = con.execute(
        f"SELECT value FROM {METADATA}.ducklake_metadata WHERE key = 'version'"
    ).fetchall()
    ((snapshot,),) = con.execute("FROM nanodollar.current_snapshot()").fetchall()
    what = f"DuckLake {version}, snapshot {snapshot}"
    if not is_current(con):
        return Finding(
            "catalog", "warn", f"{what}, made by an earlier version", "`nanodollar run` brings it up to date"
        )
    return Finding("catalog", "ok", what)


def _copies(con: duckdb.DuckDBPyConnection, project: Project) -> Iterator[Finding]:
    try:
        refuse_a_copy(con, project)
    except DataError as error:
        yield Finding(
            "catalog", "fail", _sentence(error), "`nanodollar restore`, or the catalog that it names"
        )


def _published(project: Project) -> Finding:
    file = project.published
    try:
        with duckdb.connect(str(file), read_only=True) as con:
            con.execute("SELECT count(*) FROM ops.partitions")
    except duckdb.Error as error:
        what = f"does not read ({_sentence(error)})" if file.exists() else "is not there"
        return Finding("published", "warn", f"{file} {what}", "`nanodollar run` writes it anew")
    return Finding("published", "ok", f"{file} reads")


def _files(con: duckdb.DuckDBPyConnection, project: Project, *, is_thorough: bool) -> Iterator[Finding]:
    damaged = damaged_files(con, project, is_thorough=is_thorough)
    for file in damaged:
        yield Finding("files", "fail", file.sentence, _RUN)
    if not damaged:
        ((count,),) = con.execute(
            f"SELECT count(*) FROM {METADATA}.ducklake_data_file WHERE end_snapshot IS NULL"
        ).fetchall()
        how = "read whole and as committed" if is_thorough else "there, of their size, and not changed since"
        yield Finding("files", "ok", f"{count:,} data files are {how}")


def _partitions(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    differing = counted_otherwise(con)
    for dotted in differing:
        keys = differing_partitions(con, schema_of(dotted))
        yield Finding(
            "partitions", "fail", f"{dotted} does not hold the rows committed of {', '.join(keys[:3])}", _RUN
        )
    if not differing:
        ((count,),) = con.execute("SELECT count(*) FROM ops.partitions").fetchall()
        yield Finding("partitions", "ok", f"{count:,} partitions count the rows that were committed")


def _waiting(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> Iterator[Finding]:
    hours, days = len(stale_hours(con, project, now=now)), len(stale_days(con, project, now=now))
    is_due = bool(hours or days)
    yield Finding(
        "waiting",
        "warn" if is_due else "ok",
        f"{hours:,} hours and {days:,} days lack rows or are older than what they rest on"
        if is_due
        else "every hour and day is computed from all that has landed",
        "`nanodollar run`" if is_due else "",
    )


def _orphans(con: duckdb.DuckDBPyConnection, project: Project) -> Iterator[Finding]:
    count = len(unnamed_files(con, project)) + len(dead_drafts(project))
    yield Finding(
        "orphans",
        "warn" if count else "ok",
        f"{count:,} files of the data path belong to nothing",
        "`nanodollar doctor --repair` removes them" if count else "",
    )


def _sizes(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    ((files, snapshots),) = con.execute(
        f"SELECT (SELECT count(*) FROM {METADATA}.ducklake_data_file), "
        f"(SELECT count(*) FROM {METADATA}.ducklake_snapshot)"
    ).fetchall()
    is_large = files > _MANY_FILES or snapshots > _MANY_SNAPSHOTS
    yield Finding(
        "size",
        "warn" if is_large else "ok",
        f"{files:,} files and {snapshots:,} snapshots in the catalog",
        "`nanodollar maintain`" if is_large else "",
    )


def _closed_months(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    lost = con.execute(
        "SELECT period FROM ops.closed_periods WHERE reopened_at IS NULL AND snapshot_id IS NOT NULL AND "
        f"snapshot_id NOT IN (SELECT snapshot_id FROM {METADATA}.ducklake_snapshot) ORDER BY 1"
    ).fetchall()
    for (period,) in lost:
        yield Finding(
            "closed months", "fail", f"the snapshot of {period} is gone", "restore it from a backup of then"
        )
    if not lost:
        ((count,),) = con.execute(
            "SELECT count(*) FROM ops.closed_periods WHERE reopened_at IS NULL"
        ).fetchall()
        yield Finding("closed months", "ok", f"{count:,} closed months have their snapshots")


def _sources(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> Iterator[Finding]:
    newest = dict(
        con.execute(
            "SELECT source, max(last_at) FROM ops.landed_files WHERE landed_count > 0 GROUP BY ALL"
        ).fetchall()
    )
    for source in project.sources:
        last = newest.get(source.name)
        part = f"source {source.name}"
        if last is None:
            yield Finding(part, "warn", "nothing has landed", "check its path or url in nanodollar.toml")
            continue
        hours = (now - last) / timedelta(hours=1)
        is_late = now - last > _LATE
        yield Finding(
            part,
            "warn" if is_late else "ok",
            f"its newest record is of {last:%Y-%m-%d %H:%M} UTC, {hours:,.1f} hours ago",
            "see whether it still writes, then `nanodollar run`" if is_late else "",
        )


def _prices(con: duckdb.DuckDBPyConnection, *, now: datetime) -> Iterator[Finding]:
    lines = old_price_lines(con, today=now.date())
    for line in lines:
        what, _, remedy = line.partition("; ")
        yield Finding("prices", "warn", what, remedy)
    if not lines:
        yield Finding("prices", "ok", "the sheets in use were read lately enough")


def _checks(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    lines = failing_lines(failing_checks(con))
    for line in lines:
        severity, _, what = line.partition(": ")
        yield Finding(
            "checks", "fail" if severity == "error" else "warn", what, "docs/report.md says what each means"
        )
    if not lines:
        yield Finding("checks", "ok", "no check of the figures fails")


def _schedules(project: Project, *, now: datetime) -> Iterator[Finding]:
    if not project.settings.automation.enabled:
        yield Finding("schedules", "ok", "turned off by [automation]")
        return
    with dg.DagsterInstance.from_config(str(dagster_home(project))) as instance:
        beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
        if not beats:
            yield Finding(
                "schedules",
                "warn",
                "no daemon has looked at the schedules yet",
                "`nanodollar ui` runs it; without it, let your own scheduler run `nanodollar run` and `maintain`",
            )
        elif (silent := timedelta(seconds=now.timestamp() - max(beats))) > _SILENT:
            hours = silent / timedelta(hours=1)
            yield Finding(
                "schedules",
                "warn",
                f"the daemon was last seen {hours:,.1f} hours ago",
                "start `nanodollar ui` again",
            )
        else:
            yield Finding("schedules", "ok", f"the daemon looks after {len(SCHEDULES)} schedules")
        for state in instance.all_instigator_state():
            for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1):
                if tick.status == TickStatus.FAILURE:
                    why = tick.error.message.strip().splitlines()[0] if tick.error else "it failed"
                    yield Finding(
                        "schedules", "fail", mask(f"{state.name}: {why}"), "see its ticks in the Dagster UI"
                    )
        newest: dict[str, dg.DagsterRun] = {}
        for record in instance.get_run_records(limit=_RUNS_LOOKED_AT):
            newest.setdefault(record.dagster_run.job_name, record.dagster_run)
        for name, run in sorted(newest.items()):
            if run.status == dg.DagsterRunStatus.FAILURE:
                yield Finding(
                    "runs",
                    "warn",
                    f"the last run of the job {name} failed ({run.run_id[:8]})",
                    "see it in the Dagster UI, then retry it from its failure",
                )


def repair(warehouse: Warehouse, *, is_thorough: bool = False) -> list[str]:
    """Mend what can be: tables of an earlier version, damaged files, orphans, permissions; return what was done.

    Raises:
        DataError: what is damaged cannot be built anew.
    """
    warehouse.project.keep_private()
    warehouse.prepare()
    return mend(warehouse, is_thorough=is_thorough)
