"""nanodollar sql: what an analyst types, in four formats, without a way to write."""

import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pipelines.project import Project
from tests.pipelines.small import gateway_row, make_project, nanodollar, write_lines

COMMAND = [sys.executable, "-c", "from pipelines.cli.main import main; main()"]
QUERY = "SELECT request_id, effective_usd FROM core.request_costs ORDER BY 1"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("company"))
    rows = [
        gateway_row("r1", "2026-11-02 09:10:00"),
        gateway_row("r2", "2026-11-02 09:20:00", model="house-model"),
    ]
    write_lines(project.folder / "landing/gateway/a.jsonl", rows)
    nanodollar(project, "run")
    return project


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

    assert done.stdout == b"attempts\n2\n"


def test_macros_answer_without_a_schema_prefix(company: Project) -> None:
    outcome = nanodollar(
        company, "sql", "SELECT DISTINCT price_state FROM explain_cost('r2')", "--format", "csv"
    )

    assert outcome.out == "price_state\nunpriced\n"


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM core.requests", "CREATE TABLE core.mine (x INTEGER)", "DROP TABLE core.request_costs"],
)
def test_nothing_can_be_written(company: Project, statement: str) -> None:
    outcome = nanodollar(company, "sql", statement)

    assert outcome.code == 1
    assert "read-only" in outcome.err
    assert nanodollar(company, "sql", QUERY, "--format", "csv").out.count("\n") == 3


def test_a_wrong_query_is_one_sentence(company: Project) -> None:
    outcome = nanodollar(company, "sql", "FROM core.request_cost")

    assert outcome.code == 1
    assert outcome.err.startswith("Error: Catalog Error: Table with name request_cost does not exist!")
    assert "Traceback" not in outcome.err


def test_a_project_that_never_ran_says_so(tmp_path: Path) -> None:
    outcome = nanodollar(make_project(tmp_path), "sql", QUERY)

    assert outcome.code == 1
    assert "run `nanodollar run` first" in outcome.err
