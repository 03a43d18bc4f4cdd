"""Great Expectations on slices of tables inside the lake; a suite derives from the table's schema.

A slice whose rows keep all rules passes by one look in SQL. Great Expectations judges what does not, and what it is
asked to write pages of: one context, one data source, a batch for each slice. Its results are the data docs in the
reports folder. This is the only importer of great_expectations, which takes longer to import than a small run.
"""

import json
import os
import shutil
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from models.schemas.base import Table
from pipelines.checks.domain import Outcome
from pipelines.checks.rules import Slice, expectation_count, rows_that_keep_the_rules, value_rules
from pipelines.warehouse.turns import file_turn

SUITE_CHECK = "rows_match_the_schema"
_IDS_AT_MOST = 20
_COPIED_ROWS = 100_000
"""A slice of so few rows is read from the lake once, for all expectations."""
_IN_TURN = threading.Lock()
_STORE = ".gx"
_RESULTS = Path(_STORE, "uncommitted", "validations")


def judge_slices(con: duckdb.DuckDBPyConnection, slices: Sequence[Slice], *, docs: Path) -> list[Outcome]:
    """Hold slices against the schemas of their tables.

    Great Expectations judges those in which a rule is broken, and those whose page in the data docs says so of earlier
    rows; of the others is known that it would find nothing.

    Args:
        con: session on the lake.
        slices: at most one of each table.
        docs: folder of the data docs.

    Returns:
        An outcome for each slice, in order.
    """
    looked_at = [one for one in slices if not _page_fails(one.name, docs)]
    counts = {
        one.name: count
        for one, count in zip(looked_at, rows_that_keep_the_rules(con, looked_at), strict=True)
        if count is not None
    }
    judged = iter(expect(con, [one for one in slices if one.name not in counts], docs=docs))
    return [_passed(one.table, counts[one.name]) if one.name in counts else next(judged) for one in slices]


def expect(con: duckdb.DuckDBPyConnection, slices: Sequence[Slice], *, docs: Path) -> list[Outcome]:
    """Let Great Expectations judge slices, and keep its results for the data docs."""
    if not slices:
        return []
    with _turn(docs):
        context = _context(docs)
        source = _source(context, con)
        outcomes = []
        con.execute("USE memory")
        try:
            for one, count in zip(slices, _read(con, slices), strict=True):
                result = _validated(context, source, one)
                outcomes.append(_outcome(result, one.table, count))
                _keep(context, one.name, result, docs)
        finally:
            for one in slices:
                con.execute(f"DROP VIEW IF EXISTS {one.name}; DROP TABLE IF EXISTS rows_of_{one.name}")
            con.execute("USE nanodollar")
    return outcomes


def _page_fails(name: str, docs: Path) -> bool:
    """Return whether the result that the data docs show of a table is a failure, or cannot be read."""
    for file in (docs.parent / _RESULTS / name).rglob("*.json"):
        try:
            is_success = json.loads(file.read_text(encoding="utf-8"))["success"]
        except (ValueError, KeyError):
            return True
        if not is_success:
            return True
    return False


def has_results(docs: Path) -> bool:
    """Return whether Great Expectations has judged anything, so that there are data docs, or will be."""
    return (docs.parent / _RESULTS).is_dir()


@contextmanager
def stored_results(docs: Path) -> Iterator[dict[Path, dict[str, Any]]]:
    """Yield the results that are kept, by the page that shows each, while nobody writes another.

    One that cannot be read is dropped.
    """
    with _turn(docs):
        found = {}
        for file in sorted((docs.parent / _RESULTS).rglob("*.json")):
            page = docs / "validations" / file.relative_to(docs.parent / _RESULTS).with_suffix(".html")
            try:
                result = json.loads(file.read_text(encoding="utf-8"))
            except ValueError:
                result = None
            if isinstance(result, dict) and {"success", "results", "meta"} <= result.keys():
                found[page] = result
            else:
                file.unlink()
        yield found


