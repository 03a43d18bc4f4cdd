"""A report as PDF, set by Typst: page numbers, the fonts it brings, and the same bytes for the same figures."""

import json
from pathlib import Path
from typing import Any

import typst

from pipelines.reports.cells import decimals_of, totals, written
from pipelines.reports.period import PeriodReport
from pipelines.reports.view import View

_LEFT_OUT = {"instead", "saving_usd"}
"""Columns that a page has no room for; the other formats have them."""


def pdf(report: PeriodReport) -> bytes:
    """Return the report on A4 pages."""
    data = {
        "title": report.title,
        "subtitle": report.subtitle,
        "answer": report.answer,
        "verdict": report.trust.verdict,
        "facts": report.trust.facts,
        "views": [_view(view) for view in report.views],
    }
    made = typst.compile(
        Path(__file__).with_name("report.typ").read_bytes(),
        format="pdf",
        sys_inputs={"data": json.dumps(data)},
    )
    return bytes(made)


def _view(view: View) -> dict[str, Any]:
    columns = [column for column in view.columns if column.name not in _LEFT_OUT]
    decimals = {
        column.name: decimals_of(column, view.rows) if column.style == "usd" else 0 for column in columns
    }
    sums = totals(view)
    return {
        "title": view.title,
        "none": view.none,
        "heads": [column.heading for column in columns],
        "numeric": [column.style != "text" for column in columns],
        "wide": [
            column.style == "text" and column.name in {"change", "evidence", "name", "budget", "meaning"}
            for column in columns
        ],
        "rows": [
            [written(row[column.name], column, decimals[column.name]) for column in columns]
            for row in view.rows.iter_rows(named=True)
        ],
        "total": [
            written(sums[column.name], column, decimals[column.name])
            if column.name in sums
            else ""
            if place
            else "Total"
            for place, column in enumerate(columns)
        ]
        if sums
        else [],
    }
