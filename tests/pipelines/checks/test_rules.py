"""The look in SQL at the rules of a schema, and what Great Expectations finds by the same rules."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.schemas import tables
from models.schemas.base import Table
from pipelines.checks.expectations import expect, judge_slices
from pipelines.checks.rules import Slice, rows_that_keep_the_rules
from pipelines.project import Project
from pipelines.warehouse.connect import Lake

TABLE = tables()["core.requests"]
BREAKS = {
    "a word that is not known": ("UPDATE core.requests SET status = 'great' WHERE request_id = 'r1'", ["status: "]),
    "a number below its bound": (
        "UPDATE core.requests SET output_text_tokens = -1 WHERE request_id IN ('r1', 'r2')",
        ["output_text_tokens: ", "output_text_tokens: "],
    ),
    "a key that is there twice": ("INSERT INTO core.requests FROM core.requests WHERE request_id = 'r3'", ["key: "]),
    "a required value that is not there": (
        """ALTER TABLE core.requests ALTER COLUMN status DROP NOT NULL;
        UPDATE core.requests SET status = NULL WHERE request_id = 'r1'""",
        ["status: "],
    ),
    "a column too few": ("ALTER TABLE core.requests DROP COLUMN trace_id", ["table_columns_to_match_set: "]),
}  # fmt: skip


def pages_of(table: Table, project: Project) -> list[bool]:
    """Return what the kept results of a table say."""
    folder = project.reports / ".gx/uncommitted/validations" / f"{table.schema}_{table.name}"
    return [json.loads(file.read_text(encoding="utf-8"))["success"] for file in folder.rglob("*.json")]


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_a_rule_is_named_by_great_expectations(company_copy: Project, name: str) -> None:
    statement, ids = BREAKS[name]
    docs = company_copy.reports / "data_docs"
    with Lake(company_copy).writing() as con:
        for part in statement.split(";"):
            con.execute(part)
        broken = Slice(table=TABLE)

        assert rows_that_keep_the_rules(con, [broken]) == [None]
        (outcome,) = judge_slices(con, [broken], docs=docs)

    assert not outcome.is_passed
    assert [any(found.startswith(each) for each in ids) for found in outcome.failed_ids] == [True] * len(ids)
    assert "expectations on core.requests fail" in outcome.summary
    assert pages_of(TABLE, company_copy) == [False]


def test_the_look_and_great_expectations_say_the_same_of_all_tables(company: Project, tmp_path: Path) -> None:
    stored = [
        table for table in tables().values() if table.schema in {"ref", "core", "mart"} and not table.select
    ]
    slices = [Slice(table=table) for table in stored]
    with Lake(company).reading() as con:
        looked = judge_slices(con, slices, docs=tmp_path / "data_docs")
        assert not (tmp_path / ".gx").exists(), "nothing is broken, so nothing else was asked"
        judged = expect(con, slices, docs=tmp_path / "data_docs")

    assert looked == judged
    assert all(outcome.is_passed for outcome in looked)
    assert sum("on 0 rows" not in outcome.summary for outcome in looked) > 10


def test_a_table_whose_page_shows_a_failure_gets_a_new_page_when_it_passes(company_copy: Project) -> None:
    docs = company_copy.reports / "data_docs"
    stricter = replace(
        TABLE,
        columns=tuple(
            replace(each, at_least=10**9) if each.at_least is not None else each for each in TABLE.columns
        ),
    )
    with Lake(company_copy).reading() as con:
        (failed,) = judge_slices(con, [Slice(table=stricter)], docs=docs)
        (passed,) = judge_slices(con, [Slice(table=TABLE)], docs=docs)

    assert (failed.is_passed, passed.is_passed) == (False, True)
    assert pages_of(TABLE, company_copy) == [True]
