"""A month of the ledger as FOCUS files: CSV and Parquet, the same bytes for the same figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import duckdb
import polars as pl

from models.errors import DataError
from models.finance.focus import (
    Corrections,
    Version,
    billing_periods,
    contract_commitments,
    cost_and_usage,
    invoice_detail,
)
from models.periods import business_day_bounds
from pipelines.csv_text import csv_bytes
from pipelines.project import Project
from pipelines.warehouse.connect import connect_read_only

CORRECTIONS = """
SELECT accrued_on, booked_on, reason, old_usd, new_usd, coalesce(provider, '(unknown)') AS provider,
  date_trunc('month', booked_on)::TIMESTAMP AT TIME ZONE $zone AS billing_period_start,
  (date_trunc('month', booked_on) + INTERVAL 1 MONTH)::TIMESTAMP AT TIME ZONE $zone AS billing_period_end,
  accrued_on::TIMESTAMP AT TIME ZONE $zone AS charge_period_start,
  (accrued_on + 1)::TIMESTAMP AT TIME ZONE $zone AS charge_period_end
FROM core.adjustments WHERE booked_on >= $first AND booked_on < $last
ORDER BY ALL
"""
_LEDGER = "SELECT coalesce(sum(spend_usd), 0) FROM spend($first, $last, 'booked')"


@dataclass(frozen=True)
class ExportedVersion:
    """What one version wrote: rows of Cost and Usage, and the sum of their BilledCost."""

    row_count: int
    billed_usd: Decimal


class FocusExport:
    """A month of a project.

    Args:
        project: whose ledger.
        month: YYYY-MM.
        first: its first business date.
        last: the business date after its last.
        style: how corrections are written.
        has_draft_names: whether keys of models and tokens are named as in the draft of 1.5.

    Raises:
        DataError: the month is not in the warehouse, or its charges do not sum to the ledger.
    """

    def __init__(
        self,
        project: Project,
        month: str,
        first: date,
        last: date,
        *,
        style: Corrections = "delta",
        has_draft_names: bool = False,
    ) -> None:
        self._style: Corrections = style
        self._has_draft_names = has_draft_names
        self._month = month
        self._start = business_day_bounds(first, time_zone=project.time_zone)[0].astimezone(UTC)
        self._end = business_day_bounds(last, time_zone=project.time_zone)[0].astimezone(UTC)
        days = {"first": first, "last": last}
        with connect_read_only(project) as con:
            self._charges = con.execute(
                "FROM mart.focus WHERE accrued_on >= $first AND accrued_on < $last", days
            ).pl()
            self._corrections = con.execute(CORRECTIONS, {**days, "zone": project.time_zone}).pl()
            self._lines = con.execute(
                "FROM core.invoice_lines WHERE billed_on >= $first AND billed_on < $last", days
            ).pl()
            self._invoices = con.execute(
                "FROM core.invoices WHERE billed_on >= $first AND billed_on < $last", days
            ).pl()
            self._commitments = con.execute(
                "FROM ref.commitments WHERE valid_from < $until AND valid_to > $since "
                "QUALIFY known_from = max(known_from) OVER (PARTITION BY provider, region, chip, commitment, "
                "valid_from, sheet_line)",
                {"since": self._start, "until": self._end},
            ).pl()
            self._ledger_usd = _one(con, _LEDGER, days)
            self._closed_at = _closed_at(con, month)
        if self._charges.is_empty() and self._corrections.is_empty():
            raise DataError(
                f"{month} has no charge in {project.folder}; run `nanodollar run`, or name a month of it."
            )

    @cached_property
    def unpriced_count(self) -> int:
        """Charges without a price, which no file has."""
        return self._charges["billed_cost"].null_count()

    def write(self, folder: Path, version: Version) -> ExportedVersion:
        """Write the files of one version and return what they hold."""
        usage = cost_and_usage(
            self._charges,
            self._corrections,
            version=version,
            style=self._style,
            has_draft_names=self._has_draft_names,
        )
        total = Decimal(usage["BilledCost"].sum() or 0)
        if total != self._ledger_usd:
            raise DataError(
                f"The charges of {self._month} are ${total:f} and the ledger has ${self._ledger_usd:f}; "
                f"compute its days again with `nanodollar run --from {self._month}-01`, then export."
            )
        datasets = {"cost_and_usage": usage}
        if version == "1.4":
            issuers = sorted({*usage["InvoiceIssuerName"], *self._lines["invoice_issuer_name"]})
            datasets |= {
                "invoice_detail": invoice_detail(self._lines, self._invoices),
                "billing_period": billing_periods(
                    issuers, start=self._start, end=self._end, closed_at=self._closed_at
                ),
                "contract_commitment": contract_commitments(self._commitments),
            }
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in datasets.items():
            rows.write_parquet(folder / f"{name}.parquet", compression="zstd", statistics=False)
            (folder / f"{name}.csv").write_bytes(csv_bytes(_as_text(rows)))
        return ExportedVersion(usage.height, total)


def _as_text(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows as FOCUS writes them: UTC instants with Z, decimals without zeros at their end."""
    columns = []
    for name, dtype in rows.schema.items():
        column = pl.col(name)
        if isinstance(dtype, pl.Datetime):
            column = column.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        elif isinstance(dtype, pl.Decimal):
            column = column.cast(pl.String).str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
        columns.append(column.alias(name))
    return rows.select(columns)


def _one(con: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, object]) -> Decimal:
    row = con.execute(query, dict(parameters)).fetchone()
    return Decimal(0) if row is None else Decimal(row[0])


def _closed_at(con: duckdb.DuckDBPyConnection, month: str) -> datetime | None:
    row = con.execute(
        "SELECT max(closed_at) FROM ops.closed_periods WHERE period = ? AND reopened_at IS NULL", [month]
    ).fetchone()
    return None if row is None else row[0]
