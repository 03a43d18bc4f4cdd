"""What was quarantined lands exactly once when its cause is mended: settings, a later importer, or the file itself."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.importers import importers
from pipelines.landing.retry import Retried, retry
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.lake import SETTINGS, call, count, files, lake, land_all, put, query, reasons
from tests.pipelines.small import make_project, nanodollar

NO_START = '{"request_id": "resp-late0001", "began": "2026-11-02T09:30:00Z", "output_text_tokens": 7}'


def lines(*records: dict[str, Any] | str) -> str:
    return "".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records)


def mapped(warehouse: Warehouse) -> Warehouse:
    """The project whose settings say under which name the start is found."""
    settings = SETTINGS.format(memory_mb=1024).replace(
        'kind = "requests"', 'kind = "requests"\ncolumns = {started_at = "began"}', 1
    )
    return Warehouse(make_project(warehouse.project.folder, settings))


def test_records_land_once_after_the_settings_are_mended(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "a.jsonl", lines(NO_START, "{half", NO_START.replace("late0001", "late0002")))
    land_all(warehouse)
    assert [(line, reason) for line, _, reason, _ in reasons(warehouse)] == [
        (1, "missing_started_at"), (2, "invalid_json"), (3, "missing_started_at"),
    ]  # fmt: skip

    mended = mapped(warehouse)
    first, second = list(retry(mended)), list(retry(mended))
    count(mended)

    assert first == [Retried("landing/calls/a.jsonl", 2, 1, "")]
    assert second == [Retried("landing/calls/a.jsonl", 0, 1, "")]
    assert [(line, reason) for line, _, reason, _ in reasons(mended)] == [(2, "invalid_json")]
    assert files(mended) == [("a.jsonl", 3, 2, 0, 1)]
    assert query(mended, "SELECT line_number FROM core.requests ORDER BY 1") == [(1,), (3,)]


def test_retried_records_open_their_hours_again(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "a.jsonl", lines(call(1), NO_START))
    land_all(warehouse)
    before = query(warehouse, "SELECT touched_hour, landed_at FROM ops.file_hours")

    list(retry(mapped(warehouse)))

    after = query(warehouse, "SELECT touched_hour, record_count, landed_at FROM ops.file_hours")
    assert [(row[0], row[1]) for row in after] == [(before[0][0], 2)]
    assert after[0][2] > before[0][1]


def test_a_later_importer_lands_what_an_earlier_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importer = importers()["requests"]
    body = lines(*(call(number) for number in range(1, 9)))
    with monkeypatch.context() as patch:
        # An earlier version could not read even counts.
        odd = pl.col("output_text_tokens") % 2 == 1
        earlier = replace(importer, canonical=lambda frame: importer.canonical(frame).with_columns(
            quarantine_reason=pl.when(~odd).then(pl.lit("bad_value")).otherwise("quarantine_reason")
        ))  # fmt: skip
        patch.setitem(importers(), "requests", earlier)
        warehouse = lake(tmp_path)
        put(warehouse, "a.jsonl", body)
        land_all(warehouse)
    assert files(warehouse) == [("a.jsonl", 8, 4, 0, 4)]

    list(retry(warehouse))
    count(warehouse)

    assert files(warehouse) == [("a.jsonl", 8, 8, 0, 0)]
    assert query(warehouse, "SELECT count(*), count(DISTINCT line_number) FROM core.requests") == [(8, 8)]


def test_a_mended_file_takes_its_records_out_of_the_quarantine(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "a.jsonl", lines(call(1), '{"request_id": "resp-00000002", ', call(3)))
    land_all(warehouse)
    put(warehouse, "a.jsonl", lines(call(1), call(2), call(3)))

    (done,) = retry(warehouse)
    count(warehouse)

    assert (done.landed, done.kept) == (0, 0)
    assert done.note.startswith("replaced by ")
    assert reasons(warehouse) == []
    # Which copy of a record wins goes by what they hold and not by which came first.
    assert [read for _, read, *_ in files(warehouse)] == [2, 3]
    assert np.sum([counts for _, *counts in files(warehouse)], axis=0).tolist() == [5, 3, 2, 0]
    assert query(warehouse, "SELECT count(*) FROM core.requests") == [(3,)]
    assert (
        "1 quarantined records came again"
        in query(warehouse, "SELECT note FROM ops.landed_files ORDER BY landed_at")[0][0]
    )


def test_a_rotated_log_does_not_count_as_mended(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "a.jsonl", lines(call(1), "{half"))
    land_all(warehouse)
    put(warehouse, "a.jsonl", lines(call(100)))

    (done,) = retry(warehouse)

    assert (done.landed, done.kept) == (0, 1)
    assert "holds another file now" in done.note
    assert len(reasons(warehouse)) == 1


def test_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    path = put(warehouse, "b.jsonl", lines("{half"))
    land_all(warehouse)
    path.unlink()

    assert list(retry(warehouse)) == [Retried("landing/calls/b.jsonl", 0, 1, "the file is gone")]


def test_a_file_of_which_nothing_could_be_read_lands_when_it_is_whole(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "a.parquet", b"PAR1 and then nothing")
    land_all(warehouse)
    land_all(warehouse)
    assert query(warehouse, "SELECT path, note FROM ops.landed_files") == [
        ("landing/calls/a.parquet", "unreadable: it is a broken Parquet file; deliver it again")
    ]

    pl.DataFrame([call(1)]).write_parquet(put(warehouse, "a.parquet", b""))
    (done,) = retry(warehouse)

    assert (done.landed, done.kept) == (1, 0)
    assert files(warehouse) == [("a.parquet", 1, 1, 0, 0)]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl.gz", "a.json"])
def test_rows_of_any_packing_are_found_again(tmp_path: Path, name: str) -> None:
    warehouse = lake(tmp_path)
    rows = [call(number) | {"began": call(number)["started_at"]} for number in range(1, 9)]
    for number in (2, 5):
        rows[number]["started_at"] = None
    frame = pl.DataFrame(rows)
    path = put(warehouse, name, b"")
    writers = {
        "a.csv": lambda: frame.write_csv(path),
        "a.parquet": lambda: frame.write_parquet(path),
        "a.jsonl.gz": lambda: path.write_bytes(gzip.compress(lines(*rows).encode())),
        "a.json": lambda: path.write_text(json.dumps(rows, indent=1)),
    }
    writers[name]()
    land_all(warehouse)
    bad = [line for line, *_ in reasons(warehouse)]

    mended = mapped(warehouse)
    (done,) = retry(mended)

    assert len(bad) == 2
    assert (done.landed, done.kept) == (2, 0)
    assert query(mended, "SELECT count(*), count(DISTINCT line_number) FROM raw.requests") == [(8, 8)]


def test_the_command_lists_and_retries(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "a.jsonl", lines(call(1), NO_START, "{half"))
    put(warehouse, "b.jsonl", b"PK\x03\x04zip")
    land_all(warehouse)
    warehouse.lake.close()

    listed = nanodollar(tmp_path, "quarantine", "list").out
    records = [
        json.loads(line) for line in nanodollar(tmp_path, "quarantine", "list", "--records").out.splitlines()
    ]
    mapped(warehouse)
    retried = nanodollar(tmp_path, "quarantine", "retry")

    assert "calls  landing/calls/a.jsonl: 1 invalid_json, first on line 3" in listed
    assert "calls  landing/calls/b.jsonl: unreadable: it is a broken zip file" in listed
    assert [record["line_number"] for record in records] == [2, 3]
    assert records[0]["skeleton"] == json.dumps(
        {"request_id": "text", "output_text_tokens": "integer", "(others)": 1}
    )
    assert retried.code == 0
    assert "1 records landed, 1 are still in quarantine" in retried.out
    assert (
        nanodollar(tmp_path, "quarantine", "list", "--source", "replicas").out == "The quarantine is empty.\n"
    )


def test_a_file_that_an_earlier_version_refused_whole_is_read_whole(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "a.jsonl", lines(*(call(number) for number in range(1, 4)), "{half"))
    land_all(warehouse)
    # As a version left it that took the file for one record.
    with warehouse.committing(run_id="earlier", job="raw") as commit:
        for dotted in ("raw.requests", "ops.file_hours"):
            commit.execute(f"DELETE FROM {dotted}")
        commit.execute("UPDATE ops.quarantine SET line_number = 1, reason = 'invalid_json'")
        commit.execute("UPDATE ops.landed_files SET read_count = 1, landed_count = 0, quarantined_count = 1")

    first, second = list(retry(warehouse)), list(retry(warehouse))
    count(warehouse)

    assert first == [Retried("landing/calls/a.jsonl", 3, 1, "")]
    assert second == [Retried("landing/calls/a.jsonl", 0, 1, "")]
    assert files(warehouse) == [("a.jsonl", 4, 3, 0, 1)]
    assert [(line, reason) for line, _, reason, _ in reasons(warehouse)] == [(4, "invalid_json")]
