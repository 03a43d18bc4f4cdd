"""DuckDB's SQLAlchemy dialect as Great Expectations needs it; its URL begins with `duckdb+buffered:`."""

from typing import Any

import duckdb_engine
from sqlalchemy.dialects import registry
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy


class _BufferedContext(duckdb_engine.Dialect.execution_ctx_cls):  # type: ignore[misc, valid-type]
    """Read each result at once: Great Expectations reads rows after its connection has closed."""

    def post_exec(self) -> None:
        description = self.cursor.description
        if description:
            self.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
                self.cursor, description, self.cursor.fetchall()
            )


class BufferedDuckDB(duckdb_engine.Dialect):
    """DuckDB's SQLAlchemy dialect with buffered results."""

    execution_ctx_cls = _BufferedContext
    supports_statement_cache = False

    def get_pk_constraint(self, *_: object, **__: object) -> Any:
        """Return no key, for slices have none; the inherited answer reads PostgreSQL's catalogue for seconds."""
        return {"constrained_columns": [], "name": None}


registry.register("duckdb.buffered", __name__, "BufferedDuckDB")
