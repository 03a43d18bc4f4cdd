"""Reports of a day, a week and a month: every format says what the warehouse holds, and says it in the same bytes."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import polars as pl
import pypdf
import pytest

from pipelines.reports.cells import decimals_of, totals, written
from pipelines.reports.pages import link_pages, render_period
from pipelines.reports.pdf import pdf
from pipelines.reports.period import PeriodReport, period_of, period_report, summary_lines
from pipelines.reports.tables import csv_files, xlsx
from tests.models.marts.warehouse import fill, insert, utc
from tests.pipelines.reports.fleet import ON, full_day
from tests.pipelines.reports.page import Page

MONTH = ON.replace(day=1)
NOW = utc("2026-06-02T08:00")
SOFFICE = shutil.which("soffice")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def _saving(rank: int, usd: str, **changes: Any) -> dict[str, Any]:
    return {
        "month_on": MONTH, "rank": rank, "kind": "idle_waste", "change": f"=Run fewer <replicas> of pool {rank}",
        "saving_usd": Decimal(usd), "month_usd": Decimal(usd) * 2, "confidence": "high", "evidence": "idle & paid",
        "spender": "pool x", "spend_usd": Decimal(99), "day_count": 14,
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    con = full_day()
    span = {"from_on": ON - timedelta(days=13), "to_on": ON + timedelta(days=1)}
    fill(con, "mart.spend_daily", "spend_daily", **span)
    correction = {
        "adjustment_id": "a", "accrued_hour": utc("2026-04-30T10:00"), "accrued_on": date(2026, 4, 30), "booked_on": ON,
        "old_usd": Decimal(3), "new_usd": Decimal(1), "difference_usd": Decimal(-2), "reason": "reprice",
    }  # fmt: skip
    insert(con, "core.adjustments", [correction])
    insert(con, "mart.savings", [_saving(1, "12.3456789"), _saving(2, "0.000000000001")])
    yield con
    con.close()


@pytest.fixture(scope="module")
def reports(warehouse: duckdb.DuckDBPyConnection) -> list[PeriodReport]:
    return [
        period_report(warehouse, kind, ON, time_zone="UTC", now=NOW)
        for kind in ("daily", "weekly", "month-close")
    ]


def test_views_sum_to_the_spend_of_the_period(warehouse, reports) -> None:
    for report in reports:
        span = (report.first.isoformat(), report.to_on.isoformat())
        [(spent,)] = warehouse.execute("SELECT sum(spend_usd) FROM spend(?, ?, 'booked')", span).fetchall()
        views = {view.name: view for view in report.views}
        for name in ("provider", "tenant", "team", "route", "component", "model"):
            assert totals(views[name])["usd"] == spent, (report.kind, name)
        if report.kind != "daily":
            assert totals(views["days"])["usd"] == spent
        assert report.answer[0].startswith(f"${spent:,.2f} was spent")
        assert "no budget set" in report.answer[1].lower()
        assert "first: =Run fewer <replicas> of pool 1 ($24.69 a month)" in report.answer[-1]
        assert len(summary_lines(report)) == 5


def test_every_format_read_back_by_another_program_holds_the_same_cells(reports) -> None:
    for report in reports:
        book = openpyxl.load_workbook(io.BytesIO(xlsx(report)))
        cached = openpyxl.load_workbook(io.BytesIO(xlsx(report)), data_only=True)
        files = csv_files(report)
        page = Page(render_period(report))
        paper = pypdf.PdfReader(io.BytesIO(pdf(report)))
        words = " ".join(" ".join(sheet.extract_text() for sheet in paper.pages).split())
        assert f"Page 1 of {len(paper.pages)}" in words.replace("Page 1 of", "Page 1 of")
        assert book.sheetnames == ["answer", *(view.name for view in report.views)]
        for view in report.views:
            sheet, values = book[view.name], cached[view.name]
            assert sheet.freeze_panes == "B2"
            read = pl.read_csv(files[f"{view.name}.csv"], infer_schema=False)
            lines = [line for line in page.tables.get(f"view-{view.name}", []) if line.kind != "total"]
            for place, row in enumerate(view.rows.iter_rows(named=True)):
                for column_place, column in enumerate(view.columns):
                    value, cell = row[column.name], values.cell(place + 2, column_place + 1)
                    in_csv = read[column.name][place]
                    shown = lines[place].cells[column_place]
                    if value is None:
                        assert (cell.value, in_csv, shown.value) == (None, None, None)
                    elif column.style == "text":
                        guarded = f"'{value}" if value.startswith("=") else value
                        assert (cell.value, in_csv, shown.text) == (value, guarded, value)
                        assert cell.data_type == "s"
                    else:
                        assert cell.value == float(value)
                        assert Decimal(in_csv) == Decimal(shown.value) == value
                        decimals = decimals_of(column, view.rows) if column.style == "usd" else 0
                        if view.name in {"provider", "tenant"}:
                            assert written(value, column, decimals) in words
            for name, usd in totals(view).items():
                place = [column.name for column in view.columns].index(name) + 1
                letter = "ABCDEFGH"[place - 1]
                height = view.rows.height
                assert sheet.cell(height + 2, place).value == f"=SUM({letter}2:{letter}{height + 1})"
                assert values.cell(height + 2, place).value == float(usd)
                assert (
                    book.defined_names[f"{view.name}_{name}"].attr_text
                    == f"'{view.name}'!${letter}$2:${letter}${height + 1}"
                )
        (provider,) = (view for view in report.views if view.name == "provider")
        changes = [column.name for column in provider.columns].index("change_usd")
        has_change = report.kind != "month-close"
        assert book["provider"].cell(2, changes + 1).value == ("=B2-C2" if has_change else None)


@pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed (apt-get install libreoffice-calc)")
def test_libreoffice_computes_every_formula_to_the_figures_of_the_warehouse(reports, tmp_path: Path) -> None:
    for report in reports:
        # openpyxl keeps formulas and drops what they were last computed to.
        bare = tmp_path / f"{report.kind}.xlsx"
        openpyxl.load_workbook(io.BytesIO(xlsx(report))).save(bare)
    made = tmp_path / "made"
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    subprocess.run(
        [str(SOFFICE), profile, "--headless", "--convert-to", "xlsx", "--outdir", str(made),
         *map(str, sorted(tmp_path.glob("*.xlsx")))],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    for report in reports:
        book = openpyxl.load_workbook(made / f"{report.kind}.xlsx", data_only=True)
        for view in report.views:
            sheet, height = book[view.name[:31]], view.rows.height
            for place, column in enumerate(view.columns, start=1):
                for row, value in enumerate(view.rows.get_column(column.name).to_list(), start=2):
                    cell = sheet.cell(row, place).value
                    if value is None or column.style == "text":
                        assert cell == value
                    else:
                        assert float(cell or 0) == pytest.approx(float(value), rel=1e-12, abs=1e-15)
                if column.name in totals(view):
                    summed = float(totals(view)[column.name])
                    assert float(sheet.cell(height + 2, place).value) == pytest.approx(summed, rel=1e-12)


def test_the_same_figures_give_the_same_bytes(warehouse, reports) -> None:
    for report in reports:
        again = period_report(warehouse, report.kind, ON, time_zone="UTC", now=NOW + timedelta(days=9))
        for made in (render_period, xlsx, pdf, csv_files):
            assert made(again) == made(report)


@pytest.mark.parametrize(
    ("kind", "bounds"),
    [
        ("daily", ("2026-03-01", "2026-03-02", "2026-02-28")),
        ("weekly", ("2026-02-23", "2026-03-02", "2026-02-16")),
        ("month-close", ("2026-03-01", "2026-04-01", "2026-02-01")),
    ],
)
def test_a_period_is_the_whole_one_that_holds_the_day(kind, bounds) -> None:
    assert tuple(day.isoformat() for day in period_of(kind, date(2026, 3, 1))) == bounds


def test_pages_are_linked_to_their_neighbours_and_listed(reports, tmp_path: Path) -> None:
    folder = tmp_path / "weekly"
    folder.mkdir()
    for stem in ("2026-05-04", "2026-05-11", "2026-05-18"):
        (folder / f"{stem}.html").write_text(render_period(reports[1]), encoding="utf-8")
    (folder / "2026-05-11.xlsx").write_bytes(b"")
    index = Page(link_pages(tmp_path).read_text(encoding="utf-8"))
    assert index.anchors == [
        "weekly/2026-05-18.html", "weekly/2026-05-11.html", "weekly/2026-05-11.xlsx", "weekly/2026-05-04.html",
    ]  # fmt: skip
    linked = (folder / "2026-05-11.html").read_text(encoding="utf-8")
    assert Page(linked).anchors[:3] == ["../index.html", "2026-05-04.html", "2026-05-18.html"]
    link_pages(tmp_path)
    assert (folder / "2026-05-11.html").read_text(encoding="utf-8") == linked


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")
def test_page_fits_a_small_phone_shows_exact_figures_by_keyboard_and_numbers_printed_pages(
    reports, tmp_path
) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "2026-05.html"
    file.write_text(render_period(reports[2]), encoding="utf-8")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 320, "height": 640})
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        first = "getComputedStyle(document.querySelector('#savings tbody data'), '::after').content"
        assert page.evaluate(first) == "none"
        page.focus("#exact")
        page.keyboard.press("Space")
        assert page.evaluate(first) == '"24.691357800000"'
        paper = pypdf.PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
        browser.close()
    assert f"Page 2 of {len(paper.pages)}" in paper.pages[1].extract_text()
