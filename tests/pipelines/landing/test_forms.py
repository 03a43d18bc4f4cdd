"""Records are found in whatever a user has them in: pages, log groups, archives in archives, dumps of streams."""

import base64
import csv
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.lake import lake, query
from tests.pipelines.small import Outcome, gateway_row, nanodollar

SECRET = "Dear Ms Zebra"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
HEARTBEAT = {
    "messageType": "CONTROL_MESSAGE",
    "logEvents": [{"id": "", "message": "CWL CONTROL MESSAGE: Checking"}],
}


def logged(number: int) -> dict[str, Any]:
    """Return a record of Bedrock's invocation log."""
    return {
        "schemaType": "ModelInvocationLog", "timestamp": "2026-11-02T09:00:00Z", "requestId": f"b-{number:06}",
        "region": "us-east-1", "operation": "Converse", "modelId": "amazon.nova-lite-v1:0",
        "input": {"inputTokenCount": 1000}, "output": {"outputTokenCount": 100},
    }  # fmt: skip


def zipped(members: dict[str, str | bytes]) -> bytes:
    """Return a zip archive, with what macOS puts beside its members."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ({"__MACOSX/._a": b"\0\5\x16\7"} | members).items():
            archive.writestr(name, content)
    return held.getvalue()


def event(number: int) -> dict[str, Any]:
    return {"id": str(number), "timestamp": 1, "message": json.dumps(logged(number))}


def subscription(*numbers: int) -> dict[str, Any]:
    return {
        "messageType": "DATA_MESSAGE",
        "logGroup": "/b",
        "logEvents": [event(number) for number in numbers],
    }


def booked(number: int) -> dict[str, Any]:
    return gateway_row(f"g-{number:06}", "2026-11-02 09:00:00", prompt_tokens=1000, completion_tokens=100)


def chunks(number: int) -> list[dict[str, Any]]:
    """Return the events of one streamed answer of OpenAI."""
    chunk = {
        "id": f"chatcmpl-{number:06}", "object": "chat.completion.chunk", "created": 1793610000, "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": {"content": SECRET}}], "usage": None,
    }  # fmt: skip
    return [chunk, chunk, chunk | {"choices": [], "usage": USAGE}]


def messages(number: int) -> list[dict[str, Any]]:
    """Return the events of one streamed message of Anthropic, which tell no time."""
    message = {
        "id": f"msg_{number:06}",
        "model": "claude-sonnet-4-5",
        "usage": {"input_tokens": 1000, "output_tokens": 1},
    }
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": SECRET}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 100}},
    ]


def responses(number: int) -> list[dict[str, Any]]:
    """Return the events of one answer of OpenAI's Responses API."""
    whole = {"id": f"resp_{number:06}", "object": "response", "created_at": 1793610000, "model": "gpt-5-mini"}
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    return [
        {"type": "response.created", "response": whole | {"status": "in_progress", "usage": None}},
        {"type": "response.output_text.delta", "item_id": "item", "delta": SECRET},
        {"type": "response.completed", "response": whole | {"status": "completed", "usage": usage}},
    ]


def answers(number: int, *, has_id: bool = True) -> list[dict[str, Any]]:
    """Return the chunks of one answer of Gemini, each of which has the shape of an answer and tells no time."""
    chunk = {"candidates": [{"content": {"parts": [{"text": SECRET}]}}], "modelVersion": "gemini-2.5-flash"}
    chunk |= {"responseId": f"r-{number:06}"} if has_id else {}
    counted = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}
    return [
        chunk | {"usageMetadata": {"promptTokenCount": 1000, "totalTokenCount": 1000}},
        chunk | {"candidates": [{"finishReason": "STOP"}], "usageMetadata": counted},
    ]


def dump(events: list[dict[str, Any]], end: str = "") -> str:
    """Return events as a server sends them."""
    return (
        "".join(f"event: {event.get('type', 'message')}\ndata: {json.dumps(event)}\n\n" for event in events)
        + end
    )


def lines(*records: Any) -> str:
    return "".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records)


def packed(*records: Any) -> bytes:
    return gzip.compress("".join(map(json.dumps, records)).encode())


def at_nine(number: int, **held: Any) -> dict[str, Any]:
    return {"started_at": "2026-11-02T09:00:00Z", "tenant": "acme", "request": {"messages": number}, **held}


def parquet(*rows: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    pl.DataFrame(rows).write_parquet(target)
    return target.getvalue()


def table_of(rows: list[list[str]]) -> str:
    target = io.StringIO()
    csv.writer(target).writerows(rows)
    return target.getvalue()


def whole(number: int) -> dict[str, Any]:
    answer = {"id": f"chatcmpl-{number:06}", "object": "chat.completion", "created": 1793610000}
    return answer | {
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"content": SECRET}}],
        "usage": USAGE,
    }


