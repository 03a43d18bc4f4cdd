"""What steps read: tables by name, from the lake or, where they are held, from memory.

`Inputs(con, project)` is the lake. With `hold_all` other sheets stand in place of its reference tables (repricing).
With `hold` rows that were made of what landed, and are not built yet, stand in place of the lake's (the open day).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, TypeVar

import duckdb
import polars as pl

from models.schemas import table
from pipelines.project import Project
from pipelines.steps.base import Window

_NUMBERS = count()
_Made = TypeVar("_Made")
_COPIED_ROWS = 10_000
_NOT_OF_LARGE = "join_filter_pushdown"
"""What DuckDB 1.5 cannot do with Arrow's rows: push a join's filter into them."""
_SCHEMAS = ("raw", "ref", "core", "mart", "ops")


@dataclass(frozen=True)
class _HeldRows:
    """Rows that stand in place of the lake's: of all partitions, or of those in each span [first, last)."""

    rows: pl.DataFrame
    spans: tuple[tuple[Any, Any], ...] = ()


def _is_large(held: _HeldRows) -> bool:
    """Return whether SQL reads held rows where they are: a copy of all their columns would take longer."""
    return held.rows.height > _COPIED_ROWS


class Inputs:
    """Tables as steps read them; what is held is seen by SQL as well."""

    def __init__(self, con: duckdb.DuckDBPyConnection, project: Project) -> None:
        self.project = project
        self._con = con
        self._held: dict[str, _HeldRows] = {}
        self._shown: set[str] = set()
        self._memory: str | None = None
        self._made: dict[tuple[str, Window], tuple[tuple[str, ...], object]] = {}
        left_out = con.execute("SELECT current_setting('disabled_optimizers')").fetchall()[0][0].split(",")
        self._left_out = [name for name in left_out if name not in {"", _NOT_OF_LARGE}]
        self._is_for_large = _NOT_OF_LARGE in left_out

    def hold(self, dotted: str, rows: pl.DataFrame, *windows: Window) -> None:
        """Let the rows of a table's partitions in some windows stand in place of those of the lake."""
        is_hourly = isinstance(table(dotted).polars_schema[str(table(dotted).partition)], pl.Datetime)
        spans = ((one.start, one.end) if is_hourly else (one.from_on, one.to_on) for one in windows)
        self._held[dotted] = _HeldRows(rows, tuple(spans))
        self._shown.discard(dotted)
        self._forget(dotted)

    def hold_all(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Let whole tables stand in place of those of the lake."""
        for dotted, rows in frames.items():
            self._held[dotted] = _HeldRows(rows)
            self._shown.discard(dotted)
            self._forget(dotted)

    def once(self, name: str, window: Window, reads: tuple[str, ...], make: Callable[[], _Made]) -> _Made:
        """Return what several steps make of the same rows: made once, and anew after a table that it reads is held."""
        if (name, window) not in self._made:
            self._made[name, window] = (reads, make())
        return self._made[name, window][1]  # type: ignore[return-value]

    def _forget(self, dotted: str) -> None:
        for key in [key for key, (reads, _) in self._made.items() if dotted in reads]:
            del self._made[key]

    def query(
        self, sql: str, parameters: object = None, *, frames: Mapping[str, pl.DataFrame] | None = None
    ) -> pl.DataFrame:
        """Run a query over `schema.table` names, and over frames by names of their own, and return its rows."""
        named = {
            dotted
            for dotted in self._held
            if dotted in sql and re.search(rf"(?<!nanodollar\.)\b{re.escape(dotted)}\b", sql)
        }
        for dotted in named - self._shown:
            self._show(dotted)
        is_large = any(_is_large(self._held[dotted]) for dotted in named)
        for name, rows in (frames or {}).items():
            self._con.register(name, rows)
        self._fit_optimizers(is_large=is_large)
        found = self._con.execute(sql, parameters).pl()
        for name in frames or {}:
            self._con.unregister(name)
        return found

    def _fit_optimizers(self, *, is_large: bool) -> None:
        if is_large != self._is_for_large:
            left_out = [*self._left_out, _NOT_OF_LARGE] if is_large else self._left_out
            self._con.execute(f"SET disabled_optimizers = '{','.join(left_out)}'")
            self._is_for_large = is_large

    def rows(self, dotted: str, first: datetime, last: datetime, *, where: str = "true") -> pl.DataFrame:
        """Return the rows of the partitions of a table in [first, last).

        Args:
            dotted: an hourly table.
            first: the first hour.
            last: the hour after the last.
            where: a condition that rows of the lake must meet; what is held comes whole.
        """
        held, partition = self._held.get(dotted), str(table(dotted).partition)
        if held is None or (
            held.spans and all(last <= since or until <= first for since, until in held.spans)
        ):
            return self.stored(dotted, first, last, where=where)
        if held.spans == ((first, last),):
            return held.rows
        if any(since <= first and last <= until for since, until in held.spans):
            return held.rows.filter(pl.col(partition).is_between(first, last, closed="left"))
        return self.query(
            f"FROM {dotted} WHERE {partition} >= ? AND {partition} < ? AND {where}", [first, last]
        )

    def stored(self, dotted: str, first: datetime, last: datetime, *, where: str = "true") -> pl.DataFrame:
        """Return the rows of the partitions of a table in [first, last) as they stand in the lake."""
        partition = table(dotted).partition
        return self.query(
            f"FROM nanodollar.{dotted} WHERE {partition} >= ? AND {partition} < ? AND {where}", [first, last]
        )

    def whole(self, dotted: str) -> pl.DataFrame:
        """Return a table that is not partitioned."""
        held = self._held.get(dotted)
        return held.rows if held is not None else self._con.execute(f"FROM nanodollar.{dotted}").pl()

    def _show(self, dotted: str) -> None:
        """Let SQL see what is held of a table: a view in a database of its own that is searched before the lake."""
        held, partition = self._held[dotted], table(dotted).partition
        if self._memory is None:
            self._memory = f"held_{next(_NUMBERS)}"
            self._con.execute(f"ATTACH ':memory:' AS {self._memory}")
            for schema in _SCHEMAS:
                self._con.execute(f"CREATE SCHEMA {self._memory}.{schema}")
            path = [
                f"{place}.{schema}"
                for place in (self._memory, "nanodollar")
                for schema in ("main", *_SCHEMAS)
            ]
            self._con.execute(f"SET search_path = '{','.join(path)}'")
        name = f"shown_{dotted.replace('.', '_')}"
        rows = f"{self._memory}.main.{name}"
        # As Polars keeps them: DuckDB by itself would ask for a copy of every text.
        self._con.register(name, held.rows.to_arrow(compat_level=pl.CompatLevel.newest()))
        if _is_large(held):
            rows = f"temp.main.{name}"
        else:
            # Joins of a small table are the faster for it (`query`).
            self._con.execute(f"CREATE OR REPLACE TABLE {rows} AS FROM {name}")
            self._con.unregister(name)
        view = f"FROM {rows}"
        if held.spans:
            others = " AND ".join(
                f"({partition} < '{first}' OR {partition} >= '{last}')" for first, last in held.spans
            )
            view += f" UNION ALL BY NAME FROM nanodollar.{dotted} WHERE {others}"
        self._con.execute(f"CREATE OR REPLACE VIEW {self._memory}.{dotted} AS {view}")
        self._shown.add(dotted)

    def close(self) -> None:
        """Let go of what is held."""
        for dotted in self._shown:
            self._con.unregister(f"shown_{dotted.replace('.', '_')}")
        if self._memory is not None:
            self._con.execute("USE nanodollar")
            self._con.execute(f"DETACH DATABASE IF EXISTS {self._memory}")
        self._fit_optimizers(is_large=False)
        self._held.clear()
        self._shown.clear()
        self._made.clear()
        self._memory = None
