"""The ways in that docs/clients.md shows, each with the real client: they find what `nanodollar sql` finds."""

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from models.schemas import tables
from pipelines.project import Project
from tests.pipelines.small import query

PAGE = Path("docs/clients.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(python|sh)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = [text for kind, text in SNIPPETS if kind == "python"]
CLI = [
    line
    for kind, text in SNIPPETS
    if kind == "sh"
    for line in text.splitlines()
    if line.startswith("duckdb ")
]


@pytest.fixture(scope="module")
def total(company: Project) -> Decimal:
    return Decimal(query(company, "SELECT sum(usage_usd) FROM mart.cost_per_token_daily")[0][0])


def figures(words: list[str], folder: Path) -> list[Decimal]:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Decimal(number) for number in re.findall(r"\d+\.\d+", done.stdout)]


@pytest.mark.parametrize("snippet", PYTHON, ids=["duckdb", "sqlalchemy", "live lake"])
def test_python_snippets_find_the_figure(
    company: Project, total: Decimal, snippet: str, tmp_path: Path
) -> None:
    script = tmp_path / "snippet.py"
    loaded = (
        'import duckdb_extensions\nfor name in ("ducklake", "sqlite_scanner"):\n'
        "    duckdb_extensions.import_extension(name)\n"
    )
    script.write_text(loaded + snippet, encoding="utf-8")
    found = figures([sys.executable, str(script)], company.folder)
    assert found
    assert all(abs(number - total) < Decimal("1e-9") for number in found)


def test_the_command_line_of_duckdb_finds_the_figure(company: Project, total: Decimal) -> None:
    (line,) = CLI
    sql = line.split('"')[1]
    client = Path(sys.executable).with_name("duckdb")
    published = str(company.published)
    assert figures([str(client), "-readonly", "-csv", published, sql], company.folder) == [total]


def test_every_table_and_column_of_the_published_file_says_what_it_is(company: Project) -> None:
    """Views included, and a client that opened the file read-only cannot write it."""
    with duckdb.connect(str(company.published), read_only=True) as con:
        bare = con.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
            "WHERE schema_name IN ('ref', 'core', 'mart', 'ops') AND coalesce(comment, '') = ''"
        ).fetchall()
        schemas = {name for (name,) in con.execute("SELECT schema_name FROM duckdb_schemas()").fetchall()}
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            con.execute("CREATE TABLE mart.mine (a INT)")
    assert bare == []
    assert "raw" not in schemas
    assert {table.schema for table in tables().values()} - {"raw"} <= schemas
