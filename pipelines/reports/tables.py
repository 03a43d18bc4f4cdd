"""A report as CSV and XLSX: the same views, with exact or real numbers."""

import io
import re
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

from pipelines.csv_text import csv_bytes
from pipelines.reports.cells import decimals_of
from pipelines.reports.period import PeriodReport
from pipelines.reports.view import View

if TYPE_CHECKING:
    import xlsxwriter

_WIDEST = 60
_SHEET_NAME = 31


def csv_files(report: PeriodReport) -> dict[str, bytes]:
    """Return one CSV a view, by file name; dollars with all their digits."""
    return {
        f"{view.name}.csv": csv_bytes(view.rows.select([column.name for column in view.columns]))
        for view in report.views
    }


def xlsx(report: PeriodReport) -> bytes:
    """Return a workbook: the answer, then a sheet a view. Sums and changes are formulas; columns have names.

    Numbers are real numbers (a float has 15 digits; the CSV has them all). Its date is that of the period's
    end, so that the same figures give the same bytes.
    """
    import xlsxwriter

    content = io.BytesIO()
    book = xlsxwriter.Workbook(
        content, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties(
        {"title": report.title, "created": datetime.combine(report.to_on, time(), UTC).replace(tzinfo=None)}
    )
    strong, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    first = book.add_worksheet("answer")
    first.set_column(0, 0, 110)
    first.write_string(0, 0, report.title, book.add_format({"bold": True, "font_size": 14}))
    first.write_string(1, 0, report.subtitle)
    for place, line in enumerate([*report.answer, f"{report.trust.verdict}: {report.trust.facts}"], start=3):
        first.write_string(place, 0, line, wrapped)
    for view in report.views:
        _sheet(book, view, strong, wrapped)
    book.close()
    return content.getvalue()


def _sheet(
    book: "xlsxwriter.Workbook",
    view: View,
    strong: "xlsxwriter.format.Format",
    wrapped: "xlsxwriter.format.Format",
) -> None:
    name = view.name[:_SHEET_NAME]
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 1)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&RPage &P of &N")
    places = {column.name: place for place, column in enumerate(view.columns)}
    height = view.rows.height
    for place, column in enumerate(view.columns):
        values = view.rows.get_column(column.name).to_list()
        letter = chr(ord("A") + place)
        digits = "0" * decimals_of(column, view.rows) if column.style == "usd" else ""
        form = book.add_format({"num_format": f"#,##0.{digits}" if digits else "#,##0", "valign": "top"})
        total = book.add_format(
            {"num_format": f"#,##0.{digits}" if digits else "#,##0", "bold": True, "top": 1}
        )
        sheet.write_string(0, place, column.heading, strong)
        longest = max([len(column.heading), *(len(str(value)) for value in values)])
        sheet.set_column(place, place, min(_WIDEST, longest + 2) if column.style == "text" else 20)
        for row, value in enumerate(values, start=1):
            if value is None:
                continue
            if column.name == "change_usd":
                now, before = (chr(ord("A") + places[key]) for key in ("usd", "before_usd"))
                sheet.write_formula(row, place, f"={now}{row + 1}-{before}{row + 1}", form, float(value))
            elif column.style == "text":
                sheet.write_string(row, place, str(value), wrapped)
            else:
                sheet.write_number(row, place, float(value), form)
        if height:
            title = re.sub(r"\W", "_", f"{view.name}_{column.name}")
            book.define_name(title, f"='{name}'!${letter}$2:${letter}${height + 1}")
            if column.is_summed and any(value is not None for value in values):
                cached = float(sum((value for value in values if value is not None), Decimal(0)))
                sheet.write_formula(height + 1, place, f"=SUM({letter}2:{letter}{height + 1})", total, cached)
            elif place == 0 or (place == 1 and view.columns[0].style != "text"):
                sheet.write_string(height + 1, place, "Total", total)
    if not height:
        sheet.write_string(1, 0, view.none)
    else:
        sheet.autofilter(0, 0, height, len(view.columns) - 1)
