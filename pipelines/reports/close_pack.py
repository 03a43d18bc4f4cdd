"""What a closed month is handed over with: its report, tables, journal and open points, and a manifest of their hashes.

Everything is read from the lake as it was at the close, so that the pack can be written again, byte for byte.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from models.errors import ConfigurationError, DataError
from pipelines.project import Project
from pipelines.reports.environment import page_environment
from pipelines.reports.folders import replace_folder
from pipelines.reports.journal import journal_of, reporting_rate
from pipelines.warehouse.connect import connect_read_only

_CLOSE = """
SELECT period, closed_from, closed_to, closed_at, time_zone, snapshot_id, coalesce(closed_by, 'unknown') AS closed_by,
  coalesce(currency, 'USD') AS currency
FROM ops.closed_periods WHERE period = ? AND reopened_at IS NULL
"""
_SHEETS = """
SELECT table_name, content_hash FROM ops.partitions WHERE table_name LIKE 'ref.%' ORDER BY table_name
"""
_REPORT = "report.html"
_MANIFEST = "manifest.json"
_SHOWN = {
    "spend": ("What it was spent on", {"component": "For", "provider": "Provider", "usd": "USD"}),
    "accruals": (
        "Owed to issuers",
        {"month_on": "Month of usage", "invoice_issuer_name": "Issuer", "accrued_usd": "Accrued USD",
         "corrected_usd": "Corrected USD", "true_up_usd": "True-up USD", "invoiced_usd": "Invoiced USD"},
    ),
    "variance": (
        "Why it differs from earlier months",
        {"against_on": "From the month of", "cause": "Cause", "difference_usd": "USD"},
    ),
    "budgets": (
        "Budgets", {"budget": "Budget", "spent_usd": "Spent USD", "budget_usd": "Of USD", "run_out_on": "Spent on"},
    ),
    "chargeback": (
        "Who pays", {"payer": "Payer", "cost_kind": "For", "rule": "Rule", "usd": "USD", "status": "Status"},
    ),
    "open_points": (
        "Open points", {"point": "Point", "subject": "Of", "usd": "USD", "tokens": "Tokens", "remedy": "What to do"},
    ),
}  # fmt: skip
"""Tables that the report shows: title, and columns with their names."""


@dataclass(frozen=True)
class Pack:
    """A pack as it stands: its folder, and the files of an earlier one of the same close that it differs from."""

    folder: Path
    differs: list[str] = field(default_factory=list)


def write_pack(project: Project, month: str) -> Pack:
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
        return Pack(folder)
    differs = sorted(name for name in {*before, *files} if before.get(name) != files.get(name))
    if differs:
        replace_folder(folder.with_name(f"{month}.rebuilt"), files)
    return Pack(folder, differs)


def _files(con: duckdb.DuckDBPyConnection, close: dict[str, Any]) -> dict[str, bytes]:
    first: date = close["closed_from"]
    span = {"from_on": first, "to_on": close["closed_to"]}
    tables = {}
    for file in sorted(Path(__file__).with_name("close_tables").glob("*.sql")):
        sql = file.read_text(encoding="utf-8")
        try:
            rows = con.execute(sql, {name: value for name, value in span.items() if f"${name}" in sql}).pl()
        except duckdb.CatalogException:
            continue  # A lake that an earlier version closed has not every table.
        tables[file.stem] = rows
    tables["journal"] = journal_of(con, first, currency=close["currency"])
    rate, rate_on = reporting_rate(con, first, close["currency"])
    files = {f"{name}.csv": rows.write_csv().encode() for name, rows in sorted(tables.items())}
    files[_REPORT] = _report(tables, close, rate, rate_on).encode()
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
    tables: dict[str, pl.DataFrame], close: dict[str, Any], rate: Decimal, rate_on: date | None
) -> str:
    environment = page_environment()
    shown = []
    for name, (title, columns) in _SHOWN.items():
        if name not in tables:
            continue
        rows = tables[name].select(list(columns))
        shown.append(
            {
                "title": title,
                "names": list(columns.values()),
                "numbers": [place for place, dtype in enumerate(rows.dtypes) if dtype.is_numeric()],
                "rows": [[_cell(value) for value in row] for row in rows.rows()],
            }
        )
    total = tables["spend"].get_column("usd").sum()
    return environment.get_template("close.html").render(
        month=close["period"],
        first=close["closed_from"],
        last=close["closed_to"],
        zone=close["time_zone"],
        closed_at=f"{close['closed_at'].astimezone(UTC):%Y-%m-%d %H:%M}",
        closed_by=close["closed_by"],
        total=f"${total:,.2f}",
        currency=close["currency"],
        rate=f"{rate.normalize():f}" if rate_on else None,
        rate_on=rate_on,
        tables=shown,
    )


def _cell(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


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
