"""LiteLLM's table in a real PostgreSQL: new rows land once, late ones too, and no prompt leaves the database."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from models.errors import DataError
from pipelines.landing.drive import LandingResult, land
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.lake import count, files, lake, query
from tests.pipelines.servers import postgres_server
from tests.pipelines.small import gateway_row

SOURCE = """
[[sources]]
name = "gateway"
kind = "litellm_spend_logs"
url = {{ env = "NANODOLLAR_TEST_POSTGRES" }}
"""
TABLE = """
CREATE TABLE "LiteLLM_SpendLogs" (
  request_id TEXT PRIMARY KEY, call_type TEXT NOT NULL, api_key TEXT NOT NULL DEFAULT '', spend FLOAT DEFAULT 0,
  total_tokens INT NOT NULL DEFAULT 0, prompt_tokens INT NOT NULL DEFAULT 0, completion_tokens INT NOT NULL DEFAULT 0,
  "startTime" TIMESTAMP(3) NOT NULL, "endTime" TIMESTAMP(3) NOT NULL, "completionStartTime" TIMESTAMP(3),
  model TEXT NOT NULL DEFAULT '', model_id TEXT DEFAULT '', model_group TEXT DEFAULT '',
  custom_llm_provider TEXT DEFAULT '', api_base TEXT DEFAULT '', "user" TEXT DEFAULT '', metadata JSONB DEFAULT '{}',
  cache_hit TEXT DEFAULT '', request_tags JSONB DEFAULT '[]', team_id TEXT, organization_id TEXT, end_user TEXT,
  messages JSONB DEFAULT '{}', response JSONB DEFAULT '{}', session_id TEXT, status TEXT,
  proxy_server_request JSONB DEFAULT '{}')
"""
MARKER = "the secret plan of the zebra"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres"), tmp_path_factory.mktemp("run")) as url:
        yield url


@pytest.fixture
def table(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[Any]]:
    monkeypatch.setenv("NANODOLLAR_TEST_POSTGRES", server)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute('DROP TABLE IF EXISTS "LiteLLM_SpendLogs"')
        connection.execute(TABLE)
        yield connection


def insert(table: psycopg.Connection[Any], request_id: str, started_at: str, **changes: Any) -> None:
    row = gateway_row(request_id, started_at, **changes)
    del row["litellm_call_id"]
    text = {"prompt": MARKER}
    row |= {name: json.dumps(text) for name in ("messages", "response", "proxy_server_request")}
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(row))
    table.execute(f'INSERT INTO "LiteLLM_SpendLogs" ({names}) VALUES ({marks})', list(row.values()))


def pulled(warehouse: Warehouse) -> LandingResult:
    (source,) = [item for item in warehouse.project.sources if item.name == "gateway"]
    return land(warehouse, source, run_id="test")


def test_only_new_rows_are_pulled_and_late_ones_are_not_missed(
    tmp_path: Path, table: psycopg.Connection[Any]
) -> None:
    warehouse = lake(tmp_path, more=SOURCE.format())
    insert(table, "chatcmpl-000001", "2026-11-02 09:00:00")
    insert(table, "chatcmpl-000002", "2026-11-02 11:00:00")
    first = pulled(warehouse).metadata()
    nothing = pulled(warehouse).metadata()
    # A call that began before the newest row and ended after it, a new one, and one beyond the overlap of 3 hours.
    insert(table, "chatcmpl-000003", "2026-11-02 10:00:00")
    insert(table, "chatcmpl-000004", "2026-11-02 12:00:00")
    insert(table, "chatcmpl-000005", "2026-11-02 07:00:00")
    second = pulled(warehouse).metadata()
    count(warehouse)

    assert (first["read"], nothing["files"], second["read"]) == (2, 0, 2)
    assert query(warehouse, "SELECT request_id[-1:] FROM core.requests ORDER BY 1") == [
        ("1",),
        ("2",),
        ("3",),
        ("4",),
    ]
    assert query(warehouse, "SELECT count(*) FROM ops.duplicates") == [(0,)]
    row = "SELECT cache_read_tokens, input_uncached_tokens, epoch(started_at) % 86400 FROM core.requests LIMIT 1"
    assert query(warehouse, row) == [(400, 600, 9 * 3600)]


def test_a_row_that_cannot_be_used_is_quarantined_once(
    tmp_path: Path, table: psycopg.Connection[Any]
) -> None:
    warehouse = lake(tmp_path, more=SOURCE.format())
    insert(table, "chatcmpl-000001", "2026-11-02 09:00:00", prompt_tokens=-5, cached_tokens=0)

    pulled(warehouse)
    pulled(warehouse)

    assert query(warehouse, "SELECT reason FROM ops.quarantine") == [("negative_tokens",)]


def test_no_prompt_and_no_free_text_leaves_the_database(
    tmp_path: Path, table: psycopg.Connection[Any]
) -> None:
    warehouse = lake(tmp_path, more=SOURCE.format())
    insert(
        table,
        "chatcmpl-000001",
        "2026-11-02 09:00:00",
        metadata={
            "error_information": {"error_class": "Timeout", "error_message": MARKER, "traceback": MARKER},
            "spend_logs_metadata": {"task_class": "coding", "note": MARKER},
            "guardrail_information": [{"request": MARKER}],
        },
    )

    pulled(warehouse)

    (extract,) = (tmp_path / "warehouse" / "landed" / "gateway").iterdir()
    text = gzip.decompress(extract.read_bytes()).decode()
    assert "chatcmpl-000001" in text
    assert MARKER not in text
    assert query(warehouse, "SELECT error_class, task_class, cache_read_tokens FROM raw.requests") == [
        ("Timeout", "coding", 400)
    ]


def test_a_pull_that_was_killed_is_done_again(tmp_path: Path, table: psycopg.Connection[Any]) -> None:
    warehouse = lake(tmp_path, more=SOURCE.format())
    insert(table, "chatcmpl-000001", "2026-11-02 09:00:00")
    folder = tmp_path / "warehouse" / "landed" / "gateway"
    folder.mkdir(parents=True)
    (folder / ".draft").write_bytes(b"half")
    (folder / "20261102T090000000000Z-20261102T090000000000Z.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))

    pulled(warehouse)
    count(warehouse)

    assert len([*folder.iterdir()]) == 1
    assert [row[1:] for row in files(warehouse)] == [(1, 1, 0, 0)]


def test_a_server_that_cannot_be_read_is_one_sentence(tmp_path: Path, table: psycopg.Connection[Any]) -> None:
    warehouse = lake(tmp_path, more=SOURCE.format())
    table.execute('DROP TABLE "LiteLLM_SpendLogs"')

    with pytest.raises(DataError, match='the table "LiteLLM_SpendLogs" is missing'):
        pulled(warehouse)
