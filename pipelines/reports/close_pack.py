"""What a closed month is handed over with: its report, tables, journal and open points, and a manifest of their hashes.

Everything is read from the lake as it was at the close, so that the pack can be written again, byte for byte.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from models.errors import ConfigurationError, DataError
from pipelines.csv_text import csv_bytes
from pipelines.project import Project
from pipelines.replacing import replace_folder
from pipelines.reports.journal import journal_of, reporting_rate
from pipelines.reports.month import month_tables
from pipelines.reports.pages import render_period
from pipelines.reports.pdf import pdf
from pipelines.reports.period import period_report
from pipelines.reports.tables import xlsx
from pipelines.warehouse.connect import connect_read_only

_CLOSE = """
SELECT period, closed_from, closed_to, closed_at, time_zone, snapshot_id, coalesce(closed_by, 'unknown') AS closed_by,
  coalesce(currency, 'USD') AS currency
FROM ops.closed_periods WHERE period = ? AND reopened_at IS NULL
"""
_SHEETS = """
SELECT table_name, content_hash FROM ops.partitions WHERE table_name LIKE 'ref.%' ORDER BY table_name
"""
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class ClosePack:
    """A pack as it stands: its folder, and the files of an earlier one of the same close that it differs from."""

    folder: Path
    differs: list[str] = field(default_factory=list)


def write_pack(project: Project, month: str) -> ClosePack:
    """Write the pack of a closed month into the project's reports, or compare it with the one that is there.

    Args:
        project: the project.
        month: as YYYY-MM.

    Raises:
        ConfigurationError: the month is not closed.
        DataError: the snapshot of its close is gone.
    """
    with connect_read_only(project) as con:
        found = con.execute(_CLOSE, [month])
        names = [column[0] for column in found.description or ()]
        row = found.fetchone()
    if row is None:
        raise ConfigurationError(f"{month} is not closed; `nanodollar close {month}` writes its pack.")
    close = dict(zip(names, row, strict=True))
    try:
        with connect_read_only(project, snapshot=close["snapshot_id"]) as con:
            files = _files(con, close)
    except (DataError, duckdb.Error) as error:
        raise DataError(
            f"The pack of {month} cannot be written: the lake as it was at its close (snapshot "
            f"{close['snapshot_id']}) does not have what it needs ({str(error).splitlines()[0]}); restore a "
            f"backup that has it, or reopen the month and close it again where an earlier version closed it."
        ) from error
    folder = project.reports / "close" / month
    before = _of_the_same_close(folder, files[_MANIFEST])
    if before is None:
        replace_folder(folder, files)
        return ClosePack(folder)
    differs = sorted(name for name in {*before, *files} if before.get(name) != files.get(name))
    if differs:
        replace_folder(folder.with_name(f"{month}.rebuilt"), files)
    return ClosePack(folder, differs)


def _files(con: duckdb.DuckDBPyConnection, close: dict[str, Any]) -> dict[str, bytes]:
    first: date = close["closed_from"]
    tables = month_tables(con, first, close["closed_to"])
    tables["journal"] = journal_of(con, first, currency=close["currency"])
    rate, rate_on = reporting_rate(con, first, close["currency"])
    files = {f"{name}.csv": csv_bytes(rows) for name, rows in sorted(tables.items())}
    files |= _report(con, close, sum(tables["spend"].get_column("usd"), Decimal(0)), rate, rate_on)
    manifest = {
        "month": close["period"],
        "closed_from": first.isoformat(),
        "closed_to": close["closed_to"].isoformat(),
        "time_zone": close["time_zone"],
        "closed_at": _instant(close["closed_at"]),
        "closed_by": close["closed_by"],
        "snapshot_id": close["snapshot_id"],
        "currency": close["currency"],
        "usd_per_unit": str(rate),
        "rate_on": rate_on.isoformat() if rate_on else None,
        "sheets": dict(con.execute(_SHEETS).fetchall()),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    files[_MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    return files


def _report(
    con: duckdb.DuckDBPyConnection, close: dict[str, Any], total: Decimal, rate: Decimal, rate_on: date | None
) -> dict[str, bytes]:
    """Return the report of the month, page and prints, headed by the total that was closed, when and by whom."""
    report = period_report(
        con, "month-close", close["closed_from"], time_zone=close["time_zone"], now=close["closed_at"]
    )
    at = f"{close['closed_at'].astimezone(UTC):%Y-%m-%d %H:%M}"
    closing = (
        f"${total:,.2f} for {close['closed_from']} to {close['closed_to']} ({close['time_zone']}), corrections and "
        f"true-ups of bills included; closed {at} UTC by {close['closed_by']}."
    )
    if rate_on:
        closing += f" One {close['currency']} is ${rate.normalize():f}, the rate of {rate_on}."
    report = replace(report, answer=(closing, *report.answer))
    return {
        "report.html": render_period(report).encode(),
        "report.pdf": pdf(report),
        "report.xlsx": xlsx(report),
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _of_the_same_close(folder: Path, manifest: bytes) -> dict[str, bytes] | None:
    """Return the files of a folder that were written for the close that a manifest is of."""
    try:
        theirs = json.loads((folder / _MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(theirs, dict) or theirs.get("closed_at") != json.loads(manifest)["closed_at"]:
        return None
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
