"""A lake that a team shares: its catalog in PostgreSQL, its Parquet in an S3-compatible store."""

import contextlib
import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import duckdb
import psycopg
import pytest

from models.errors import DataError
from pipelines.project import Project, find_project
from pipelines.warehouse import damage
from pipelines.warehouse.connect import Lake
from pipelines.warehouse.resource import Warehouse
from tests.content_hashes import content_hashes
from tests.pipelines.servers import AWS, postgres_server, s3_server
from tests.pipelines.small import (
    HOUSE_SHEET,
    SETTINGS,
    gateway_row,
    make_project,
    nanodollar,
    query,
    write_company,
    write_lines,
)

WAREHOUSE = """\
[warehouse]
catalog = { env = "NANODOLLAR_TEST_CATALOG" }
data_path = "s3://lake/house"
"""
SPEND = "SELECT sum(usage_usd) FROM mart.cost_per_token_daily"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with s3_server() as store, postgres_server(tmp_path / "postgres", tmp_path) as catalog:
        names = {"AWS_ENDPOINT_URL": store, "NANODOLLAR_TEST_CATALOG": f"postgres:{catalog}"} | AWS
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        yield boto3.resource("s3", endpoint_url=store, region_name="us-east-1").create_bucket(Bucket="lake")


@pytest.fixture
def company(tmp_path: Path, bucket: Any) -> Project:
    del bucket
    project = write_company(tmp_path / "company")
    settings = SETTINGS.replace("[warehouse]\n", WAREHOUSE)
    (project.folder / "nanodollar.toml").write_text(settings, encoding="utf-8")
    return find_project(project.folder)


