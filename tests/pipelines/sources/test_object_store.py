"""A real S3 server: objects land like files, and one that has landed is not fetched again."""

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest

from models.errors import DataError
from pipelines.landing.drive import LandingResult, land
from pipelines.landing.retry import retry
from pipelines.sources.object_store import object_files
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.lake import call, lake, query
from tests.pipelines.servers import AWS, s3_server

SOURCE = """
[[sources]]
name = "bucket"
kind = "requests"
path = "s3://logs/{pattern}"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in ({"AWS_ENDPOINT_URL": server} | AWS).items():
        monkeypatch.setenv(name, value)
    store = boto3.resource("s3", endpoint_url=server, region_name="us-east-1")
    bucket = store.create_bucket(Bucket="logs")
    yield bucket
    bucket.objects.delete()
    bucket.delete()


def lines(*numbers: int) -> bytes:
    return "".join(f"{json.dumps(call(number))}\n" for number in numbers).encode()


def landed(warehouse: Warehouse) -> LandingResult:
    (source,) = [item for item in warehouse.project.sources if item.name == "bucket"]
    return land(warehouse, source, run_id="test")


def test_objects_land_like_files_and_once(tmp_path: Path, bucket: Any) -> None:
    target = io.BytesIO()
    pl.DataFrame([call(7)]).write_parquet(target)
    objects = {
        "a.jsonl": lines(1, 2),
        "2026/11/b.jsonl.gz": gzip.compress(lines(3)),
        "2026/c.parquet": target.getvalue(),
    }
    for key, body in objects.items():
        bucket.put_object(Key=key, Body=body)
    bucket.put_object(Key="2026/notes.md", Body=b"no log")
    warehouse = lake(tmp_path, more=SOURCE.format(pattern="**/*.[jp]*"))

    first, second = landed(warehouse).metadata(), landed(warehouse).metadata()

    assert (first["files"], first["read"], second["files"]) == (3, 4, 0)
    assert query(warehouse, "SELECT path, landed_count FROM ops.landed_files ORDER BY 1") == [
        ("s3://logs/2026/11/b.jsonl.gz", 1), ("s3://logs/2026/c.parquet", 1), ("s3://logs/a.jsonl", 2),
    ]  # fmt: skip


def test_a_large_object_is_read_in_pieces(tmp_path: Path, bucket: Any) -> None:
    rows = [json.dumps(call(number, route="x" * 3000)) for number in range(3200)]
    bucket.put_object(Key="large.jsonl", Body="\n".join(rows).encode())
    warehouse = lake(tmp_path, memory_mb=256, more=SOURCE.format(pattern="large.jsonl"))

    assert landed(warehouse).metadata()["landed"] == 3200


def test_a_replaced_object_is_read_again(tmp_path: Path, bucket: Any) -> None:
    warehouse = lake(tmp_path, more=SOURCE.format(pattern="*"))
    bucket.put_object(Key="a.jsonl", Body=lines(1) + b"{half\n")
    landed(warehouse)
    bucket.put_object(Key="a.jsonl", Body=lines(1, 2))

    (done,) = retry(warehouse)

    assert done.note.startswith("replaced by")
    assert query(warehouse, "SELECT count(DISTINCT request_id) FROM raw.requests") == [(2,)]


def test_an_object_that_is_gone_says_so(tmp_path: Path, bucket: Any) -> None:
    warehouse = lake(tmp_path, more=SOURCE.format(pattern="*"))
    bucket.put_object(Key="a.jsonl", Body=b"{half")
    landed(warehouse)
    bucket.objects.delete()

    assert [done.note for done in retry(warehouse)] == ["the file is gone"]


def test_patterns_cross_folders_only_with_two_stars(bucket: Any) -> None:
    for key in ("a.gz", "x/b.gz", "x/y/c.gz", "x/y/c.txt"):
        bucket.put_object(Key=key, Body=b"1")

    def keys(pattern: str) -> list[str]:
        return [file.path.removeprefix("s3://logs/") for file in object_files(f"s3://logs/{pattern}")]

    assert keys("*.gz") == ["a.gz"]
    assert keys("x/*.gz") == ["x/b.gz"]
    assert keys("**/*.gz") == ["a.gz", "x/b.gz", "x/y/c.gz"]
    assert keys("x/**") == ["x/b.gz", "x/y/c.gz", "x/y/c.txt"]
    assert keys("nothing/*.gz") == []
    assert keys("x/b.gz") == ["x/b.gz"]


def test_a_store_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    with pytest.raises(DataError, match=r"cannot be listed .*; check the bucket, AWS") as caught:
        object_files("s3://logs/*")

    assert "\n" not in str(caught.value)
