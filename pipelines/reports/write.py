"""Write reports into the project's folder: HTML, PDF, XLSX and CSV of a day, a week or a month."""

from collections.abc import Collection
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from models.errors import DataError
from pipelines.replacing import replace_file, replace_folder
from pipelines.reports.pages import link_pages, render_period
from pipelines.reports.pdf import pdf
from pipelines.reports.period import Kind, PeriodReport, period_report
from pipelines.reports.tables import csv_files, xlsx
from pipelines.warehouse.resource import Warehouse

Format = Literal["html", "pdf", "xlsx", "csv"]
FORMATS: tuple[Format, ...] = ("html", "pdf", "xlsx", "csv")


def read_report(warehouse: Warehouse, kind: Kind, on: date) -> PeriodReport:
    """Read the report of the period that holds a day.

    Raises:
        DataError: the warehouse holds nothing of it.
    """
    project = warehouse.project
    with warehouse.reading() as con:
        report = period_report(con, kind, on, time_zone=project.time_zone, now=datetime.now(UTC))
    if report.is_empty:
        of = report.subtitle.replace("B", "b", 1)
        raise DataError(
            f"The warehouse holds nothing of {of}, so there is no report of it; check that its logs have landed, and "
            "`nanodollar run`."
        )
    return report


def write_report(warehouse: Warehouse, report: PeriodReport, formats: Collection[Format]) -> list[Path]:
    """Write a report in some formats, and return the paths: a file each, a folder for CSV. Not the page of a day."""
    root = warehouse.project.reports
    folder = root / report.kind
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for each in FORMATS:
        path = folder / f"{report.stem}.{each}"
        if each not in formats or (each == "html" and report.kind == "daily"):
            continue
        if each == "csv":
            replace_folder(path, csv_files(report))
        else:
            made = {
                "html": lambda: render_period(report).encode(),
                "pdf": lambda: pdf(report),
                "xlsx": lambda: xlsx(report),
            }
            replace_file(path, made[each]())
        written.append(path)
    link_pages(root)
    return written