@contextmanager
def _turn(docs: Path) -> Iterator[None]:
    """Hold Great Expectations' folder: it takes one writer, of this process or of any other."""
    with _IN_TURN, file_turn(docs.parent / _STORE / "lock"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@lru_cache(maxsize=1)
def _context(docs: Path) -> Any:
    """Keep results in files, so that the data docs show every table; all else stays in memory."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, FilesystemStoreBackendDefaults

    defaults = FilesystemStoreBackendDefaults(root_directory=str(docs.parent / _STORE))
    # Its own pages load scripts, styles and pictures from elsewhere: pipelines/reports/data_docs.py writes ours.
    defaults.data_docs_sites = {}
    config = DataContextConfig(
        store_backend_defaults=defaults, analytics_enabled=False, progress_bars={"globally": False}
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _source(context: Any, con: duckdb.DuckDBPyConnection) -> Any:
    """Return a data source on a session's own temporary tables."""
    import duckdb_engine
    from sqlalchemy.pool import StaticPool

    import pipelines.warehouse.buffered_duckdb  # noqa: F401 -- registers the dialect

    return context.data_sources.add_or_update_sql(
        "lake",
        connection_string="duckdb+buffered:///:memory:",
        kwargs={
            "creator": lambda: duckdb_engine.ConnectionWrapper(con.cursor()),
            "poolclass": StaticPool,
        },
    )


def _read(con: duckdb.DuckDBPyConnection, slices: Sequence[Slice]) -> list[int]:
    """Make a view of each slice in the session's own database, and return their numbers of rows."""
    con.execute("BEGIN")
    try:
        counts = [_view(con, one) for one in slices]
    except duckdb.Error:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")
    return counts


def _view(con: duckdb.DuckDBPyConnection, one: Slice) -> int:
    rows = f"rows_of_{one.name}"
    con.execute(f"CREATE OR REPLACE TABLE {rows} AS {one.query()} LIMIT {_COPIED_ROWS + 1}")
    ((count,),) = con.execute(f"SELECT count(*) FROM {rows}").fetchall()
    con.execute(f"CREATE OR REPLACE VIEW {one.name} AS FROM {rows}")
    if count > _COPIED_ROWS:
        con.execute(f"DROP TABLE {rows}; CREATE OR REPLACE VIEW {one.name} AS {one.query()}")
        ((count,),) = con.execute(f"SELECT count(*) FROM {one.name}").fetchall()
    return int(count)


def _validated(context: Any, source: Any, one: Slice) -> Any:
    """Return what Great Expectations finds in a slice."""
    import great_expectations as gx

    # A source that a context knows writes all of its settings down again with each asset.
    source._data_context = None  # noqa: SLF001
    asset = source.add_table_asset(one.name, table_name=one.name)
    definition = asset.add_batch_definition_whole_table("slice")
    source._data_context = context  # noqa: SLF001
    batch = definition.get_batch()
    suite = gx.ExpectationSuite(name=one.name, expectations=_expectations(one.table))
    result_format = {"result_format": "COMPLETE", "partial_unexpected_count": _IDS_AT_MOST}
    return batch.validate(suite, result_format=result_format)


def _keep(context: Any, name: str, result: Any, docs: Path) -> None:
    """Store a result in place of the one before, whose page goes too."""
    from great_expectations.core import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    for folder in (docs.parent / _RESULTS / name, docs / "validations" / name):
        shutil.rmtree(folder, ignore_errors=True)
    run_id = RunIdentifier(run_name="latest", run_time=datetime.now(UTC))
    result.meta |= {"run_id": run_id, "validation_time": run_id.run_time}
    key = ValidationResultIdentifier(
        expectation_suite_identifier=ExpectationSuiteIdentifier(name), run_id=run_id, batch_identifier="slice"
    )
    context.validation_results_store.set(key, result)


def _expectations(table: Table) -> list[Any]:
    """One expectation per rule of the schema; values are judged in one pass, whatever the number of columns."""
    from great_expectations import expectations as gxe

    key = ", ".join(table.key)
    found: list[Any] = [gxe.ExpectTableColumnsToMatchSet(column_set=table.column_names, exact_match=True)]
    for rule, cases in value_rules(table).items():
        broken = "CASE " + " ".join(f"WHEN {test} THEN '{name}'" for name, test in cases) + " END"
        query = f"SELECT {key}, {broken} AS broken_column FROM {{batch}} WHERE {broken} IS NOT NULL"
        found.append(gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, description=rule))
    double = f"SELECT {key}, 'key' AS broken_column FROM {{batch}} GROUP BY {key} HAVING count(*) > 1"
    found.append(gxe.UnexpectedRowsExpectation(unexpected_rows_query=double, description="the key is unique"))
    return found


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
    if not failed:
        return _passed(table, count)
    return Outcome(
        is_passed=False,
        failed_count=broken,
        failed_ids=ids,
        summary=(
            f"{len(failed)} of {len(result.results)} expectations on {table.dotted} fail ({count:,} rows)."
        ),
    )


def _passed(table: Table, count: int) -> Outcome:
    summary = f"All {expectation_count(table)} expectations hold on {count:,} rows of {table.dotted}."
    return Outcome(is_passed=True, summary=summary)
