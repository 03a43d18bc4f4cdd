"""Rules of the house that import-linter cannot say."""

import ast
from pathlib import Path

import pytest

from models.schemas.dictionary import data_dictionary

CODE = sorted(path for room in ("models", "pipelines") for path in Path(room).rglob("*.py"))


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("path", [path for path in CODE if path.parts[0] == "models"], ids=str)
def test_models_know_no_clock_and_no_environment(path: Path) -> None:
    assert not names_in(path) & {"environ", "getenv", "utcnow", "now", "today"}


@pytest.mark.parametrize("path", CODE, ids=str)
def test_only_the_warehouse_opens_the_lake_for_writing(path: Path) -> None:
    if path.parts[:2] != ("pipelines", "warehouse"):
        text = path.read_text(encoding="utf-8")
        assert "ducklake:" not in text
        assert not names_in(path) & {"Lake", "writing"}


@pytest.mark.parametrize("path", CODE, ids=str)
def test_only_expectations_knows_great_expectations(path: Path) -> None:
    if path != Path("pipelines/checks/expectations.py"):
        assert "import great_expectations" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CODE, ids=str)
def test_a_file_fits_in_a_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


@pytest.mark.parametrize("path", sorted(Path("models/marts").glob("*.sql")), ids=str)
def test_a_mart_says_what_a_row_is(path: Path) -> None:
    if path.name != "macros.sql":
        assert path.read_text(encoding="utf-8").startswith("-- One row per ")


def test_the_data_dictionary_is_written_anew() -> None:
    written = Path("docs/data_dictionary.md").read_text(encoding="utf-8").rstrip()

    assert written == data_dictionary().rstrip(), "run `make docs`"


@pytest.mark.parametrize("path", sorted(Path().glob("requirements*.lock")), ids=str)
def test_locks_are_hashed_and_name_no_registry(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert "--hash=sha256:" in text
    assert "index-url" not in text
    assert "://" not in text
