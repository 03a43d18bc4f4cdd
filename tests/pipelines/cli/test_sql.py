"""nanodollar sql: what an analyst types, in four formats, without a way to write."""

import contextlib
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from models.errors import DataError
from pipelines.project import Project, find_project
from pipelines.warehouse.locked import connect_locked, reading_statements
from tests.pipelines.small import make_project, nanodollar, query

COMMAND = [sys.executable, "-c", "from pipelines.cli.main import main; main()"]
QUERY = "SELECT request_id, effective_usd FROM core.request_costs WHERE request_id IN ('r1', 'r2') ORDER BY 1"


@pytest.fixture(scope="module")
def company(company: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy, in which nobody else makes files: what SQL must not write is looked for."""
    folder = tmp_path_factory.mktemp("sql") / "company"
    shutil.copytree(company.folder, folder)
    return find_project(folder)


def test_csv_json_and_table_say_the_same(company: Project) -> None:
    table = nanodollar(company, "sql", QUERY)
    csv = nanodollar(company, "sql", QUERY, "--format", "csv")
    answer = nanodollar(company, "sql", QUERY, "--format", "json")

    assert "0.000240000000" in table.out
    assert "NULL" in table.out
    assert csv.out == "request_id,effective_usd\nr1,0.000240000000\nr2,\n"
    assert json.loads(answer.out) == [
        {"request_id": "r1", "effective_usd": 0.00024},
        {"request_id": "r2", "effective_usd": None},
    ]


def test_no_form_of_an_answer_commands_a_terminal(company: Project) -> None:
    hostile = "\x1b[31m\x9b2J\u202egnp.exe\x07"
    query = "SELECT " + " || ".join(f"chr({ord(letter)})" for letter in hostile) + " AS name"
    shown = {
        form: nanodollar(company, "sql", query, "--format", form).out for form in ("table", "csv", "json")
    }

    assert [form for form, text in shown.items() if {*"\x1b\x9b\u202e\x07"} & {*text}] == []
    assert shown["csv"] == "name\n\\x1b[31m\\x9b2J\\u202egnp.exe\\x07\n"
    assert json.loads(shown["json"]) == [{"name": hostile}]


def test_parquet_goes_whole_to_standard_output(company: Project) -> None:
    done = subprocess.run(
        [*COMMAND, "--project", str(company.folder), "sql", QUERY, "--format", "parquet"],
        capture_output=True,
        check=True,
    )

    frame = pl.read_parquet(io.BytesIO(done.stdout))
    assert frame.get_column("request_id").to_list() == ["r1", "r2"]
    assert frame.schema["effective_usd"] == pl.Decimal(18, 12)


def test_sql_is_read_from_standard_input(company: Project) -> None:
    done = subprocess.run(
        [*COMMAND, "--project", str(company.folder), "sql", "--format", "csv"],
        input=b"SELECT count(*) AS attempts FROM core.requests;\n",
        capture_output=True,
        check=True,
    )

    assert done.stdout == b"attempts\n5\n"


def test_macros_answer_without_a_schema_prefix(company: Project) -> None:
    outcome = nanodollar(
        company, "sql", "SELECT DISTINCT price_state FROM explain_cost('r2')", "--format", "csv"
    )

    assert outcome.out == "price_state\nunpriced\n"


WRITES = """
    DELETE FROM core.requests
    UPDATE core.requests SET status = 'x'
    CREATE TABLE core.mine (x INTEGER)
    CREATE OR REPLACE MACRO schema_version() AS 'x'
    CREATE TEMP TABLE mine AS SELECT 1
    DROP TABLE core.request_costs
    ALTER TABLE core.requests ADD COLUMN x INTEGER
    COMMENT ON TABLE core.requests IS 'x'
    BEGIN; DELETE FROM core.requests; COMMIT
    SELECT 1; DELETE FROM core.requests
    EXPLAIN ANALYZE DELETE FROM core.requests
    /* SELECT */ EXPLAIN (ANALYZE) DELETE FROM core.requests
    DELETE FROM __ducklake_metadata_nanodollar.ducklake_table
    COPY core.requests FROM '{outside}'
    COPY (SELECT 1) TO '{folder}/x.csv'
    COPY (SELECT 1) TO '{data}/x.parquet'
    COPY core.requests TO '{data}/core/requests.parquet'
    EXPORT DATABASE '{data}/x'
    IMPORT DATABASE '{folder}'
    CALL ducklake_expire_snapshots('nanodollar', older_than => now())
    CALL ducklake_cleanup_old_files('nanodollar', cleanup_all => true)
    CALL ducklake_delete_orphaned_files('nanodollar', cleanup_all => true)
    CALL nanodollar.set_option('data_path', '/tmp')
    FROM ducklake_expire_snapshots('nanodollar', older_than => now())
    FROM sqlite_query('__ducklake_metadata_nanodollar', 'DELETE FROM ducklake_table RETURNING 1')
    FROM postgres_execute('x', 'DROP TABLE ducklake_table')
    CALL enable_logging(storage = 'file', storage_config = {{'path': '{data}/log'}})
    FROM enable_profiling()
    CHECKPOINT nanodollar
    VACUUM
"""
READS = """
    FROM '{outside}'
    FROM "{outside}"
    DESCRIBE '{outside}'
    SUMMARIZE '{outside}'
    SELECT content FROM read_text('{outside}')
    SELECT content FROM main."READ_BLOB"('{outside}')
    WITH a AS (FROM read_csv('{outside}')) FROM a
    SELECT (SELECT count(*) FROM glob('{folder}/*'))
    SELECT 1 WHERE 1 IN (SELECT x FROM read_json('{outside}') t(x))
    FROM read_text('{data}/core/*.parquet')
    FROM sniff_csv('{outside}')
    FROM parquet_metadata('{outside}')
    FROM parquet_kv_metadata('{outside}')
    FROM read_duckdb('{folder}/warehouse/warehouse.duckdb')
    FROM sqlite_scan('{catalog}', 'ducklake_table')
    FROM postgres_scan('host=127.0.0.1', 'public', 'x')
    FROM read_text('http://127.0.0.1:9/x')
    FROM query('FROM read_text(''{outside}'')')
    FROM query_table('{outside}')
    FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))
    FROM __ducklake_metadata_nanodollar.ducklake_table
    FROM __ducklake_metadata_nanodollar.main.ducklake_table
    FROM ducklake_table_insertions_of_nobody('x')
    EXPLAIN ANALYZE SELECT * FROM read_text('{outside}')
    FROM statement
    FROM company
    SELECT getenv('HOME')
    SELECT current_setting('s3_secret_access_key')
    FROM duckdb_secrets()
    FROM which_secret('s3://lake', 's3')
    FROM duckdb_settings()
    FROM duckdb_databases()
    FROM duckdb_databases
    FROM duckdb_logs
    PRAGMA database_list
