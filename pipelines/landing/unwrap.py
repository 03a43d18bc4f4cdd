"""Take the records of a file out of what they lie in, block by block: one query a step, whatever the number of lines.

A response whose events come one by one becomes a record that holds them under `response`, as the formats read it.
"""

import codecs
from collections.abc import Iterator

import duckdb
import pyarrow as pa

from pipelines.landing.split import MOST_RECORDS, Overlong, Piece
from pipelines.landing.wrapping import FIRST_EVENTS, UnwrapStep, Wrapping, unpacked_line
from pipelines.quoting import sql_text

_OBJECT = "CASE WHEN json_valid(line) THEN line END"
_BROKEN = "\ufdd0"
"""Stands for bytes that are no UTF-8 until the record that they lie in is known: it alone is refused for them."""
codecs.register_error("broken", lambda error: (_BROKEN, getattr(error, "end", 0)))
_IS_HEARTBEAT = f"coalesce(json_extract_string({_OBJECT}, '$.messageType') = 'CONTROL_MESSAGE', false)"
"""CloudWatch asks with such a message whether a destination is there."""
_ONE_LINE = "SELECT replace(held, chr(10), ' ') AS line FROM ({}) WHERE trim(held, E' \\t\\r\\n') <> ''"
_GROUPED = f"""
WITH numbered AS (
  SELECT line AS event, row_number() OVER () AS place, CASE WHEN json_valid(line) THEN line::JSON END AS body FROM lines
),
marked AS (
  SELECT event, place, body IS NOT NULL AS is_whole, trim(event) = '[DONE]' AS is_end,
         coalesce(body->>'$.id', body->>'$.responseId', body->>'$.response.id', body->>'$.message.id') AS id,
         coalesce(body->>'$.type' IN ({", ".join(map(sql_text, FIRST_EVENTS))}), false) AS is_first,
         json_exists(body, '$.candidates') AS has_candidates,
         body->>'$.candidates[0].finishReason' IS NOT NULL AS is_last
  FROM numbered
),
beside AS (
  SELECT *, coalesce(lag(is_end) OVER (ORDER BY place), false) AS is_after_end,
         coalesce(lag(is_last) OVER (ORDER BY place), false) AS is_after_last,
         last_value(id IGNORE NULLS) OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS id_before
  FROM marked
),
grouped AS (
  SELECT event, place, is_whole, is_end,
         sum((is_first OR is_after_end OR coalesce(id <> id_before, false)
              OR (id IS NULL AND is_after_last AND has_candidates))::INTEGER) OVER (ORDER BY place) AS response
  FROM beside
)
"""
_RESPONSE = """
coalesce('{"response":[' || string_agg(event, ',' ORDER BY place) FILTER (is_whole) || ']}', min(event))
"""


