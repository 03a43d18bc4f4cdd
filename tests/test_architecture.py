"""Rules of the house that import-linter cannot say."""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from models.importers import importers
from models.schemas import tables
from models.schemas.dictionary import data_dictionary
from models.schemas.glossary import glossary_page
from pipelines.steps import in_order, steps
from pipelines.steps.base import Read, Step
from tests import reference

CODE = sorted(path for room in ("models", "pipelines") for path in Path(room).rglob("*.py"))
CLOCK = re.compile(r"\b(datetime\.now|utcnow|date\.today|time\.time|perf_counter|os\.environ|getenv)\b")
LAKE = re.compile(r"ducklake:|\bLake\b|lake\.writing")
LONGEST_FILE = 450
"""Lines; CONTRIBUTING aims at far fewer."""


def offenders(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """Return the lines that break a rule, as path:line."""
    return [
        f"{path}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_models_know_no_clock_and_no_environment() -> None:
    assert offenders(CLOCK, [path for path in CODE if path.parts[0] == "models"]) == []


def test_steps_know_no_clock_and_commit_nothing() -> None:
    files = [path for path in CODE if path.parts[:2] == ("pipelines", "steps")]

    assert offenders(CLOCK, files) == []
    assert offenders(re.compile(r"committing\(|lake\.writing"), files) == []


def test_a_computed_table_is_one_file_named_as_its_schema() -> None:
    """To add one: its schema, a function of models (or a mart's SQL), and its step; the rest derives from the step."""
    for name, step in steps().items():
        assert Path("pipelines/steps", f"{name.replace('.', '_')}.py").exists()
        assert {*step.tables} <= tables().keys()
        known = {read.table for read in step.inputs} - {"ops.landed_files"}
        assert known <= tables().keys()
    filled = [dotted for step in steps().values() for dotted in step.tables]
    assert len(filled) == len(set(filled))
    computed = {
        name for name, table in tables().items() if table.schema in {"core", "mart"} and table.select is None
    }
    assert computed - {*filled} == {"core.adjustments"}


def test_a_new_step_finds_its_place_by_what_it_reads() -> None:
    new = Step(table="mart.break_even", reads=(Read("mart.cost_by_chip"), "core.requests", "ref.chips"))
    others = [step for name, step in steps().items() if name != new.table]

    order = list(in_order([new, *reversed(others)]))

    assert order.index("mart.cost_by_chip") < order.index(new.table)
    assert order.index("core.requests") < order.index("mart.cost_by_chip")


def test_a_class_name_has_one_meaning() -> None:
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(str(path))

    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_a_column_is_described_once() -> None:
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for path in Path("models/schemas").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Column":
                words = {word.arg: word.value for word in node.keywords}
                if all(isinstance(words.get(word), ast.Constant) for word in ("name", "comment")):
                    homes[ast.unparse(node)].append(path.name)

    assert {column: files for column, files in homes.items() if len(files) > 1} == {}


def test_only_the_warehouse_opens_the_lake_for_writing() -> None:
    assert offenders(LAKE, [path for path in CODE if path.parts[:2] != ("pipelines", "warehouse")]) == []


def test_only_expectations_knows_great_expectations() -> None:
    others = [path for path in CODE if path != Path("pipelines/checks/expectations.py")]
    assert offenders(re.compile(r"import great_expectations|from great_expectations"), others) == []


def test_a_file_fits_in_a_head() -> None:
    long = [path for path in CODE if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE]
    assert long == []


@pytest.mark.parametrize("path", sorted(Path("models/marts").glob("*.sql")), ids=str)
def test_a_mart_says_what_a_row_is(path: Path) -> None:
    if path.name != "macros.sql":
        assert path.read_text(encoding="utf-8").startswith("-- One row per ")


def test_generated_pages_are_written_anew() -> None:
    written = Path("docs/data_dictionary.md").read_text(encoding="utf-8").rstrip()

    assert written == data_dictionary().rstrip(), "run `make docs`"
    assert Path("docs/glossary.md").read_text(encoding="utf-8") == glossary_page(), "run `make docs`"
    assert reference.COMMANDS.read_text(encoding="utf-8") == reference.commands_page(), "run `make docs`"
    assert reference.SETTINGS.read_text(encoding="utf-8") == reference.settings_page(), "run `make docs`"


@pytest.mark.parametrize("path", sorted(Path().glob("requirements*.lock")), ids=str)
def test_locks_are_hashed_and_name_no_registry(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert "--hash=sha256:" in text
    assert "index-url" not in text
    assert "://" not in text


@pytest.mark.parametrize("kind", importers())
def test_no_importer_tries_a_choice(kind: str) -> None:
    """DuckDB to 1.5.5 writes beyond its memory where TRY holds a CASE or a coalesce: models.records.tried."""
    importer = importers()[kind]
    fast = [importer.fast.select] if importer.fast is not None else []
    for select in (importer.select, *fast):
        parsed = duckdb.execute("SELECT json_serialize_sql(?::VARCHAR)", [select]).fetchall()[0][0]
        tree = json.loads(parsed)
        assert tree["error"] is False
        assert list(_tried_choices(tree, is_tried=False)) == []


def _tried_choices(node: Any, *, is_tried: bool) -> Iterator[str]:
    """Yield the choices inside of a TRY in a parsed statement; nullif is a CASE once it is bound."""
    if isinstance(node, list):
        for item in node:
            yield from _tried_choices(item, is_tried=is_tried)
    elif isinstance(node, dict):
        names = {str(node.get("type")), str(node.get("function_name"))}
        if is_tried:
            yield from names & {"CASE_EXPR", "OPERATOR_COALESCE", "nullif", "ifnull"}
        for value in node.values():
            yield from _tried_choices(value, is_tried=is_tried or "OPERATOR_TRY" in names)