"""
DOORS = """
    ATTACH '{catalog}' AS mine (TYPE sqlite)
    ATTACH 'ducklake:sqlite:{catalog}' AS mine
    ATTACH ':memory:' AS mine
    ATTACH IF NOT EXISTS '{folder}/warehouse/warehouse.duckdb'
    FROM sqlite_attach('{catalog}')
    DETACH nanodollar
    USE memory
    INSTALL httpfs
    LOAD json
    INSTALL x FROM 'http://127.0.0.1:9'
    SET enable_external_access = true
    RESET enable_external_access
    SET lock_configuration = false
    SET allowed_directories = ['/']
    SET temp_directory = '{data}'
    SET s3_endpoint = '127.0.0.1:9'
    SET VARIABLE x = 1
    PRAGMA enable_profiling = 'json'
    PRAGMA profile_output = '{data}/x'
    CREATE SECRET mine (TYPE s3)
    PREPARE mine AS DELETE FROM core.requests
    EXECUTE mine
    SELECT write_log('x')
"""


@pytest.mark.parametrize("table", [WRITES, READS, DOORS], ids=["writes", "reads", "doors"])
def test_sql_cannot_write_nor_read_other_files_nor_open_a_door(company: Project, table: str) -> None:
    outside = company.folder / "outside.csv"
    outside.write_text("not to be read\n", encoding="utf-8")
    places = {
        "folder": company.folder,
        "data": company.data_path,
        "catalog": company.catalog.removeprefix("sqlite:"),
        "outside": outside,
    }
    before = _files(company)

    escaped = []
    with connect_locked(company) as con:
        for line in table.strip().splitlines():
            statement = line.strip().format(**places)
            try:
                for part in reading_statements(con, statement):
                    con.execute(part).fetchall()
                escaped.append(statement)
            except DataError as error:
                if "read-only" not in str(error) and "not available here" not in str(error):
                    escaped.append(f"{statement}: {error}")
            except (duckdb.PermissionException, duckdb.CatalogException):
                pass  # the engine refuses it itself, or finds nothing by that name

    assert escaped == []
    assert _files(company) == before
    assert nanodollar(company, "sql", QUERY, "--format", "csv").out.count("\n") == 3


def _files(project: Project) -> dict[str, bytes]:
    files = [path for path in project.folder.rglob("*") if path.is_file() and not path.name.endswith("-shm")]
    return {str(path): path.read_bytes() for path in files}


def test_the_engine_itself_is_locked_too(company: Project) -> None:
    # Should a statement ever pass the first lock: neither files beside the lake's nor settings are in reach.
    (company.folder / "outside.csv").write_text("not to be read\n", encoding="utf-8")
    with connect_locked(company) as con:
        for statement in (
            f"FROM read_csv('{company.folder}/outside.csv')",
            f"COPY (SELECT 1) TO '{company.folder}/x.csv'",
            "DELETE FROM core.requests",
            "SET enable_external_access = true",
            "LOAD spatial",
        ):
            with pytest.raises(duckdb.Error, match=r"disabled|locked|read-only"):
                con.execute(statement)


QUERIES = """
    SHOW ALL TABLES
    DESCRIBE core.requests
    SUMMARIZE core.request_costs
    EXPLAIN ANALYZE SELECT count(*) FROM core.requests
    WITH a AS (FROM core.requests) SELECT count(*) FROM a, range(3), unnest([1, 2])
    FROM ops.partitions AT (VERSION => 9)
    FROM nanodollar.core.requests WHERE request_id IN (SELECT request_id FROM explain_cost('r1'))
    PIVOT core.requests ON status IN ('ok') USING count(*)
    FROM information_schema.tables
    FROM duckdb_columns()
    FROM ducklake_snapshots('nanodollar')
    VALUES (1)
    -- TABLE core.requests
    /* a word before */ TABLE core.requests;
