"""Broken files and broken records: each a sentence, their good neighbours land, and nothing is lost."""

import gzip
import io
import json
import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from pipelines.landing.store import unreadable_files
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.lake import call, count, lake, land_all, put, query

GOOD = [json.dumps(call(number)).encode() for number in range(1, 6)]


def around(*bad: bytes) -> bytes:
    """Return bad lines with good ones before, between and behind them."""
    lines = [GOOD[0]]
    for number, line in enumerate(bad, start=1):
        lines += [line, GOOD[number % 5]]
    return b"\n".join(lines) + b"\n"


def parquet() -> bytes:
    target = io.BytesIO()
    pl.DataFrame([call(number) for number in range(1, 9)]).write_parquet(target)
    return target.getvalue()


def changed(**changes: object) -> bytes:
    return json.dumps(call(9, **changes)).encode()


HALF = gzip.compress(
    b"\n".join([*GOOD, *(changed(route=str(number) * 50) for number in range(999))]), mtime=0
)
ZSTD = pa.Codec("zstd").compress(b"\n".join(GOOD), asbytes=True)
LONG = b'{"route": "%s"}' % (b"x" * (24 << 20))
CSV = b"request_id,started_at,route,output_text_tokens\n"
ROW = b"resp-%d,2026-11-02T09:00:00Z,%s,5\n"

