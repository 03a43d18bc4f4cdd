"""A lake that an older version made is brought up to date by whoever writes to it next."""

from pathlib import Path

import duckdb
import pytest

from models.schemas import table
from pipelines.warehouse.commit import is_conflict
from pipelines.warehouse.connect import Lake
from pipelines.warehouse.publish import publish
from pipelines.warehouse.statistics import METADATA
from tests.pipelines.small import make_project

OLDER = """
CREATE OR REPLACE VIEW ref.model_families AS SELECT 'gone' AS name, NULL::VARCHAR AS model_family;
DROP VIEW core.cost_lines;
DROP MACRO TABLE spend;
ALTER TABLE ref.pool_models DROP COLUMN sheet_path;
{stamp}
"""

INSERT = (
    "INSERT INTO ref.pool_models BY NAME SELECT 'nebius' AS provider, '{model}' AS model, "
    "'llama-3.3-70b' AS model_family, '{path}' AS sheet_path"
)


@pytest.mark.parametrize(
    "stamp",
    [
        "CREATE OR REPLACE MACRO schema_version() AS 'older'",
        "DROP MACRO schema_version",
    ],
    ids=["of another version", "from before lakes had a version"],
)
def test_views_macros_and_columns_of_an_older_lake_are_made_anew(tmp_path: Path, stamp: str) -> None:
    project = make_project(tmp_path)
    lake = Lake(project)
    with lake.writing() as con:
        con.execute(INSERT.format(model="Ours", path="prices/gpu/nebius.yml"))
        con.execute(OLDER.format(stamp=stamp))
    lake.close()

    lake = Lake(project)
    with lake.writing() as con:
        assert con.execute("FROM ref.model_families").fetchall() == [("ours", "llama-3.3-70b")]
        assert con.execute("FROM spend('2026-01-01', '2026-02-01', 'booked')").fetchall() == []
        assert con.execute("SELECT sheet_path FROM ref.pool_models").fetchall() == [(None,)]
        assert con.execute("SELECT count(*) FROM core.cost_lines").fetchone() == (0,)
    lake.close()


def test_a_lake_of_this_version_is_left_as_it_is(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    counts = []
    for _ in range(2):
        lake = Lake(project)
        with lake.writing() as con:
            counts.append(con.execute("SELECT count(*) FROM ducklake_snapshots('nanodollar')").fetchone())
        lake.close()
    assert counts[0] == counts[1]


REQUIRED = """
SELECT table_schema FROM information_schema.columns
WHERE table_name = 'replica_events' AND column_name = 'deployment' AND is_nullable = 'NO'
"""


def test_a_column_that_is_no_longer_required_may_be_null_in_the_lake_and_where_it_is_published(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path)
    created = (
        table("raw.replica_events").ddl()[0].replace("deployment VARCHAR", "deployment VARCHAR NOT NULL")
    )
    lake = Lake(project)
    with lake.writing():
        publish(project, lake)
    with duckdb.connect(str(project.published)) as con:
        con.execute("ALTER TABLE core.replica_events ALTER COLUMN deployment SET NOT NULL")
    with lake.writing() as con:
        con.execute("DROP TABLE raw.replica_events")
        con.execute(created)
        con.execute("CREATE OR REPLACE MACRO schema_version() AS 'older'")
        assert con.execute(REQUIRED).fetchall() == [("raw",)]
    lake.close()

    lake = Lake(project)
    with lake.writing() as con:
        assert con.execute(REQUIRED).fetchall() == []
    lake.close()
    publish(project)
    with duckdb.connect(str(project.published), read_only=True) as con:
        assert con.execute(REQUIRED).fetchall() == []


def test_a_few_rows_are_kept_in_files_and_not_in_the_catalog(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    lake = Lake(project)
    with lake.writing() as con:
        con.execute(INSERT.format(model="ours", path="nebius.yml"))
        con.execute(INSERT.format(model="other", path="nebius.yml"))
        con.execute("DELETE FROM ref.pool_models WHERE model = 'ours'")
        kept = con.execute(f"SELECT table_name FROM {METADATA}.ducklake_inlined_data_tables").fetchall()
        rows = sum(
            con.execute(f"SELECT count(*) FROM {METADATA}.{name}").fetchall()[0][0] for (name,) in kept
        )
    lake.close()

    assert rows == 0
    assert len([*(tmp_path / "warehouse/data/ref/pool_models").glob("*.parquet")]) >= 2


@pytest.mark.parametrize(
    ("message", "is_one"),
    [
        ("Failed to commit DuckLake transaction: Transaction conflict - attempting to insert", True),
        ("Failed to commit DuckLake transaction.\nExceeded the maximum retry count of 10", True),
        ('duplicate key value violates unique constraint "ducklake_snapshot_pkey"', True),
        ("UNIQUE constraint failed: ducklake_snapshot.snapshot_id", True),
        ("database is locked", True),
        ("Constraint Error: NOT NULL constraint failed: requests.started_at", False),
        ("Binder Error: Referenced column not found", False),
    ],
)
def test_a_commit_that_another_came_before_is_told_from_other_errors(message: str, is_one: bool) -> None:
    assert is_conflict(duckdb.Error(message)) is is_one