class Unwrapper:
    """Takes the records of one file out of what they lie in.

    Args:
        wrapping: how they lie.
        longest: a response whose events are longer is refused.
    """

    def __init__(self, wrapping: Wrapping, *, longest: int) -> None:
        self._wrapping, self._longest = wrapping, longest
        self._con = duckdb.connect()
        self._con.execute("SET threads = 1; SET enable_progress_bar = false")

    def unwrap(self, pieces: Iterator[Piece | Overlong]) -> Iterator[Piece | Overlong]:
        """Yield pieces of the records inside, numbered in their order; they have no place of their own in the file."""
        try:
            blocks = self._blocks(pieces)
            if self._wrapping.has_events:
                blocks = self._responses(blocks)
            yield from _numbered(blocks)
        finally:
            self._con.close()

    def _blocks(self, pieces: Iterator[Piece | Overlong]) -> Iterator[pa.ChunkedArray | Overlong]:
        for piece in pieces:
            if isinstance(piece, Overlong):
                yield piece
                continue
            lines = piece.data.decode("utf-8", "broken").split("\n")[:-1]
            block = pa.chunked_array([pa.array(lines, pa.large_string())])
            for step in self._wrapping.steps:
                block = (
                    _unpacked(block, step.name) if step.how == "packed" else self._query(_step(step), block)
                )
            if self._wrapping.stream is not None:
                block = self._query(_with_response(self._wrapping.stream), block)
            yield block

    def _responses(
        self, blocks: Iterator[pa.ChunkedArray | Overlong]
    ) -> Iterator[pa.ChunkedArray | Overlong]:
        """Yield a record for each response, with its events in order; one may go on in the next block."""
        last = "(SELECT max(response) FROM grouped)"
        whole = "FROM grouped WHERE NOT is_end"
        rest = pa.chunked_array([], pa.large_string())
        for block in blocks:
            if isinstance(block, Overlong):
                yield block
                continue
            events = pa.chunked_array([*rest.chunks, *block.chunks], pa.large_string())
            yield self._query(
                f"{_GROUPED} SELECT {_RESPONSE} {whole} AND response < {last} GROUP BY response ORDER BY response",
                events,
            )
            rest = self._query(
                f"{_GROUPED} SELECT event FROM grouped WHERE response = {last} ORDER BY place", events
            )
            if rest.nbytes > self._longest:
                yield Overlong(0, -1, rest.nbytes)
                rest = rest.slice(0, 0)
        yield self._query(f"{_GROUPED} SELECT {_RESPONSE} {whole} GROUP BY response ORDER BY response", rest)

    def _query(self, sql: str, lines: pa.ChunkedArray) -> pa.ChunkedArray:
        self._con.register("lines", pa.table({"line": lines}))
        try:
            return self._con.execute(sql).to_arrow_table().column(0).cast(pa.large_string())
        finally:
            self._con.unregister("lines")


def _numbered(blocks: Iterator[pa.ChunkedArray | Overlong]) -> Iterator[Piece | Overlong]:
    number = 1
    for block in blocks:
        if isinstance(block, Overlong):
            yield Overlong(number, -1, block.length)
            number += 1
        elif len(block):
            data = "\n".join([*block.to_pylist(), ""]).encode("utf-8").replace(_BROKEN.encode(), b"\xff")
            yield from Piece(data, number, -1).parts(MOST_RECORDS)
            number += len(block)


def _step(step: UnwrapStep) -> str:
    if step.how == "data":
        # Comments, names and numbers of events say nothing that is counted.
        return "SELECT trim(substr(line, 6), E' \\t\\r') AS line FROM lines WHERE starts_with(line, 'data:')"
    path = _path(step.name)
    found = f"json_type({_OBJECT}, {sql_text(path)})"
    elements = f"json_extract(line, {sql_text(f'{path}[*]')})::VARCHAR[]"
    if step.how == "list":
        held = f"unnest(CASE WHEN {found} = 'ARRAY' THEN {elements} ELSE [line] END)"
    elif step.how == "named":
        shape = """'[{"field": "VARCHAR", "value": "VARCHAR"}]'"""
        message = f"list_filter(from_json(e, {shape}), lambda f: f.field = '@message')[1].value"
        messages = f"list_transform({elements}, lambda e: coalesce({message}, e))"
        held = f"unnest(CASE WHEN {found} = 'ARRAY' THEN {messages} ELSE [line] END)"
    else:
        held = (
            f"CASE {found} WHEN 'VARCHAR' THEN json_extract_string(line, {sql_text(path)}) "
            f"WHEN 'OBJECT' THEN json_extract(line, {sql_text(path)})::VARCHAR ELSE line END"
        )
    return _ONE_LINE.format(f"SELECT {held} AS held FROM lines WHERE NOT {_IS_HEARTBEAT}")


def _with_response(name: str) -> str:
    path = sql_text(_path(name))
    patched = f"json_merge_patch(line::JSON, json_object('response', json_extract(line, {path})))::VARCHAR"
    return (
        f"SELECT CASE WHEN json_type({_OBJECT}, {path}) IN ('VARCHAR', 'ARRAY') THEN {patched} ELSE line END "
        "AS line FROM lines"
    )


def _path(name: str) -> str:
    return "$." + ".".join(f'"{part}"' for part in name.split("."))


def _unpacked(lines: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return what lies in base64 under a name of each line; a line where nothing does stays as it is."""
    found = [unpacked_line(line, name) for line in lines.to_pylist()]
    return pa.chunked_array([pa.array(found, pa.large_string())])
