"""Files in, attempts out: each content once, whatever it is packed in, however often and however late it comes."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.lake import call, count, files, lake, land_all, put, query, reasons

CALLS = [call(number) for number in range(1, 40)]


def lines(calls: list[dict[str, object]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in calls).encode()


def table(calls: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(calls)


def parquet(calls: list[dict[str, object]]) -> bytes:
    target = io.BytesIO()
    frame = table(calls).with_columns(pl.col("started_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%z"))
    frame.write_parquet(target, row_group_size=7)
    return target.getvalue()


PACKED = {
    "plain.jsonl": lines,
    "no newline at the end.jsonl": lambda calls: lines(calls).rstrip(b"\n"),
    "crlf.jsonl": lambda calls: lines(calls).replace(b"\n", b"\r\n"),
    "blank lines.jsonl": lambda calls: b"\n  \n" + lines(calls).replace(b"\n", b"\n\n"),
    "bom.jsonl": lambda calls: b"\xef\xbb\xbf" + lines(calls),
    "utf-16.jsonl": lambda calls: lines(calls).decode().encode("utf-16"),
    "utf-16-le without bom.jsonl": lambda calls: lines(calls).decode().encode("utf-16-le"),
    "gzip.jsonl.gz": lambda calls: gzip.compress(lines(calls)),
    "two members.gz": lambda calls: gzip.compress(lines(calls[:9])) + gzip.compress(lines(calls[9:])),
    "wrong suffix.txt": lambda calls: gzip.compress(lines(calls)),
    "zstd.jsonl.zst": lambda calls: pa.Codec("zstd").compress(lines(calls), asbytes=True),
    "array.json": lambda calls: json.dumps(calls).encode(),
    "pretty array.json": lambda calls: json.dumps(calls, indent=2).encode(),
    "pretty objects.json": lambda calls: "\n".join(json.dumps(row, indent=1) for row in calls).encode(),
    "table.csv": lambda calls: table(calls).write_csv().encode(),
    "semicolons.csv": lambda calls: table(calls).write_csv(separator=";").encode(),
    "quoted.csv.gz": lambda calls: gzip.compress(table(calls).write_csv(quote_style="always").encode()),
    "table.parquet": parquet,
    "table without suffix": parquet,
}  # fmt: skip


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A lake into which the same calls have landed from every packing."""
    warehouse = lake(tmp_path_factory.mktemp("packed"))
    for name, pack in PACKED.items():
        put(warehouse, name, pack(CALLS))
    land_all(warehouse)
    return warehouse


@pytest.mark.parametrize("name", PACKED)
def test_the_same_calls_land_from_whatever_they_are_packed_in(packed: Warehouse, name: str) -> None:
    rows = query(
        packed,
        "SELECT request_id, epoch(started_at), output_text_tokens FROM raw.requests WHERE file_hash = ("
        f"SELECT file_hash FROM ops.file_paths WHERE path = 'landing/calls/{name}') ORDER BY 1",
    )

    start = 1793610000
    assert rows == [(row["request_id"], start + number, number) for number, row in enumerate(CALLS, start=1)]


def test_no_packing_costs_a_record(packed: Warehouse) -> None:
    assert reasons(packed) == []
    # Some names hold the same bytes, which are read once.
    assert {row[1:] for row in files(packed)} == {(39, 39, 0, 0)}
    assert query(packed, "SELECT count(*) FROM ops.file_paths") == [(len(PACKED),)]