BEDROCK, GATEWAY, OPENAI = "bedrock_invocation_log", "litellm_spend_logs", "openai_response"
# name: (kind, content); each holds two calls of 1,000 tokens in and 100 out.
FORMS: dict[str, tuple[str, str | bytes]] = {
    "subscriptions end to end.json": (BEDROCK, json.dumps(subscription(1)) + json.dumps(subscription(2))),
    "subscriptions.jsonl": (BEDROCK, lines(HEARTBEAT, subscription(3), subscription(4))),
    "archives in an archive.gz": (
        BEDROCK, gzip.compress(packed(HEARTBEAT) + packed(subscription(5)) + packed(subscription(6))),
    ),
    "filtered events.json": (BEDROCK, json.dumps({"events": [event(7), event(8)], "searchedLogStreams": []})),
    "insights.json": (
        BEDROCK,
        json.dumps({"results": [
            [{"field": "@timestamp", "value": "t"}, {"field": "@message", "value": json.dumps(logged(number))}]
            for number in (9, 10)
        ]}),
    ),
    "insights.csv": (
        BEDROCK,
        table_of([["@timestamp", "@message"], *(["2026-11-02 09:00:00.000", json.dumps(logged(n))] for n in (25, 26))]),
    ),
    "pretty insights.csv": (
        BEDROCK,
        table_of([["@message", "@log"], *([json.dumps(logged(n), indent=2), "1:b"] for n in (27, 28))]),
    ),
    "tail.log": (
        BEDROCK,
        lines(*(f"2026-11-02T09:00:00.000000+00:00 aws/bedrock/x {json.dumps(logged(n))}" for n in (29, 30))),
    ),
    "export task.zip": (
        BEDROCK,
        zipped({"day/b.gz": gzip.compress(json.dumps(logged(31)).encode()), "day/a.jsonl": json.dumps(logged(32))}),
    ),
    "tables.zip": (
        BEDROCK,
        zipped({
            f"{n}.csv": table_of([["@message", "@log"], [json.dumps(logged(n)), "1:b"]]) for n in (33, 34)
        }),
    ),
    "export task.gz": (
        BEDROCK,
        gzip.compress(lines(*(f"2026-11-02T09:00:00.000Z {json.dumps(logged(n))}" for n in (11, 12))).encode()),
    ),
    "container.log": (
        BEDROCK, lines(*(f"2026-11-02T09:00:00.000000000Z stdout F {json.dumps(logged(n))}" for n in (13, 14))),
    ),
    "docker.log": (
        BEDROCK, lines(*({"log": f"{json.dumps(logged(number))}\n", "stream": "stdout"} for number in (15, 16))),
    ),
    "function event.json": (
        BEDROCK, json.dumps({"awslogs": {"data": base64.b64encode(packed(subscription(17, 18))).decode()}}),
    ),
    "stream of records.json": (
        BEDROCK,
        json.dumps({"Records": [
            {"kinesis": {"data": base64.b64encode(packed(subscription(number))).decode()}} for number in (19, 20)
        ]}),
    ),
    "end to end.json": (BEDROCK, "".join(json.dumps(logged(number)) for number in (21, 22))),
    "table of logs.parquet": (BEDROCK, parquet(logged(23), logged(24))),
    "page.json": (GATEWAY, json.dumps({"data": [booked(1), booked(2)], "total": 2, "page": 1, "total_pages": 1})),
    "pages.jsonl": (GATEWAY, lines({"total": 1, "data": [booked(3)]}, {"total": 1, "data": [booked(4)]})),
    "pretty page.json": (GATEWAY, json.dumps({"page": 1, "data": [booked(5), booked(6)]}, indent=2)),
    "end to end rows.json": (GATEWAY, " ".join(json.dumps(booked(number)) for number in (7, 8))),
    "hits.json": (GATEWAY, json.dumps({"hits": {"hits": [{"_source": booked(9)}, {"_source": booked(10)}]}})),
    "entries.jsonl": (GATEWAY, lines({"jsonPayload": booked(11)}, {"jsonPayload": booked(12)})),
    "dump.sse": (
        OPENAI,
        ": keep-alive\n\n" + dump(chunks(1), "data: [DONE]\n\n") + ": ping\n" + dump(chunks(2), "data: [DONE]\n"),
    ),
    "dump without end.sse": (OPENAI, dump(chunks(3)) + dump(chunks(4))),
    "dump of windows.sse": (OPENAI, (dump(chunks(5)) + dump(chunks(6))).replace("\n", "\r\n")),
    "dump of responses.sse": (OPENAI, dump(responses(1)) + dump(responses(2))),
    "events.jsonl": (OPENAI, lines(*chunks(7), *chunks(8))),
    "events.json": (OPENAI, json.dumps([*chunks(9), *chunks(10)])),
    "lists of events.jsonl": (OPENAI, lines(chunks(11), chunks(12))),
    "streams in envelopes.jsonl": (OPENAI, lines(*(at_nine(n, response=dump(chunks(n))) for n in (13, 14)))),
    "lists in envelopes.jsonl": (OPENAI, lines(*(at_nine(n, chunks=chunks(n)) for n in (15, 16)))),
    "table of answers.parquet": (OPENAI, parquet(whole(17), whole(18))),
    "bodies in envelopes.jsonl": (
        "anthropic_response", lines(*(at_nine(n, response_body=dump(messages(n))) for n in (1, 2))),
    ),
}  # fmt: skip
# Streams that tell no time: (kind, content, calls).
TIMELESS: dict[str, tuple[str, str, int]] = {
    "dump of messages.sse": ("anthropic_response", dump(messages(3)) + dump(messages(4)), 2),
    "dump of answers.sse": ("gemini_response", dump(answers(1)) + dump(answers(2)), 2),
    "dump of answers without ids.sse": (
        "gemini_response", dump(answers(3, has_id=False)) + dump(answers(4, has_id=False)), 2,
    ),
    "list of chunks.json": ("gemini_response", json.dumps(answers(5)), 1),
}  # fmt: skip
# Files of nobody's format, whose every text may be private.
UNKNOWN: dict[str, str | bytes] = {
    "letters.csv": f"{SECRET},gpt-4o-mini,1000,100\n{SECRET},x,1,2\n",
    "letter.txt": f"{SECRET}\nyours, {SECRET}\n",
    "letter.yml": f"{SECRET}: {SECRET}\nmodel: {SECRET}\n",
    "keys.json": json.dumps({SECRET: 1, "model": {SECRET: SECRET}}),
    "list.json": json.dumps([SECRET, {SECRET: SECRET}]),
    "text.sse": f"data: {SECRET}\n\ndata: {SECRET}\n\n",
    "other events.sse": f'data: {{"{SECRET}": "{SECRET}"}}\n\n',
    "messages.csv": f"@timestamp,@message\n1,{SECRET}\n2,{SECRET}\n",
    "book.xlsx": zipped({"[Content_Types].xml": "<Types/>", "xl/sharedStrings.xml": f"<si>{SECRET}</si>"}),
    "letters.zip": zipped({"letter.txt": f"{SECRET}\nyours, {SECRET}\n"}),
    "wrapped.jsonl": lines({"message": SECRET, SECRET: {"data": SECRET}}),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> tuple[Warehouse, Outcome, list[Outcome]]:
    """A lake into which every form was taken by `ingest`, what that said, and what it said under a wrong kind."""
    warehouse = lake(tmp_path_factory.mktemp("forms"))
    folder = warehouse.project.folder / "exports"
    folder.mkdir()
    contents = {name: content for name, (_, content, *_) in (FORMS | TIMELESS).items()} | UNKNOWN
    for name, content in contents.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    told = nanodollar(warehouse.project, "ingest", str(folder))
    refused = [
        nanodollar(warehouse.project, "ingest", "--kind", kind, *(str(folder / name) for name in UNKNOWN))
        for kind in ("requests", "prometheus", OPENAI)
    ]
    return warehouse, told, refused


@pytest.mark.parametrize("name", FORMS)
def test_two_calls_land_from_whatever_they_lie_in(
    read: tuple[Warehouse, Outcome, list[Outcome]], name: str
) -> None:
    warehouse, told, _ = read

    rows = query(
        warehouse,
        "SELECT source_kind, input_uncached_tokens + cache_read_tokens, output_text_tokens FROM raw.requests "
        f"WHERE file_hash = (SELECT file_hash FROM ops.landed_files WHERE path = 'exports/{name}')",
    )

    assert rows == [(FORMS[name][0], 1000, 100)] * 2, told.err


@pytest.mark.parametrize("name", TIMELESS)
def test_a_stream_is_one_record_even_where_it_tells_no_time(
    read: tuple[Warehouse, Outcome, list[Outcome]], name: str
) -> None:
    kind, _, calls = TIMELESS[name]

    rows = query(
        read[0],
        "SELECT source_kind, reason, line_number FROM ops.quarantine JOIN ops.landed_files "
        f"USING (file_hash, source, path) WHERE path = 'exports/{name}' ORDER BY line_number",
    )

    assert rows == [(kind, "missing_started_at", number) for number in range(1, calls + 1)]


def test_no_refusal_tells_a_text_of_an_unknown_file(read: tuple[Warehouse, Outcome, list[Outcome]]) -> None:
    warehouse, told, refused = read

    assert told.code == 1
    for outcome in (told, *refused):
        assert SECRET not in outcome.out + outcome.err
    assert all(told.err.count(f"exports/{name} ") == 1 for name in UNKNOWN)
    (letters,) = (line for line in told.err.splitlines() if "letters.csv" in line)
    assert "gpt-4o" not in letters
    kept = [
        query(warehouse, f"SELECT t::VARCHAR FROM ops.{name} t") for name in ("landed_files", "quarantine")
    ]
    assert all(kept)
    assert SECRET not in repr(kept)


def test_what_an_unwrapped_record_lacks_is_told_by_its_order(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    path = tmp_path / "page.json"
    path.write_text(json.dumps({"data": [booked(1), booked(2) | {"startTime": "yesterday"}], "page": 1}))

    told = nanodollar(tmp_path, "ingest", str(path)).out

    assert "its records lie in `data`" in told
    assert query(warehouse, "SELECT line_number, byte_offset, reason FROM ops.quarantine") == [
        (2, None, "bad_value")
    ]
