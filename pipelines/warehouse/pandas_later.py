"""Let DuckDB and Arrow be used without importing pandas, which takes longer than much of a small run.

DuckDB's Python client asks of each parameter of a query whether it is pandas' NaT or NA, and imports pandas to know
them. It keeps what it has imported then: here a module that has objects of its own in their place, and is pandas in all
else as soon as something else is asked of it. Arrow looks for pandas when it first scans, and again when a frame of
pandas is to be made. So frames of pandas can be read and made as ever; no parameter here is NaT or NA.
"""

import importlib
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import duckdb

_IS_KNOWN = threading.Event()


class _PandasLater(ModuleType):
    NaT = object()
    NA = object()

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("pandas"), name)


class _NotYet:
    """Says to one thread that pandas is not installed."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        del path, target
        if name == "pandas" and threading.get_ident() == self._thread:
            raise ImportError(name)


def import_pandas_later(con: duckdb.DuckDBPyConnection) -> None:
    """Give the first parameter of a process to a session, unless pandas is there already."""
    if _IS_KNOWN.is_set() or "pandas" in sys.modules:
        return
    _IS_KNOWN.set()
    sys.modules["pandas"] = _PandasLater("pandas")
    try:
        con.execute("SELECT ?", [0])
    finally:
        del sys.modules["pandas"]


def import_arrow_without_pandas() -> None:
    """Import what DuckDB reads frames by, unless pandas is there already."""
    if "pyarrow.dataset" in sys.modules or "pandas" in sys.modules:
        return
    not_yet = _NotYet()
    sys.meta_path.insert(0, not_yet)
    try:
        importlib.import_module("pyarrow.dataset")
    finally:
        sys.meta_path.remove(not_yet)
