"""Let DuckDB take parameters of queries without importing pandas, which takes longer than a small run.

DuckDB's Python client asks of each parameter whether it is pandas' NaT or NA, and imports pandas to know them. It keeps
what it has imported then: here a module that has objects of its own in their place, and is pandas in all else as soon
as something else is asked of it. So a pandas frame can be read and made as ever; no parameter here is NaT or NA.
"""

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

import duckdb

_IS_KNOWN = threading.Event()


class _PandasLater(ModuleType):
    NaT = object()
    NA = object()

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("pandas"), name)


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
