"""A figure: one query over the published file, its answer, and what has to be known beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.explorer.charts import beside_its_table
from pipelines.explorer.published import OpenedVersion
from pipelines.reports.view import View, ViewColumn
from pipelines.reports.wording import share

Link = Callable[[Mapping[str, Any]], str | None]
ROWS_SHOWN = 50
_LONG = 40
_SHORT = 20


@dataclass(frozen=True)
class Figure(View):
    """A table, or a row of tiles: exactly what its SQL answers."""

    sql: str = ""
    coverage: str = ""
    """How much of what it is about is in it: a sentence that stands beside it."""
    notes: tuple[str, ...] = ()
    links: Mapping[str, Link] = field(default_factory=dict)
    """Where a value of a column leads."""
    chart: Markup | None = None
    is_detail: bool = False
    """Whether it tells of single requests."""
    form: str = "table"
    """table, tiles (its first row), or data (a table that a chart shows)."""

    @property
    def shown(self) -> pl.DataFrame:
        return self.rows.head(ROWS_SHOWN)

    @property
    def shown_columns(self) -> tuple[ViewColumn, ...]:
        """Columns of the table: the first, and those that are not empty in all rows; the files have them all."""
        first, *others = self.columns
        return (
            first,
            *(
                column
                for column in others
                if column.style != "text" or self.rows.get_column(column.name).null_count() < self.rows.height
            ),
        )

    def is_number(self, column: ViewColumn) -> bool:
        """Whether a column's values stand to the right, beneath each other."""
        return column.style != "text" or self.shown.schema[column.name].is_numeric()

    @cached_property
    def classes(self) -> dict[str, str]:
        """The class of each column: dates, instants and short texts stay on one line, long texts need room."""
        return {column.name: self._class_of(column) for column in self.shown_columns}

    def _class_of(self, column: ViewColumn) -> str:
        kind = self.shown.schema[column.name]
        if self.is_number(column):
            return "n"
        if kind != pl.String:
            return "unbroken" if kind.is_temporal() else "middle"
        longest = max(map(len, self.shown.get_column(column.name).drop_nulls()), default=0)
        return "unbroken" if longest <= _SHORT else "long" if longest > _LONG else "middle"


def ask(
    opened: OpenedVersion,
    name: str,
    title: str,
    sql: str,
    columns: Sequence[ViewColumn],
    *,
    coverage: str | None = None,
    notes: Sequence[str] = (),
    links: Mapping[str, Link] | None = None,
    none: str = "Nothing in this period.",
    chart: Callable[[pl.DataFrame], Markup | None] | None = None,
    is_detail: bool = False,
    form: str = "table",
) -> Figure:
    """Run a query and return its figure.

    Args:
        opened: the published file.
        name: of the figure, in addresses and downloads.
        title: what it shows.
        sql: the query, whole: whoever runs it gets the same rows.
        columns: what is shown of them.
        coverage: the sentence beside it; None: made of the columns `tokens` and `unpriced_tokens`.
        notes: what else a reader must know.
        links: where values lead.
        none: what is said of no rows.
        chart: draws the rows.
        is_detail: whether it tells of single requests.
        form: see Figure.
    """
    rows = opened.answer(sql)
    drawn = chart(rows) if chart is not None and rows.height else None
    return Figure(
        name,
        title,
        tuple(columns),
        rows,
        none,
        sql=sql,
        coverage=priced_sentence(rows) if coverage is None else coverage,
        notes=tuple(notes),
        links=links or {},
        chart=None if drawn is None else beside_its_table(drawn),
        is_detail=is_detail,
        form=form,
    )


def text_of(value: object, name: str = "") -> str:
    """Write a value of a column of texts; midnight is the date alone, but for a column of hours."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        if name.endswith("_hour"):
            return f"{value:%Y-%m-%d %H:%M}"
        return f"{value:%Y-%m-%d}" if value.time() == time() else f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Decimal):
        return f"{value.normalize():,f}"
    return ", ".join(map(text_of, value)) if isinstance(value, list) else str(value)


def priced_sentence(rows: pl.DataFrame) -> str:
    """Say how many of the tokens of a figure have a price; those without are in no dollars."""
    if not {"tokens", "unpriced_tokens"} <= {*rows.columns}:
        return ""
    tokens, unpriced = (int(rows.get_column(name).sum() or 0) for name in ("tokens", "unpriced_tokens"))
    if not tokens:
        return "No tokens are in it."
    if not unpriced:
        return "All tokens have a price."
    return (
        f"{share(1 - unpriced / tokens)} of tokens have a price; {unpriced:,} without one are in no dollar."
    )