def test_a_landed_file_is_not_read_again_renamed_or_delivered_twice(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    path = put(warehouse, "a.jsonl", lines(CALLS))
    land_all(warehouse)
    put(warehouse, "again.jsonl", lines(CALLS))
    path.rename(path.with_name("renamed.jsonl"))

    done = land_all(warehouse)

    assert done.metadata() == {
        "files": 0, "files_of_the_source": 2, "read": 0, "landed": 0, "quarantined": 0, "ignored": 0,
    }  # fmt: skip
    assert files(warehouse) == [("a.jsonl", 39, 39, 0, 0)]


def test_a_grown_file_is_read_from_where_it_grew(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "log.jsonl", lines(CALLS[:10]) + b'{"request_id": "half')
    land_all(warehouse)
    assert reasons(warehouse) == [(11, 0, "invalid_json", "character 16: Unterminated string starting at")]

    put(
        warehouse,
        "log.jsonl",
        lines(CALLS[:10]) + b'{"request_id": "half", "started_at": "2026-11-02"}\n' + lines(CALLS[10:]),
    )
    land_all(warehouse)
    count(warehouse)

    # The half line has become whole: it is read once, and stands in the quarantine no more.
    assert reasons(warehouse) == []
    assert files(warehouse) == [("log.jsonl", 10, 10, 0, 0), ("log.jsonl", 30, 30, 0, 0)]
    assert query(warehouse, "SELECT min(line_number) FROM raw.requests WHERE request_id = 'half'") == [(11,)]
    assert query(warehouse, "SELECT count(*), count(DISTINCT request_id) FROM core.requests") == [(40, 40)]
    notes = query(warehouse, "SELECT note FROM ops.source_files ORDER BY landed_at")
    assert notes[0] == (None,)
    assert notes[1][0].startswith("grown: its first 10 lines were read as ")


def test_of_a_log_that_is_being_written_whole_lines_are_read_once(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    whole = lines(CALLS)
    for end in range(300, len(whole) + 1000, 1000):
        put(warehouse, "log.jsonl", whole[:end], is_growing=True)
        land_all(warehouse)

    assert reasons(warehouse) == []
    assert query(warehouse, "SELECT sum(read_count), count(*) > 5 FROM ops.landed_files") == [(39, True)]
    assert query(warehouse, "SELECT count(*), count(DISTINCT line_number) FROM raw.requests") == [(39, 39)]
    assert query(warehouse, "SELECT max(size_bytes) FROM ops.landed_files") == [(len(whole),)]


def test_equal_records_without_ids_stay_apart_when_their_file_has_grown(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    nameless = [{**call(1), "request_id": None}] * 3
    put(warehouse, "log.jsonl", lines(nameless[:2]))
    land_all(warehouse)

    put(warehouse, "log.jsonl", lines(nameless))
    land_all(warehouse)
    count(warehouse)

    # The whole file is read, since the third of three equal records is a third call.
    assert files(warehouse) == [("log.jsonl", 2, 2, 0, 0), ("log.jsonl", 3, 1, 2, 0)]
    assert query(warehouse, "SELECT count(*) FROM core.requests") == [(3,)]


def test_a_grown_archive_is_read_whole_and_what_it_held_before_drops(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "log.gz", gzip.compress(lines(CALLS[:10])))
    land_all(warehouse)

    put(warehouse, "log.gz", gzip.compress(lines(CALLS[:10])) + gzip.compress(lines(CALLS[10:15])))
    land_all(warehouse)
    count(warehouse)

    # Which copy of a record wins goes by what they hold and not by which came first.
    assert [read for _, read, *_ in files(warehouse)] == [10, 15]
    assert np.sum([counts for _, *counts in files(warehouse)], axis=0).tolist() == [25, 15, 10, 0]
    assert query(warehouse, "SELECT count(*) FROM core.requests") == [(15,)]


def test_a_file_of_many_hours_is_read_once_and_not_by_the_hours(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    path = put(warehouse, "days.jsonl", lines([call(1800 * number) for number in range(60)]))
    land_all(warehouse)
    path.unlink()

    count(warehouse)

    attempts = "SELECT count(*), count(DISTINCT date_trunc('hour', started_at)) FROM core.requests"
    assert query(warehouse, attempts) == [(60, 30)]


def test_a_replaced_file_adds_its_new_records_and_takes_none_away(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "day.jsonl", lines(CALLS[:10]))
    land_all(warehouse)
    corrected = [call(5, output_text_tokens=500)]
    put(warehouse, "day.jsonl", lines([*CALLS[8:12], *corrected]))

    land_all(warehouse)
    count(warehouse)

    # 9 and 10 come again, 11 and 12 are new, 5 is corrected.
    assert files(warehouse) == [("day.jsonl", 10, 9, 1, 0), ("day.jsonl", 5, 3, 2, 0)]
    total = sum(range(1, 13)) - 5 + 500
    assert query(warehouse, "SELECT count(*), sum(output_text_tokens) FROM core.requests") == [(12, total)]
    assert (
        "whose records stay" in query(warehouse, "SELECT note FROM ops.source_files ORDER BY landed_at")[1][0]
    )


def test_many_small_files_share_a_part_of_the_lake_and_keep_their_lines(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    for number in range(30):
        put(
            warehouse,
            f"{number:02}.json",
            lines(CALLS[number : number + 1]) + (b"{broken\n" if number == 7 else b""),
        )

    land_all(warehouse)

    assert [row[1:] for row in files(warehouse)] == [
        (2, 1, 0, 1) if n == 7 else (1, 1, 0, 0) for n in range(30)
    ]
    assert query(warehouse, "SELECT DISTINCT line_number FROM raw.requests") == [(1,)]
    (row,) = query(warehouse, "SELECT line_number, byte_offset, byte_length, path FROM ops.quarantine")
    assert row == (2, len(lines(CALLS[7:8])), 8, "landing/calls/07.json")
    assert query(
        warehouse, "SELECT count(*) FROM ducklake_list_files('nanodollar', 'requests', schema => 'raw')"
    ) == [(1,)]


@pytest.mark.parametrize("memory_mb", [256, 1024])
def test_a_file_of_many_blocks_lands_as_one_of_a_single_block(tmp_path: Path, memory_mb: int) -> None:
    warehouse = lake(tmp_path, memory_mb=memory_mb)
    calls = [
        call(number % 3000, request_id=f"resp-{number:08d}", route="x" * 900) for number in range(12_000)
    ]
    body = lines(calls).split(b"\n")
    body[9_000] = body[9_000][:50]
    put(warehouse, "big.jsonl", b"\n".join(body))

    land_all(warehouse)

    assert files(warehouse) == [("big.jsonl", 12_000, 11_999, 0, 1)]
    assert query(
        warehouse, "SELECT count(*) FROM raw.requests WHERE line_number = request_id[6:]::INT + 1"
    ) == [(11_999,)]
    (bad,) = query(warehouse, "SELECT line_number, byte_offset, byte_length FROM ops.quarantine")
    assert bad == (9_001, len(b"\n".join(body[:9_000])) + 1, 51)


def test_a_source_that_matches_no_file_says_so(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)

    assert land_all(warehouse).metadata()["files_of_the_source"] == 0


def test_each_record_of_each_file_is_an_attempt_a_listed_duplicate_or_quarantined(tmp_path: Path) -> None:
    more = '[[sources]]\nname = "sdk"\nkind = "requests"\npath = "landing/sdk/*"\n'
    warehouse = lake(tmp_path, more=more)
    rng = np.random.default_rng(11)
    for number in range(6):
        rows = [call(int(at), tenant=f"t{rng.integers(0, 2)}") for at in rng.integers(1, 30, 25)]
        text = lines(rows) + b"{half\n" * int(rng.integers(0, 3)) + lines([call(3, started_at=None)])
        put(warehouse, f"{'../sdk/' if number % 2 else ''}{number}.jsonl", text)
    land_all(warehouse, "calls", "sdk")
    count(warehouse)

    rows = query(
        warehouse,
        "SELECT read_count - accepted_count - duplicate_count - quarantined_count, accepted_count - ("
        "SELECT count(*) FROM core.requests r WHERE r.file_hash = f.file_hash AND r.source = f.source), "
        "duplicate_count - ("
        "SELECT count(*) FROM ops.duplicates d WHERE d.file_hash = f.file_hash AND d.source = f.source) "
        "FROM ops.source_files f",
    )
    unnamed = query(
        warehouse,
        "SELECT count(*) FROM ops.duplicates d WHERE NOT EXISTS (FROM raw.requests r WHERE r.source = d.winner_source "
        "AND r.file_hash = d.winner_file_hash AND r.line_number = d.winner_line_number "
        "AND r.dedupe_key = d.dedupe_key)",
    )

    assert rows == [(0, 0, 0)] * 6
    assert unnamed == [(0,)]
    assert query(warehouse, "SELECT count(*) = count(DISTINCT request_id) FROM core.requests") == [(True,)]


def test_files_that_several_sources_read_count_once(tmp_path: Path) -> None:
    names = [f"{kind}_{place}" for kind in ("requests", "replica_events") for place in "ab"]
    blocks = [
        f'[[sources]]\nname = "{name}"\nkind = "{name[:-2]}"\npath = "landing/{name[:-2]}.jsonl"\n'
        for name in names
    ]
    warehouse = lake(tmp_path, more="".join(blocks).replace("landing/requests", "landing/calls/a"))
    put(warehouse, "a.jsonl", "".join(f"{json.dumps(call(number))}\n" for number in range(3)))
    life = {"replica_id": "r", "deployment": "d", "chip": "H100"}
    events = [
        life | {"event": event, "event_at": call(at)["started_at"]}
        for at, event in enumerate(("ready", "stopped"))
    ]
    (warehouse.project.folder / "landing/replica_events.jsonl").write_text("\n".join(map(json.dumps, events)))

    land_all(warehouse, "calls", *names)
    count(warehouse)

    assert query(warehouse, "SELECT source, count(*) FROM core.requests GROUP BY ALL") == [("calls", 3)]
    assert query(warehouse, "SELECT DISTINCT source FROM core.replica_events") == [("replica_events_a",)]
    assert query(
        warehouse, "SELECT source, read_count, accepted_count, duplicate_count FROM ops.source_files ORDER BY 1"
    ) == [
        ("calls", 3, 3, 0), ("replica_events_a", 2, 2, 0), ("replica_events_b", 2, 0, 2), ("requests_a", 3, 0, 3),
        ("requests_b", 3, 0, 3),
    ]  # fmt: skip
