"""Pages of periods: their HTML, the links from each to its neighbours, and the index of all."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment
from markupsafe import Markup, escape

from pipelines.replacing import replace_file
from pipelines.reports.cells import decimals_of, totals, written
from pipelines.reports.environment import page_environment
from pipelines.reports.period import PeriodReport
from pipelines.reports.view import ViewColumn

_KINDS = {"month-close": "Months", "weekly": "Weeks", "daily": "Days"}
_NEIGHBOURS = re.compile(r"<!-- neighbours -->.*?<!-- /neighbours -->", re.DOTALL)
_OTHERS = {".pdf": "PDF", ".xlsx": "XLSX"}


def render_period(report: PeriodReport) -> str:
    """Return a report as one self-contained page."""
    return _environment().get_template("period.html").render(report=report)


def figure(value: object, column: ViewColumn, rows: pl.DataFrame) -> Markup:
    """Write one value of a view; of dollars and counts the exact figure rides along."""
    text = written(value, column, decimals_of(column, rows) if column.style == "usd" else 0)
    if column.style == "text" or value is None:
        return escape(text)
    exact = f"{value:f}" if column.style == "usd" else str(value)
    return Markup('<data value="{}">{}</data>').format(exact, text)


def add_parts(environment: Environment) -> None:
    """Let templates use the parts that all pages share."""
    globals_: dict[str, Any] = environment.globals
    globals_ |= {"figure": figure, "totals": totals}


def link_pages(folder: Path) -> Path:
    """Link each page below a reports folder to the ones before and after it, and write the index of them all."""
    sections = []
    for kind, heading in _KINDS.items():
        pages = sorted(path for path in (folder / kind).glob("*.html") if path.stem[:1].isdigit())
        for place, page in enumerate(pages):
            _link(page, pages[place - 1] if place else None, next(iter(pages[place + 1 :]), None))
        sections.append({"heading": heading, "pages": [_listed(page, kind) for page in reversed(pages)]})
    index = folder / "index.html"
    replace_file(
        index,
        _environment()
        .get_template("index.html")
        .render(
            sections=sections,
            has_catalog=(folder / "catalog.html").exists(),
            has_data_docs=(folder / "data_docs" / "index.html").exists(),
        ),
    )
    return index


def _link(page: Path, before: Path | None, after: Path | None) -> None:
    links = [
        f'<a href="{other.name}"{rel}>{word} {other.stem}</a>'
        for other, word, rel in ((before, "Before:", ' rel="prev"'), (after, "After:", ' rel="next"'))
        if other is not None
    ]
    nav = (
        '<!-- neighbours --><nav class="neighbours no-print" aria-label="Other reports">'
        f'<a href="../index.html">All reports</a>{"".join(links)}</nav><!-- /neighbours -->'
    )
    old = page.read_text(encoding="utf-8")
    new = _NEIGHBOURS.sub(lambda _: nav, old, count=1)
    if new != old:
        replace_file(page, new)


def _listed(page: Path, kind: str) -> dict[str, Any]:
    others = [
        (name, f"{kind}/{page.stem}{ending}")
        for ending, name in _OTHERS.items()
        if page.with_suffix(ending).exists()
    ]
    if page.with_suffix(".csv").is_dir():
        others.append(("CSV", f"{kind}/{page.stem}.csv/"))
    return {"name": page.stem, "href": f"{kind}/{page.name}", "others": others}


@cache
def _environment() -> Environment:
    environment = page_environment()
    add_parts(environment)
    return environment
