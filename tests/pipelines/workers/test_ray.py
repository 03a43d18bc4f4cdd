"""A Ray cluster of several processes, a catalog in PostgreSQL, files in a store: the same rows as one process makes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
import ray

from models.errors import ConfigurationError
from pipelines.assets.computed import work_off
from pipelines.steps import steps_of
from pipelines.steps.base import Window
from pipelines.steps.computing import ROWS_AT_ONCE
from pipelines.warehouse.commit import newest_snapshot
from pipelines.warehouse.data_files import LakeFiles
from pipelines.warehouse.resource import Warehouse, frame
from pipelines.workers import ray_cluster
from tests.pipelines.assets.dying import MARK, killed_once
from tests.pipelines.assets.test_gpu_facts import END, FACTS, FIRST, SETTINGS, landed
from tests.pipelines.servers import AWS, postgres_server, s3_server

SHARED = """
[warehouse]
catalog = { env = "NANODOLLAR_TEST_CATALOG" }
data_path = "s3://lake/house"
[run]
engine = "ray"
processes = 2
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with s3_server() as store, postgres_server(tmp_path / "postgres", tmp_path) as catalog:
        names = {"AWS_ENDPOINT_URL": store, "NANODOLLAR_TEST_CATALOG": f"postgres:{catalog}"} | AWS
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        boto3.resource("s3", endpoint_url=store, region_name="us-east-1").create_bucket(Bucket="lake")
        # Workers take the environment of the cluster, as pods take theirs.
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
        yield
        ray.shutdown()


def prepared(folder: Path, settings: str) -> Warehouse:
    folder.mkdir()
    opened: Warehouse = landed(folder, settings + SETTINGS)
    return opened


def facts(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    window = Window(FIRST, END, datetime.now(UTC), "Asia/Kolkata")
    work_off(warehouse, tuple(steps_of("hourly")), window, run_id="facts")
    with warehouse.reading() as con:
        names = [f"core.{name}" for name in FACTS] + ["core.requests", "mart.cost_per_token_hourly"]
        return {
            name: frame(
                con,
                f"SELECT COLUMNS(c -> c NOT IN ('is_provisional', 'ingested_at')) FROM {name} ORDER BY ALL",
            ).rows()
            for name in names
        }


def test_workers_of_a_cluster_one_of_them_killed_make_the_rows_of_one_process(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cluster
    one = facts(prepared(tmp_path / "one", ""))
    monkeypatch.setitem(ROWS_AT_ONCE, "hourly", 1)
    monkeypatch.setattr(ray_cluster, "chunk_files", killed_once)
    shared = prepared(tmp_path / "shared", SHARED)
    with shared.reading() as con:
        before = newest_snapshot(con)
    assert facts(shared) == one
    assert (shared.project.folder / MARK).exists()
    with shared.reading() as con:
        # Six hours, each in a transaction of its own, of files that the workers have put into the store.
        assert newest_snapshot(con) == before + 6
        named = con.execute(
            "SELECT data_file FROM ducklake_list_files('nanodollar', 'request_costs', schema => 'core')"
        )
        files = {name for (name,) in named.fetchall()}
    assert len(files) == 6
    assert files <= LakeFiles(shared.project).listed().keys()


def test_a_lake_of_one_machine_is_not_worked_off_by_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROWS_AT_ONCE, "hourly", 1)
    warehouse = prepared(tmp_path / "own", '[run]\nengine = "ray"\nprocesses = 2\n')
    with pytest.raises(ConfigurationError, match="do not reach the lake"):
        facts(warehouse)