# name: (content, usable records, (line, reason) of every quarantined one)
RECORDS: dict[str, tuple[bytes, int, list[tuple[int, str]]]] = {
    "half a line.jsonl": (GOOD[0] + b"\n" + GOOD[1][:40], 1, [(2, "invalid_json")]),
    "two in a line.jsonl": (around(GOOD[2] + GOOD[3]), 2, [(2, "invalid_json")]),
    "interleaved.jsonl": (around(GOOD[2][:50] + GOOD[3] + GOOD[2][50:]), 2, [(2, "invalid_json")]),
    "no objects.jsonl": (around(b"[1]", b"5", b'"text"', b"null"), 5, [(n, "not_an_object") for n in (2, 4, 6, 8)]),
    "latin-1.jsonl": (around(GOOD[2].replace(b"openai", b"caf\xe9")), 2, [(2, "wrong_encoding")]),
    "twice the key.jsonl": (around(GOOD[2].replace(b"{", b'{"provider": "x", ', 1)), 2, [(2, "duplicate_key")]),
    "control character.jsonl": (around(GOOD[2].replace(b"openai", b"open\x01ai")), 2, [(2, "invalid_json")]),
    "lone surrogate.jsonl": (around(GOOD[2].replace(b"openai", b"\\ud800")), 2, [(2, "invalid_json")]),
    "nan.jsonl": (around(changed(output_text_tokens=float("nan"))), 2, [(2, "bad_value")]),
    "infinity.jsonl": (around(changed(output_text_tokens=float("inf"))), 2, [(2, "bad_value")]),
    "1e400.jsonl": (around(GOOD[2].replace(b'tokens": 3', b'tokens": 1e400')), 2, [(2, "bad_value")]),
    "half a token.jsonl": (around(changed(output_text_tokens=1.5)), 2, [(2, "bad_value")]),
    "negative.jsonl": (around(changed(output_text_tokens=-1)), 2, [(2, "negative_tokens")]),
    "an object for a count.jsonl": (around(changed(output_text_tokens={"n": 1})), 2, [(2, "bad_value")]),
    "no start.jsonl": (around(changed(started_at=None)), 2, [(2, "missing_started_at")]),
    "no time.jsonl": (around(changed(started_at="yesterday")), 2, [(2, "bad_value")]),
    "before the warehouse.jsonl": (around(changed(started_at="2026-10-31T23:59:59Z")), 2, [(2, "before_start_on")]),
    "in the future.jsonl": (around(changed(started_at="2099-01-01T00:00:00Z")), 2, [(2, "in_the_future")]),
    "never ends.jsonl": (around(changed(finished_at="2099-01-01T00:00:00Z")), 2, [(2, "in_the_future")]),
    "no word.jsonl": (around(changed(status="fine")), 2, [(2, "bad_value")]),
    "deep.jsonl": (around(GOOD[2].replace(b'"openai"', b"[" * 9000 + b"]" * 8999)), 2, [(2, "nested_too_deep")]),
    "long line.jsonl": (around(LONG, GOOD[1][:9]), 3, [(2, "record_too_long"), (4, "invalid_json")]),
    "null bytes.jsonl": (around(b"\0" * 40), 2, [(2, "invalid_json")]),
    "cut array.json": (b"[" + b",".join(GOOD)[:-20], 4, [(5, "invalid_json")]),
    "bad element.json": (b"[%s, 7, {1}, %s]" % (*GOOD[:2],), 2, [(2, "not_an_object"), (3, "invalid_json")]),
    "short rows.csv": (CSV + ROW % (1, b"a") + b"resp-2\n" + ROW % (3, b"b"), 2, [(3, "invalid_csv")]),
    "stray quote.csv": (CSV + ROW % (1, b'"a') + ROW % (2, b"b") + ROW % (3, b"c"), 2, [(2, "invalid_csv")]),
    "latin-1.csv": (CSV + ROW % (1, b"caf\xe9") + ROW % (2, b"b"), 1, [(2, "wrong_encoding")]),
    "words for numbers.csv": (CSV + ROW.replace(b",5", b",five") % (1, b"a") + ROW % (2, b"b"), 1, [(2, "bad_value")]),
    "truncated.jsonl.gz": (HALF[: len(HALF) // 2], -1, []),
}  # fmt: skip

# name: (content, what its note begins with)
FILES: dict[str, tuple[bytes, str]] = {
    "empty.jsonl": (b"", "no record in it"),
    "blank.jsonl": (b"\n \n", "no record in it"),
    "header only.csv": (CSV, "no record in it"),
    "truncated.gz": (HALF[:-9], "truncated gzip: its end is missing"),
    "damaged.gz": (HALF[:900] + b"\xff" * 60 + HALF[960:], "broken gzip: what follows the damage is lost"),
    "and more.gz": (HALF + b"and more", "bytes after the end of the gzip archive were passed over"),
    "truncated.zst": (ZSTD[:-9], "truncated zstd: what follows is lost"),
    "cut.utf16": (
        b"\n".join(GOOD).decode().encode("utf-16")[:-1],
        "recoded from utf-16; its last character is cut",
    ),
    "zip.jsonl": (b"PK\x03\x04 more", "unreadable: it is a broken zip file; deliver it again"),
    "cut.parquet": (parquet()[:-30], "unreadable: it is a broken Parquet file; deliver it again"),
    "other.parquet": (b"PAR1PAR1", "unreadable: it is a broken Parquet file"),
    "another.csv": (
        b"a,b\n1,2\n",
        "unreadable: it has none of the columns of requests but 2 that no format has",
    ),
    "twice.csv": (
        b"request_id,request_id\n1,2\n",
        "unreadable: its header names a column twice (request_id)",
    ),
}


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = lake(tmp_path_factory.mktemp("bad"), memory_mb=256)
    for name, (content, *_) in {**RECORDS, **FILES}.items():
        put(warehouse, name, content)
    land_all(warehouse)
    return warehouse


@pytest.mark.parametrize("name", RECORDS)
def test_a_bad_record_is_named_and_its_neighbours_land(landed: Warehouse, name: str) -> None:
    _, usable, bad = RECORDS[name]
    where = f"path = 'landing/calls/{name}'"

    (counts,) = query(
        landed, f"SELECT read_count, landed_count, quarantined_count FROM ops.landed_files WHERE {where}"
    )
    rows = query(landed, f"SELECT line_number, reason, detail FROM ops.quarantine WHERE {where} ORDER BY 1")

    assert counts[0] == counts[1] + counts[2]
    if usable >= 0:
        assert [row[:2] for row in rows] == bad
        assert counts[1:] == (usable, len(bad))
    assert all(row[2] for row in rows)


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_one_sentence(landed: Warehouse, name: str) -> None:
    _, note = FILES[name]

    (row,) = query(landed, f"SELECT note FROM ops.landed_files WHERE path = 'landing/calls/{name}'")

    assert row[0].startswith(note)
    assert "\n" not in row[0]


def test_what_came_before_the_damage_of_an_archive_is_kept(landed: Warehouse) -> None:
    names = ("truncated.jsonl.gz", "truncated.zst", "and more.gz")
    counts = [
        query(landed, f"SELECT landed_count FROM ops.landed_files WHERE path = 'landing/calls/{name}'")[0][0]
        for name in names
    ]

    assert 300 < counts[0] < 700
    assert counts[1] >= 0
    assert counts[2] == 1004


def test_landing_again_changes_nothing(landed: Warehouse) -> None:
    before = query(landed, "FROM ops.landed_files ORDER BY ALL")

    assert land_all(landed).files == []
    assert query(landed, "FROM ops.landed_files ORDER BY ALL") == before


def test_a_hostile_name_a_pipe_and_a_loop_of_links_stop_nothing(tmp_path: Path) -> None:
    warehouse = lake(tmp_path / "it's a project")
    folder = put(warehouse, "good.jsonl", GOOD[0]).parent
    put(warehouse, "nul.jsonl", json.dumps(call(6, served_model="a\0b", route="c\0")))
    put(warehouse, "nul.csv", CSV + ROW % (7, b"d\0"))
    for number, name in ((8, b"caf\xe9.jsonl"), (9, b"red \x1b[31m.jsonl")):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text(json.dumps(call(number)))
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "loop.jsonl").symlink_to("loop.jsonl")
    (folder / "nowhere.jsonl").symlink_to("gone")
    (folder / "folder.jsonl").mkdir()

    land_all(warehouse)
    count(warehouse)

    found = query(warehouse, "SELECT path[15:], landed_count, note FROM ops.landed_files ORDER BY 1")
    assert found == [
        ("caf\\xe9.jsonl", 1, None),
        ("good.jsonl", 1, None),
        ("loop.jsonl", 0, "unreadable: Too many levels of symbolic links"),
        ("nowhere.jsonl", 0, "unreadable: No such file or directory"),
        ("nul.csv", 1, None),
        ("nul.jsonl", 1, None),
        ("pipe.jsonl", 0, "unreadable: it is a named pipe, which is not read; write its content to a file"),
        ("red \\x1b[31m.jsonl", 1, None),
    ]
    assert query(warehouse, "SELECT served_model, route FROM core.requests WHERE route IS NOT NULL ORDER BY 1") == [
        ("a\ufffdb", "c\ufffd"), (None, "d\ufffd"),
    ]  # fmt: skip
    assert query(warehouse, "SELECT count(*) FROM core.requests") == [(5,)]
    # What is there no more is no file that cannot be read.
    for name in ("loop.jsonl", "nowhere.jsonl", "pipe.jsonl"):
        (folder / name).unlink()
    land_all(warehouse)
    assert unreadable_files(warehouse) == []


@pytest.mark.parametrize("data", [b"\n" * 300_000, b"{}\n" * 100_001, b"[" + b"{}," * 100_000 + b"{}]"])
def test_many_short_lines_are_read_in_blocks_of_bounded_rows(tmp_path: Path, data: bytes) -> None:
    warehouse = lake(tmp_path)
    put(warehouse, "short.jsonl.gz", gzip.compress(data))

    land_all(warehouse)

    bad = query(warehouse, "SELECT count(*), min(line_number), max(line_number) FROM ops.quarantine")
    assert bad == [(0, None, None) if data[:1] == b"\n" else (100_001, 1, 100_001)]
