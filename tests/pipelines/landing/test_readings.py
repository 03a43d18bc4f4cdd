"""A record is what it is however it is read: fast or plain, alone or among others."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from models.importers import importers
from models.schemas import table
from pipelines.landing.read import Layout, ReadBlock, Reader
from pipelines.landing.records import Records
from pipelines.landing.split import Piece
from pipelines.warehouse.connect import memory_connection
from tests.pipelines.landing.test_fuzz import LETTERS, VALUES
from tests.pipelines.small import gateway_row

FAST = [kind for kind, importer in importers().items() if importer.fast is not None]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
WHOLE: dict[str, list[dict[str, Any]]] = {
    "litellm_spend_logs": [
        gateway_row("chatcmpl-000001", "2026-11-02 09:00:00"),
        gateway_row("chatcmpl-000002", "2026-11-02 09:00:00") | {"metadata": {"usage_object": USAGE}},
    ],
}
"""Records of the kinds that are read in two ways, nested fields as objects and as texts."""


@pytest.fixture(scope="module")
def readers() -> Iterator[dict[str, tuple[Reader, Reader]]]:
    """Return two readers of a kind: as it is, and by its plain way only."""
    with memory_connection() as con:
        con.execute("SET threads = 1")
        held = {
            kind: (
                Reader(con, importers()[kind], {}, b"key"),
                Reader(con, replace(importers()[kind], fast=None), {}, b"key"),
            )
            for kind in FAST
        }
        yield held
        for pair in held.values():
            for reader in pair:
                reader.close()


@st.composite
def changed(draw: st.DrawFn, whole: dict[str, Any]) -> dict[str, Any]:
    """Return a record with other values at some of its places, at any depth, or with places more or fewer."""
    record: dict[str, Any] = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(0, 3))):
        node = record
        while True:
            key = draw(st.sampled_from(sorted(node))) if node else "a"
            if isinstance(node.get(key), dict) and draw(st.booleans()):
                node = node[key]
                continue
            break
        action = draw(st.sampled_from(["set", "drop", "add", "text"]))
        if action == "set":
            node[key] = draw(VALUES)
        elif action == "drop":
            node.pop(key, None)
        elif action == "text" and key in node:
            node[key] = json.dumps(node[key])
        else:
            node[draw(st.text(LETTERS, max_size=4))] = draw(VALUES)
    return record


def rows(read: ReadBlock) -> pl.DataFrame | None:
    """Return the rows of a block in the order of its records, with columns of one meaning in one type."""
    return None if read.rows is None else read.rows.sort("ordinal", "record_number", maintain_order=True)


def read(reader: Reader, lines: list[bytes]) -> ReadBlock:
    return reader.read(Records.of([(0, Piece(b"".join(lines), 1, 0))]), Layout("json"))


def test_every_kind_that_is_read_in_two_ways_is_held_to_it() -> None:
    assert sorted(WHOLE) == FAST


@pytest.mark.parametrize("kind", FAST)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_fast_and_plain_reading_give_the_same_rows(
    kind: str, readers: dict[str, tuple[Reader, Reader]], data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(WHOLE[kind]).flatmap(changed), min_size=1, max_size=4))
    lines = [json.dumps(record).encode() + b"\n" for record in chosen]
    fast, plain = readers[kind]

    first, second = read(fast, lines), read(plain, lines)

    assert first.refused == second.refused
    one, other = rows(first), rows(second)
    if one is None or other is None:
        assert one is other is None
        return
    same = [name for name in one.columns if name in _STORED]
    assert_frame_equal(one.select(same), other.select(same), check_dtypes=False)


_STORED = {
    "ordinal", "record_number", "quarantine_reason", "quarantine_detail", "is_ignored", "dedupe_key",
    "content_hash", *(column.name for column in table("raw.requests").columns),
}  # fmt: skip
"""What of a row is kept, or decides whether it is."""


def test_where_memory_is_short_fewer_records_are_read_at_once() -> None:
    line = json.dumps({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1793610000, "model": "gpt-4o-mini",
        "choices": [{"message": {"content": "x" * 500}}], "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }).encode() + b"\n"  # fmt: skip
    with memory_connection() as con:
        # All at once take 300 MiB.
        con.execute("SET threads = 1; SET memory_limit = '220MiB'")
        reader = Reader(con, importers()["openai_response"], {}, b"key")
        found = read(reader, [line] * 2500)
        reader.close()

    assert found.rows is not None
    assert found.rows["ordinal"].to_list() == [*range(2500)]
