"""Great Expectations on the partition's slice inside the lake; a suite derives from the table's schema.

The only importer of great_expectations. Results are Dagster asset checks with the failing ids, rows of
ops.check_results, and data docs in the project's reports folder.
"""

import os
import shutil
import threading
import warnings
from contextlib import ExitStack
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import duckdb_engine
import polars as pl
from sqlalchemy.dialects import registry
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
from sqlalchemy.pool import StaticPool

from models.schemas.base import Table
from pipelines.checks.domain import Bound, Outcome, record
from pipelines.partitions import dagster_previews, days_of, hours_of
from pipelines.warehouse.resource import Warehouse

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

_IDS_AT_MOST = 20
_COPIED_ROWS = 100_000
"""A slice of so few rows is read from the lake once, for all expectations."""
_ONE_AT_A_TIME = threading.Lock()


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


def suite_check(
    table: Table, *, hourly: dg.PartitionsDefinition[str], daily: dg.PartitionsDefinition[str]
) -> dg.AssetChecksDefinition:
    """Return the asset check that holds a table's rows against its schema."""
    name = "rows_match_the_schema"
    is_hourly = table.partition is not None and isinstance(table.polars_schema[table.partition], pl.Datetime)
    partitions_def = None if table.partition is None else hourly if is_hourly else daily

    def body(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.AssetCheckResult:
        bounds: tuple[Bound, Bound] | None = None
        if table.partition is not None:
            bounds = hours_of(context) if is_hourly else days_of(context)
        with warehouse.reading() as con:
            outcome = (None if bounds else _still_true(con, table, name)) or validate(
                con, table, bounds, docs=warehouse.project.reports / "data_docs"
            )
        docs = dg.MetadataValue.path(str(warehouse.project.reports / "data_docs" / "index.html"))
        return record(
            warehouse, context, name, table.dotted, outcome, bounds=bounds or (None, None), data_docs=docs
        )

    body.__name__ = f"{table.schema}_{table.name}_{name}"
    with dagster_previews():
        return dg.asset_check(
            asset=dg.AssetKey([table.schema, table.name]),
            name=name,
            description="Great Expectations: columns, required values, allowed words, bounds and the key",
            partitions_def=partitions_def,
        )(body)


def _still_true(con: duckdb.DuckDBPyConnection, table: Table, name: str) -> Outcome | None:
    """Return the last outcome of an unpartitioned table that passed and has not changed since."""
    found = con.execute(
        "SELECT c.summary FROM ops.check_results c JOIN ops.partitions p USING (table_name) "
        "WHERE c.table_name = ? AND c.check_name = ? AND c.is_passed AND c.checked_at >= p.changed_at "
        "ORDER BY c.checked_at DESC LIMIT 1",
        [table.dotted, name],
    ).fetchone()
    return Outcome(is_passed=True, summary=found[0]) if found else None


def validate(
    con: duckdb.DuckDBPyConnection, table: Table, bounds: tuple[Bound, Bound] | None, *, docs: Path
) -> Outcome:
    """Validate the slice of a table between two bounds (all of it without); the result is kept for the data docs."""
    where = "true"
    if bounds is not None:
        start, end = (f"'{_literal(bound)}'" for bound in bounds)
        where = f"{table.partition} >= {start} AND {table.partition} < {end}"
    slice_name = f"{table.schema}_{table.name}"
    query = f"FROM nanodollar.{table.dotted} WHERE {where}"
    with _ONE_AT_A_TIME, warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("ignore")
        import great_expectations as gx

        con.execute("USE memory")
        kind, count = "TABLE", _created(con, f"TABLE {slice_name} AS {query} LIMIT {_COPIED_ROWS + 1}")
        if count > _COPIED_ROWS:
            con.execute(f"DROP TABLE {slice_name}")
            kind, count = "VIEW", _created(con, f"VIEW {slice_name} AS {query}")
        stack.callback(con.execute, f"DROP {kind} {slice_name}")
        # One result per suite: the data docs show the latest.
        shutil.rmtree(docs.parent / ".gx" / "uncommitted" / "validations" / slice_name, ignore_errors=True)
        context = _context(docs)
        source = context.data_sources.add_or_update_sql(
            slice_name,
            connection_string="duckdb+buffered:///:memory:",
            kwargs={
                "creator": lambda: duckdb_engine.ConnectionWrapper(con.cursor()),
                "poolclass": StaticPool,
            },
        )
        batch = source.add_table_asset(slice_name, table_name=slice_name).add_batch_definition_whole_table(
            "slice"
        )
        suite = context.suites.add_or_update(
            gx.ExpectationSuite(name=slice_name, expectations=_expectations(table))
        )
        definition = context.validation_definitions.add_or_update(
            gx.ValidationDefinition(name=slice_name, data=batch, suite=suite)
        )
        checkpoint = gx.Checkpoint(
            name=slice_name,
            validation_definitions=[definition],
            actions=[],
            result_format={"result_format": "COMPLETE", "partial_unexpected_count": _IDS_AT_MOST},
        )
        result = context.checkpoints.add_or_update(checkpoint).run()
    return _outcome(next(iter(result.run_results.values())), table, count)


def _literal(bound: Bound) -> str:
    return bound.strftime("%Y-%m-%d %H:%M:%S+00") if isinstance(bound, datetime) else bound.isoformat()


def _created(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Create a table or view and return how many rows it has."""
    con.execute(f"CREATE {relation}")
    return int(con.execute(f"SELECT count(*) FROM {relation.split()[1]}").fetchall()[0][0])


@lru_cache(maxsize=1)
def _context(docs: Path) -> Any:
    """Keep suites and results in files, so that the data docs show every table; connections stay in memory."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, FilesystemStoreBackendDefaults

    store = docs.parent / ".gx"
    store.mkdir(parents=True, exist_ok=True)
    defaults = FilesystemStoreBackendDefaults(root_directory=str(store))
    defaults.data_docs_sites = {
        "nanodollar": {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)},
        }
    }
    config = DataContextConfig(
        store_backend_defaults=defaults, analytics_enabled=False, progress_bars={"globally": False}
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _expectations(table: Table) -> list[Any]:
    """One expectation per rule of the schema; values are judged in one pass, whatever the number of columns."""
    from great_expectations import expectations as gxe

    required = [column.name for column in table.columns if column.required]
    bounded = [(column.name, column.at_least) for column in table.columns if column.at_least is not None]
    listed = [(column.name, column.one_of) for column in table.columns if column.one_of is not None]
    key = ", ".join(table.key)
    found: list[Any] = [gxe.ExpectTableColumnsToMatchSet(column_set=table.column_names, exact_match=True)]
    rules = {
        "required values are there": [(name, f"{name} IS NULL") for name in required],
        "numbers are in their bounds": [(name, f"{name} < {least}") for name, least in bounded],
        "words are known": [
            (name, f"{name} NOT IN ({', '.join(repr(word) for word in words)})") for name, words in listed
        ],
    }
    for rule, cases in rules.items():
        if cases:
            broken = "CASE " + " ".join(f"WHEN {test} THEN '{name}'" for name, test in cases) + " END"
            query = f"SELECT {key}, {broken} AS broken_column FROM {{batch}} WHERE {broken} IS NOT NULL"
            found.append(gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, description=rule))
    double = f"SELECT {key}, 'key' AS broken_column FROM {{batch}} GROUP BY {key} HAVING count(*) > 1"
    found.append(gxe.UnexpectedRowsExpectation(unexpected_rows_query=double, description="the key is unique"))
    return found


def build_data_docs(docs: Path) -> None:
    """Render the latest result of every suite as pages in the reports folder."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _context(docs).build_data_docs()


def _outcome(result: Any, table: Table, count: int) -> Outcome:
    failed = [item for item in result.results if not item.success]
    ids: list[str] = []
    broken = 0
    for item in failed:
        config = item.expectation_config
        problem = (item.exception_info or {}).get("exception_message")
        observed = item.result.get("observed_value")
        broken += observed if isinstance(observed, int) else 1
        rows = (item.result.get("details") or {}).get("unexpected_rows") or []
        if not rows:
            ids.append(
                f"{config.description or config.type.removeprefix('expect_')}: {problem or 'see the data docs'}"
            )
        ids += [
            f"{row['broken_column']}: " + " ".join(str(row[name]) for name in table.key)
            for row in rows[:_IDS_AT_MOST]
        ]
    return Outcome(
        is_passed=not failed,
        failed_count=broken,
        failed_ids=ids,
        summary=(
            f"{len(failed)} of {len(result.results)} expectations on {table.dotted} fail ({count:,} rows)."
            if failed
            else f"All {len(result.results)} expectations hold on {count:,} rows of {table.dotted}."
        ),
    )
