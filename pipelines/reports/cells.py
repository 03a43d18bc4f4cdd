"""How a column of a report writes its values: the same decimals in every row, and exact figures beside them."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import polars as pl

from pipelines.reports.view import View, ViewColumn
from pipelines.reports.wording import duration, filled, rate

_FINE = 6
_LARGE_USD = 1
NOT_KNOWN = "–"
_WRITERS: dict[str, Callable[[Any], object]] = {
    "ratio": lambda ratio: f"−{filled(-ratio)}" if ratio < 0 else filled(ratio),
    "rate": rate,
    "seconds": duration,
    "growth": lambda ratio: f"{ratio:+,.1%}".replace("-", "−"),
}


def decimals_of(column: ViewColumn, rows: pl.DataFrame) -> int:
    """Return how many decimals a column of dollars has: cents, or more where all of it is less than a dollar."""
    sizes = [abs(value) for value in rows.get_column(column.name).drop_nulls().to_list()]
    return 2 if not sizes or max(sizes) >= _LARGE_USD or not max(sizes) else _FINE


def written(value: object, column: ViewColumn, decimals: int) -> str:
    """Write one value; what is not known is a dash, and what is too small for the decimals says so."""
    if value is None:
        return NOT_KNOWN if column.style != "text" else ""
    if column.style == "usd" and isinstance(value, Decimal):
        unit = Decimal(1).scaleb(-decimals)
        size = abs(value).quantize(unit, ROUND_HALF_EVEN)
        sign = "−" if value < 0 else ""
        return f"{sign}<${unit}" if not size and value else f"{sign if size else ''}${size:,}"
    if column.style == "count":
        return f"{value:,}"
    if column.style in _WRITERS:
        return str(_WRITERS[column.style](value))
    return str(value)


def totals(view: View) -> dict[str, Decimal | int]:
    """Return the sums of a view's columns that have one."""
    if view.rows.is_empty():
        return {}
    return {
        column.name: sum(known, type(known[0])(0))
        for column in view.columns
        if column.is_summed
        for known in [view.rows.get_column(column.name).drop_nulls().to_list()]
        if known
    }
