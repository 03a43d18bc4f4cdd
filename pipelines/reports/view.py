"""A table of a report as every format shows it."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

Style = Literal["text", "usd", "count", "ratio", "rate", "seconds", "growth"]
"""How values are written: `ratio` as a share, `rate` as dollars per million tokens."""


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view: its heading, how it is written, and whether its rows sum to a total."""

    name: str
    heading: str
    style: Style = "text"
    is_summed: bool = False


@dataclass(frozen=True)
class View:
    """One table of a report: what every format shows of it."""

    name: str
    title: str
    columns: tuple[ViewColumn, ...]
    rows: pl.DataFrame
    none: str = "None."
