"""The cage: a query of the SQL page reads the published file, and can do nothing else nor for long."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from models.errors import DataError
from pipelines.explorer.cage import ROWS_SHOWN, Cage
from pipelines.explorer.published import attach
from pipelines.project import Project
from pipelines.warehouse.connect import memory_connection
from pipelines.warehouse.locked import reading_statements
from tests.pipelines.cli.test_sql import DOORS, QUERIES, READS, WRITES

MORE = """
    FROM read_text('{data}/warehouse.duckdb')
    ATTACH '{data}/warehouse.duckdb' AS mine (READ_ONLY)
    COPY (SELECT 1) TO '{temporary}/x.csv'
    FROM glob('{temporary}/*')
    FROM nanodollar.information_schema.tables, memory.main.x
    SELECT * FROM mart.savings; DROP TABLE mart.savings
    WITH x AS (DELETE FROM mart.savings RETURNING 1) FROM x
    SELECT content FROM read_blob('/proc/self/environ')
    SELECT content FROM read_text('/proc/self/maps')
    FROM pg_settings
    FROM pg_catalog.pg_prepared_statements
    COPY (SELECT '/*') TO '{temporary}/x.csv' (QUOTE "x", NULLSTR '*/ EXPLAIN ')
    SELECT '/*', (SELECT content FROM read_text('{temporary}/x')), '*/ EXPLAIN '
    EXPLAIN{line}--{line}ANALYZE COPY (SELECT 1) TO '{temporary}/x.csv'
    EXPLAIN /* */ ANALYZE COPY (SELECT 1) TO '{temporary}/x.csv'
    EXPLAIN (ANALYZE /* ) SELECT 1 -- */ ) COPY (SELECT 1) TO '{temporary}/x.csv'
    /* /* */ EXPLAIN SELECT 1 -- */ EXPLAIN ANALYZE COPY (SELECT 1) TO '{temporary}/x.csv'
    --{return}EXPLAIN ANALYZE COPY (SELECT 1) TO '{temporary}/x.csv' /*{line}EXPLAIN SELECT 1 -- */
    PRAGMA json_execute_serialized_sql('{{"statements": []}}')
"""


@pytest.fixture
def inside(company: Project, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session as it is in the cage."""
    with memory_connection() as con:
        attach(con, company.published, str(tmp_path))
        yield con


def test_no_statement_leaves_the_file(
    company: Project, inside: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    outside = company.folder / "outside.csv"
    outside.write_text("not to be read\n", encoding="utf-8")
    places = {
        "folder": company.folder,
        "data": company.published.parent,
        "catalog": company.catalog.removeprefix("sqlite:"),
        "outside": outside,
        "temporary": tmp_path,
        "line": "\n",
        "return": "\r",
    }
    before = company.published.read_bytes()

    escaped = []
    for line in (WRITES + READS + DOORS + MORE).strip().splitlines():
        statement = line.strip().format(**places)
        if not statement:
            continue
        try:
            for part in reading_statements(inside, statement):
                inside.execute(part).fetchall()
            escaped.append(statement)
        except (DataError, duckdb.PermissionException, duckdb.CatalogException, duckdb.ParserException):
            pass

    assert escaped == []
    assert company.published.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == []


def test_queries_are_answered(inside: duckdb.DuckDBPyConnection) -> None:
    for line in QUERIES.strip().splitlines():
        if "AT (VERSION" in line or "ducklake" in line:
            continue  # The lake's own; the file has no past.
        for statement in reading_statements(inside, line.strip()):
            inside.execute(statement).fetchall()


REFUSED = {
    "SELECT repeat('x', 3000000000)": "memory",
    "DELETE FROM mart.savings": "read-only and DELETE is not a query",
    "SELECT 1; SELECT 2": "There is 2 statements; write one",
    "FROM mart.nothing": "Table with name nothing does not exist",
    "  ": "no SQL",
}


def test_a_query_that_may_not_be_or_needs_too_much_is_one_sentence(company: Project) -> None:
    cage = Cage(seconds=60)
    for query, words in REFUSED.items():
        with pytest.raises(DataError, match=words):
            cage.ask(company.published, query)


def test_a_query_that_takes_long_is_ended(company: Project) -> None:
    query = "SELECT count(*) FROM range(1000000000000) a, range(1000) b WHERE a.range % 7 = b.range"
    with pytest.raises(DataError, match="took more than 1 second"):
        Cage(seconds=1).ask(company.published, query)


def test_an_answer_is_cut_where_it_is_long(company: Project) -> None:
    cage = Cage()
    long = cage.ask(company.published, "SELECT range, repeat('x', 5000) AS x, NULL AS n FROM range(5000)")
    wide = cage.ask(company.published, "SELECT repeat('é', 1999) AS x FROM range(2000)")
    file = cage.ask(company.published, "SELECT '=1+1' AS name, 0.5::DECIMAL(18,12) AS usd", "csv")

    assert [name for name, _ in long.columns] == ["range", "x", "n"]
    assert len(long.rows) <= ROWS_SHOWN
    assert long.is_cut
    assert long.rows[0][2] is None
    assert wide.is_cut
    assert file.content == b"name,usd\n'=1+1,0.500000000000\n"
    with pytest.raises(DataError, match=r"has 300,000 rows; a download has at most"):
        cage.ask(company.published, "FROM range(300000)", "parquet")