def test_a_lake_in_a_store_is_built_corrected_and_published_like_one_on_the_disk(
    company: Project, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = company.folder / "prices/tokens/house.yml"
    sheet.parent.mkdir(parents=True)
    sheet.write_text(HOUSE_SHEET.format(rate=99), encoding="utf-8")
    built = nanodollar(company, "run")
    assert built.code == 0, built.err
    sheet.write_text(HOUSE_SHEET.format(rate=10), encoding="utf-8")
    write_lines(company.folder / "landing/gateway/late.jsonl", [gateway_row("late", "2026-11-02 09:20:00")])
    corrected = nanodollar(company, "run")
    assert corrected.code == 0, corrected.err

    # The morning with r2 by its new price, and one call more: 600 x 0.15 + 400 x 0.075 + 200 x 0.60.
    assert query(company, SPEND) == [(Decimal("3.33038") + Decimal("0.00024"),)]
    assert query(company, "SELECT count(DISTINCT request_id) FROM raw.requests") == [(6,)]
    with duckdb.connect(str(company.published), read_only=True) as con:
        assert con.execute(SPEND).fetchall() == query(company, SPEND)
    assert {key.key.split("/")[0] for key in bucket.objects.all()} == {"house"}
    assert list(company.folder.rglob("*.parquet")) == []

    # Locked to the lake's files, SQL still reads them from the store, by the catalog in PostgreSQL.
    asked = nanodollar(company, "sql", SPEND, "--format", "csv")
    assert asked.out.splitlines()[1].rstrip("0") == "3.33062"
    for escape in ("FROM read_text('s3://lake/house/x')", "COPY (SELECT 1) TO 's3://lake/house/x.csv'"):
        assert nanodollar(company, "sql", escape).code == 1
    assert all("x.csv" not in key.key for key in bucket.objects.all())

    # Objects that are lost, cut or changed are told and built anew, and one that no commit names goes.
    facts = "FROM core.request_costs ORDER BY ALL"
    as_it_was = (query(company, SPEND), query(company, facts))
    objects = {key.key.split("/")[2]: key for key in bucket.objects.filter(Prefix="house/core/")}
    newest = {name: bucket.Object(key.key) for name, key in objects.items()}
    newest["request_costs"].delete()
    whole = newest["requests"].get()["Body"].read()
    newest["requests"].put(Body=whole[: len(whole) // 2])
    whole = newest["pool_hours"].get()["Body"].read()
    monkeypatch.setattr(damage, "_SETTLED", timedelta(0))
    newest["pool_hours"].put(Body=whole[:300] + bytes([whole[300] ^ 255]) + whole[301:])
    bucket.Object("house/core/requests/of_a_kill.parquet").put(Body=whole)
    mended = nanodollar(company, "run").out
    for name, what in (("request_costs", "is gone"), ("requests", "has "), ("pool_hours", "does not read (")):
        assert f"{newest[name].key} of core.{name} {what}" in mended
    assert (query(company, SPEND), query(company, facts)) == as_it_was
    assert not [key for key in bucket.objects.all() if "of_a_kill" in key.key]
    assert "nothing is new" in nanodollar(company, "run").out

    # Without its catalog the lake is not begun anew over its files.
    there = os.environ["NANODOLLAR_TEST_CATALOG"]
    with psycopg.connect(there.removeprefix("postgres:"), autocommit=True) as con:
        con.execute("CREATE DATABASE fresh")
    with monkeypatch.context() as patch:
        patch.setenv("NANODOLLAR_TEST_CATALOG", there.replace("/postgres?", "/fresh?"))
        lost = nanodollar(company, "run")
    assert lost.code == 1
    assert (
        "is empty, while the lake's files lie in s3://lake/house: closed months and corrections" in lost.err
    )

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    write_lines(company.folder / "landing/gateway/more.jsonl", [gateway_row("more", "2026-11-02 09:21:00")])
    refused = nanodollar(company, "run")
    assert refused.code == 1
    assert "The lake's files under s3://lake/house cannot be had (" in refused.err
    assert "AWS_ENDPOINT_URL and the AWS keys in the environment, and run it again." in refused.err


def test_a_shared_lake_outlives_a_restart_and_is_maintained_backed_up_and_read_by_analysts(
    company: Project, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pgserver  # It warns unless the fixture has said where its files go.

    server = pgserver.get_server(tmp_path / "postgres")

    def restart() -> None:
        pgserver.pg_ctl(
            ["restart", "-m", "immediate", "-w"], pgdata=tmp_path / "postgres", user=server.system_user
        )

    built = nanodollar(company, "run")
    assert "Computed" in built.out, built.err
    figures = content_hashes(company.folder)
    warehouse = Warehouse(company)
    for is_before in (True, False):
        with (
            contextlib.nullcontext()
            if is_before
            else pytest.raises(DataError, match="there whole or not at all"),
            warehouse.committing(run_id=f"{is_before}", job="x") as commit,
        ):
            if is_before:  # The claim is made again before the commit.
                restart()
            commit.execute("INSERT INTO ops.progress VALUES ('a task', ?, 1)", [f"{is_before}"])
            if not is_before:
                commit._actions.append(restart)
    kept = "SELECT key FROM ops.progress WHERE task = 'a task'"
    assert query(company, kept) == [("True",)]
    warehouse.lake.close()

    maintained = nanodollar(company, "maintain", "--keep-days", "0", "--now")
    assert maintained.code == 0, maintained.err
    backed_up = nanodollar(company, "backup", "s3://lake/backups")
    assert backed_up.code == 0, backed_up.err
    catalog = os.environ["NANODOLLAR_TEST_CATALOG"]
    with psycopg.connect(catalog.removeprefix("postgres:"), autocommit=True) as con:
        con.execute("CREATE DATABASE other")
        con.execute("CREATE ROLE analyst LOGIN")
        con.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO analyst")
    monkeypatch.setenv("NANODOLLAR_OTHER_CATALOG", catalog.replace("/postgres?", "/other?"))
    shared = ["--catalog-env", "NANODOLLAR_OTHER_CATALOG", "--data-path", "s3://lake/other"]
    for name, options in (("alone", []), ("shared", shared)):
        restored = nanodollar(None, "restore", "s3://lake/backups", str(tmp_path / name), *options)
        assert restored.code == 0, restored.err
        assert content_hashes(tmp_path / name) == figures
    assert (
        "holds a lake already"
        in nanodollar(
            None,
            "restore",
            "s3://lake/backups",
            str(tmp_path / "again"),
            *shared[:2],
            "--data-path",
            "s3://lake/more",
        ).err
    )
    largest = max(bucket.objects.filter(Prefix="backups/objects/"), key=lambda kept: kept.size)
    largest.put(Body=b"damaged")
    damaged = nanodollar(None, "restore", "s3://lake/backups", str(tmp_path / "again"))
    assert f"s3://{largest.bucket_name}/{largest.key}, which holds " in damaged.err
    assert "is damaged; nothing was restored" in damaged.err

    # A role that may only select reads all and writes nothing, whatever command it tries.
    monkeypatch.setenv("NANODOLLAR_TEST_CATALOG", catalog.replace("postgres:@", "analyst:@"))
    assert (
        nanodollar(company, "sql", "SELECT count(*) FROM core.requests", "--format", "csv").out.split()[1]
        == "5"
    )
    write_lines(company.folder / "landing/gateway/late.jsonl", [gateway_row("late", "2026-11-02 09:20:00")])
    for words in (["run"], ["maintain"]):
        refused = nanodollar(company, *words)
        assert refused.code == 1, refused.out
        assert "permission denied" in refused.err, refused.err
    assert content_hashes(company.folder) == figures


def test_a_second_folder_on_a_catalog_in_a_file_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    shared = f'catalog = "sqlite:{tmp_path}/it\'s.sqlite"\ndata_path = "{tmp_path}/d\'ata"\n'
    here, there = (
        make_project(tmp_path / name, SETTINGS.replace("[warehouse]\n", f"[warehouse]\n{shared}"))
        for name in ("here", "there")
    )
    first, beside = Lake(here), Lake(here)
    with first.writing(), beside.writing():  # processes of one folder take turns
        refused = nanodollar(there, "run")
    first.close()
    with beside.writing():
        still = nanodollar(there, "run")
    beside.close()

    for outcome in (refused, still):
        assert outcome.code == 1
        assert f"at work on this catalog ({socket.gethostname()}:{here.folder}): one machine" in outcome.err
    with Lake(there).writing() as con:
        assert con.execute("SELECT count(*) FROM raw.requests").fetchall() == [(0,)]