"""


def test_every_way_to_ask_the_lake_still_answers(company: Project) -> None:
    with connect_locked(company) as con:
        for line in QUERIES.strip().splitlines():
            for statement in reading_statements(con, line.strip()):
                con.execute(statement).fetchall()
    listed = nanodollar(company, "sql", "SHOW TABLES; ", "--format", "csv")
    assert '\ncore.adjustments,"One row per' in listed.out
    assert nanodollar(company, "sql", "SELECT 41 + 1; SELECT 'and more'").out.count("│") > 4


def test_what_is_refused_is_one_sentence_on_the_command_line(company: Project) -> None:
    outcome = nanodollar(company, "sql", "DELETE FROM core.requests")

    assert outcome.code == 1
    assert outcome.err.startswith(
        "Error: This session is read-only and DELETE is not a query; write a query, such as"
    )
    assert "did you mean explain_cost()?" in nanodollar(company, "sql", "FROM explain_costs('r1')").err


def test_a_wrong_query_is_one_sentence_and_shows_the_place(company: Project) -> None:
    outcome = nanodollar(company, "sql", "FROM core.request_cost")

    assert outcome.code == 1
    lines = outcome.err.splitlines()
    assert lines[0] == 'Error: Table with name request_cost does not exist! Did you mean "request_costs"?'
    assert lines[1:] == ["LINE 1: FROM core.request_cost", " " * 13 + "^"]
    assert nanodollar(company, "sql", "SELECT x FROM core.requests").err.splitlines()[2] == " " * 15 + "^"


def test_a_project_that_never_ran_says_so(tmp_path: Path) -> None:
    outcome = nanodollar(make_project(tmp_path), "sql", QUERY)

    assert outcome.code == 1
    assert "run `nanodollar run` first" in outcome.err


def test_a_conversation_completes_names_remembers_lines_and_goes_on_after_an_error(company: Project) -> None:
    """On a terminal of its own: Tab, an unknown column, .schema, and the line that it keeps."""
    asked = (
        b"SELECT count(*) AS n FROM mart.cost_per_token_d\t;\n", b"SELECT nothing FROM mart.spend_daily;\n",
        b".schema savings\n", b".find who waits\n", b"SELECT 1\n\nhelp\n;\n", b".nothing\n", b"exit\n",
    )  # fmt: skip
    here, there = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "--project", str(company.folder), "sql"], stdin=there, stdout=there, stderr=there,
        env=os.environ | {"TERM": "dumb", "INPUTRC": "/dev/null"},
    ) as conversation:  # fmt: skip
        os.close(there)
        said = b""
        for number, line in enumerate(asked, start=1):
            while said.count(b"nanodollar> ") < number:
                said += os.read(here, 4096)
            os.write(here, line)
        assert conversation.wait() == 0
        with contextlib.suppress(OSError):  # what a terminal says whose other side has gone
            while more := os.read(here, 4096):
                said += more
    os.close(here)
    text = said.decode()
    (count,) = query(company, "SELECT count(*) FROM mart.cost_per_token_daily")[0]
    assert "FROM mart.cost_per_token_daily" in text
    assert re.search(rf"│\s+{count} │", text)
    assert 'column "nothing"' in text
    assert "What it would have saved" in text
    assert "mart.cold_start_waits" in text
    assert "End the query with ;" in text
    assert "Tab completes names" in text
    assert "There is no .nothing; write .help." in text
    kept = (company.folder / ".nanodollar.sql_history").read_text(encoding="utf-8")
    assert "SELECT nothing FROM mart.spend_daily;" in kept
