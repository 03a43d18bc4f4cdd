"""What the records of a file lie in: a page of an API, the events of a log group, the events of streams.

It is found on the first lines: where none of them fits a format, and what one of them holds under a name that wraps
records fits one, all records of the file are looked for there. A line that holds nothing there stays as it is.

Sources: CloudWatch Logs FilterLogEvents, GetQueryResults and subscription messages; Cloud Logging LogEntry; Docker's
json-file driver; the HTML standard's server-sent events.
"""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

_LISTS = (
    *("data", "items", "results", "result", "records", "Records", "rows", "logs", "events", "logEvents"),
    *(
        "entries",
        "hits",
        "hits.hits",
        "value",
        "generations",
        "observations",
        "requests",
        "spend_logs",
        "runs",
        "spans",
        "spans.data",
        "data.attributes.spans",
    ),
)
"""Names under which a page or a batch lists records."""
_FIELDS = (
    *(
        "message",
        "@message",
        "log",
        "textPayload",
        "jsonPayload",
        "body",
        "_source",
        "_raw",
        "event",
        "record",
    ),
    *("data", "payload", "line", "MESSAGE", "msg"),
)
"""Names under which a log's entry holds a record, as an object or as the text of one."""
_PACKED = ("awslogs.data", "kinesis.data", "data")
"""Names under which a record lies in base64, mostly as gzip."""
_STREAMS = ("response", "chunks", "events", "stream", "body", "response_body", "responseBody", "raw_response")
"""Names under which an entry holds the events of one response, as a list or as text."""
FIRST_EVENTS = ("message_start", "message-start", "response.created", "stream-start")
_DEEPEST = 4
_MOST_UNPACKED = 64 << 20

Check = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True)
class UnwrapStep:
    """One step from a line to what it holds.

    That is each element of a list, a field, base64 in a field, a list of rows that name their fields, or the data of a
    server-sent event.
    """

    how: Literal["list", "field", "packed", "named", "data"]
    name: str


@dataclass(frozen=True)
class Wrapping:
    """How records lie in the lines of a file.

    Attributes:
        steps: from a line to what it holds.
        has_events: whether what it holds are the events of streams, of which those of one response are a record.
        stream: field of a record that holds the events of one response.
    """

    steps: tuple[UnwrapStep, ...] = ()
    has_events: bool = False
    stream: str | None = None

    @property
    def is_none(self) -> bool:
        return self == Wrapping()

    def note(self) -> str | None:
        """Say where the records were found; None when they are the file's own."""
        words = [f"`{step.name}`" for step in self.steps if step.how != "data"]
        words += ["the events of streams"] if self.has_events else []
        words += [f"the stream in `{self.stream}`"] if self.stream is not None else []
        return f"its records lie in {', in '.join(reversed(words))}" if words else None


def find_wrapping(records: Iterable[Any], *, is_record: Check) -> Wrapping:
    """Return how records lie in the first ones of a file.

    Args:
        records: the first lines or elements, as parsed.
        is_record: whether an object is a record of a format that is looked for.
    """
    first = [record for record in records if isinstance(record, dict)]
    if any(map(_is_event, first)) or _is_one_stream(first):
        return Wrapping(has_events=True)
    if any(map(is_record, first)):
        return Wrapping()
    for record in first:
        found = _inside(record, is_record, _DEEPEST)
        if found is not None:
            return found
    return Wrapping()


def _inside(record: Any, is_record: Check, depth: int) -> Wrapping | None:
    if not isinstance(record, dict):
        return None
    if _is_event(record):
        return Wrapping(has_events=True)
    if is_record(record):
        return Wrapping()
    for name in _STREAMS:
        events = _events(record.get(name))
        if events:
            return Wrapping(stream=None if name == "response" else name)
    for step, held in _held(record) if depth else ():
        found = _inside(held, is_record, depth - 1)
        if found is not None:
            return Wrapping((step, *found.steps), found.has_events, found.stream)
    return None


def _held(record: Mapping[str, Any]) -> Iterator[tuple[UnwrapStep, Any]]:
    for name in _LISTS:
        value = _at(record, name)
        if isinstance(value, list):
            for item in value[:5]:
                if isinstance(item, list):
                    # A row of an answer of CloudWatch Logs Insights names its fields one by one.
                    yield from (
                        (UnwrapStep("named", name), _parsed(pair.get("value")))
                        for pair in item
                        if isinstance(pair, dict) and pair.get("field") == "@message"
                    )
                yield UnwrapStep("list", name), item
    for name in _FIELDS:
        value = _at(record, name)
        yield UnwrapStep("field", name), value if isinstance(value, dict) else _parsed(value)
    for name in _PACKED:
        value = _at(record, name)
        if isinstance(value, str):
            yield UnwrapStep("packed", name), _parsed(unpacked(value))


def _at(record: Mapping[str, Any], path: str) -> Any:
    value: Any = record
    for name in [path] if path in record else path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _parsed(text: Any) -> Any:
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_event(record: Mapping[str, Any]) -> bool:
    """Return whether an object is an event of a stream, and no response."""
    kind, name = record.get("object"), record.get("type")
    return (isinstance(kind, str) and kind.endswith(".chunk")) or (
        isinstance(name, str)
        and name != "response.done"
        and (name in FIRST_EVENTS or name.startswith(("content_block_", "response.")))
    )


def _is_one_stream(records: list[dict[str, Any]]) -> bool:
    """Return whether objects are the chunks of one answer of Gemini, which all have the shape of an answer."""
    ids = [record.get("responseId") for record in records if "candidates" in record]
    return len(ids) > 1 and ids[0] is not None and ids[0] == ids[1]


def _events(value: Any) -> list[Any]:
    """Return the events that a field holds, where it holds those of a stream."""
    if isinstance(value, str) and value.lstrip().startswith(("data:", "event:", ":")):
        lines = (line.removeprefix("data:").strip() for line in value.splitlines())
        return [event for line in lines if (event := _parsed(line)) is not None]
    if isinstance(value, list) and value and isinstance(value[0], dict) and _is_event(value[0]):
        return value
    return []


def unpacked_line(line: str, name: str) -> str:
    """Return what lies in base64 under a name of a line, in one line; the line itself where nothing does."""
    record = _parsed(line)
    held = _at(record, name) if record is not None else None
    text = unpacked(held) if isinstance(held, str) else None
    return line if text is None else text.replace("\n", " ")


def unpacked(text: str) -> str | None:
    """Return the text that lies in base64, as gzip or plain; None where none does."""
    try:
        data = base64.b64decode(text, validate=True)
        if data.startswith(b"\x1f\x8b"):
            data = zlib.decompressobj(wbits=31).decompress(data, _MOST_UNPACKED)
        return data.decode("utf-8")
    except (ValueError, zlib.error):  # letters that base64 or UTF-8 does not have are ValueErrors too
        return None
