"""Rows of a gateway are the same attempts whether they come as JSON lines, CSV or Parquet, plain or packed."""

import gzip
import io
import json
from collections.abc import Callable

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from tests.pipelines.landing.test_fuzz import land_alone
from tests.pipelines.small import gateway_row

ROWS = [
    gateway_row(
        f"chatcmpl-{number}",
        f"2026-11-02 09:{number:02}:00",
        request_tags='["team:search"]',
        spend=number / 8,
    )
    for number in range(1, 9)
]


def _lines() -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()


def _parquet(frame: pl.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.write_parquet(target)
    return target.getvalue()


def _nested() -> bytes:
    """Return Parquet whose nested fields are structs and lists, and whose instants are instants."""
    rows = [row | {name: json.loads(row[name]) for name in ("metadata", "request_tags")} for row in ROWS]
    instants = [pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S") for name in ("startTime", "endTime")]
    return _parquet(pl.DataFrame(rows).with_columns(instants))


PACKED: dict[str, Callable[[], bytes]] = {
    "csv": lambda: pl.DataFrame(ROWS).write_csv().encode(),
    "parquet": lambda: _parquet(pl.DataFrame(ROWS)),
    "nested parquet": _nested,
    "gzip": lambda: gzip.compress(_lines()),
    "zstd": lambda: pa.Codec("zstd").compress(_lines(), asbytes=True),
    "gzip of csv": lambda: gzip.compress(pl.DataFrame(ROWS).write_csv().encode()),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_packing_changes_no_attempt(name: str) -> None:
    plain, packed = (land_alone("litellm_spend_logs", content) for content in (_lines(), PACKED[name]()))

    assert (packed.usable.height, packed.bad.height) == (8, 0), packed.bad
    places = ("file_hash", "line_number", "ingested_at")
    assert_frame_equal(*(one.usable.sort("request_id").drop(places) for one in (plain, packed)))
