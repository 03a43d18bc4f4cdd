"""Which format a file is, by its content."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet

from models.errors import ConfigurationError, DataError
from models.importers import fitting, importers
from models.logs.streams import events_of, merged
from models.logs.vllm_log import INSTEAD, is_vllm_log
from pipelines.landing.forms import HEAD_BYTES, Bounds, text_form
from pipelines.landing.known_names import shown_names
from pipelines.landing.layout import header_of, is_table
from pipelines.landing.plain import plain_bytes
from pipelines.landing.proposal import proposed_source
from pipelines.landing.split import Overlong
from pipelines.sources.stored import StoredFile
from pipelines.warehouse.connect import memory_connection

_RECORDS = 100
_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True)
class Detection:
    """The kind of a file, and how sure that is."""

    kind: str
    why: str


def detect_kind(file: StoredFile) -> Detection:
    """Return the kind of a file from its first records.

    Raises:
        DataError: no format fits (with the keys seen, or what is read instead), or the file cannot be read.
        ConfigurationError: two formats fit as well, or nothing tells who served the calls; `--kind` decides.
    """
    try:
        with file.open() as handle:
            records = list(islice(_records(handle, file), _RECORDS))
    except (OSError, pa.ArrowException, DataError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(f"{file.path} cannot be read: {why}.") from error
    fits = [{fit.kind: fit.signs for fit in fitting(record)} for record in records]
    votes = Counter(kind for fit in fits for kind in fit)
    if not votes:
        if any(is_vllm_log(record["line"]) for record in records if isinstance(record.get("line"), str)):
            raise DataError(f"{file.path} is {INSTEAD}.")
        names = list(dict.fromkeys(str(key) for record in records for key in record if key != "line"))
        seen = shown_names(names)
        if (source := proposed_source(names, file.path)) is not None:
            raise DataError(
                f"{file.path} is of no known format (keys seen: {seen}), but its columns look like ours; describe "
                f"it in nanodollar.toml and `nanodollar run`:\n\n{source}\n"
            )
        raise DataError(
            f"{file.path} is of no known format (keys seen: {seen}); name its kind with --kind (docs/sources.md lists "
            "them), or say in nanodollar.toml which of its columns are those of requests, replica_events, "
            "usage_counters or invoice_lines (docs/generic)."
        )
    (kind, count), *others = votes.most_common()
    also = [other for other, other_count in others if other_count == count]
    if also:
        raise ConfigurationError(
            f"{file.path} fits {' and '.join(sorted([kind, *also]))} equally well; say which with --kind."
        )
    signs = next(fit[kind] for fit in fits if kind in fit)
    share = "it has" if len(records) == 1 else f"{count} of its first {len(records)} records have"
    mine = [record for record, fit in zip(records, fits, strict=True) if kind in fit]
    return Detection(kind, f"{share} {', '.join(sorted(signs))}{_served_by(file, kind, mine)}")


def _served_by(file: StoredFile, kind: str, records: list[Mapping[str, Any]]) -> str:
    """Say who served the records of a format that many providers return.

    Raises:
        ConfigurationError: nothing in any of them tells.
    """
    tell = importers()[kind].served_by
    if tell is None:
        return ""
    found = Counter(tell(record) for record in records)
    unknown = found.pop(None, 0)
    if not found:
        own = ", ".join(name for name in importers() if name.endswith("_response") and name != kind)
        raise ConfigurationError(
            f"{file.path} has the shape of {kind}, which many providers return, and nothing in its records tells whose "
            f"they are: say it with --kind ({own}), write `provider` beside each record, or land it without a provider "
            f"and so without a price with --kind {kind}."
        )
    sentence = "; served by " + ", ".join(f"{provider}" for provider, _ in found.most_common())
    if any(_is_embedding(record) and tell(record) == "openai" for record in records):
        sentence += ", unless they are Azure's embeddings, which look the same: then state `provider`"
    return sentence + (f"; of {unknown} nothing tells who, and they will have no price" if unknown else "")


def _is_embedding(record: Mapping[str, Any]) -> bool:
    """Return whether a record is an embedding that nobody names a provider of."""
    held = record.get("response")
    answer = held if isinstance(held, Mapping) else record
    return answer.get("object") == "list" and not record.get("provider")


def _records(handle: BinaryIO, file: StoredFile) -> Iterator[Mapping[str, Any]]:
    """Yield the first records as parsed; of CSV its column names, of other text its lines."""
    if is_table(handle):
        yield from _rows(pyarrow.parquet.ParquetFile(handle))
        return
    plain = plain_bytes(handle, lambda _: None, size=file.size_bytes)
    head = b""
    while len(head) < HEAD_BYTES and (piece := next(plain, b"")):
        head += piece
    form = text_form(head, takes_rows=True, is_record=lambda record: bool(fitting(record)))
    if form.lay == "rows":
        lines = [line for line in head.splitlines() if line.strip()][:_RECORDS]
        columns: tuple[str, ...] = ()
        with suppress(DataError):
            columns = header_of(lines[0]).header if lines else ()
        texts = [{"line": line.decode("utf-8", "replace")} for line in lines]
        yield from [dict.fromkeys(columns) | texts[0]] if len(columns) > 1 else texts
        return
    with memory_connection() as con:
        for cut in form.split(chain([head], plain), Bounds(_MEMORY_BYTES)):
            if isinstance(cut, Overlong):
                continue
            for line in cut.data.splitlines():
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(record, dict):
                    yield _with_whole_response(record, con)


def _rows(table: pyarrow.parquet.ParquetFile) -> Iterator[Mapping[str, Any]]:
    """Yield the first rows of a table without the fields that they leave empty; of a table without rows its columns."""
    batch = next(table.iter_batches(batch_size=_RECORDS), None)
    if batch is None or not batch.num_rows:
        yield dict.fromkeys(table.schema_arrow.names)
        return
    for row in batch.to_pylist():
        yield _without_empty(row)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_empty(held) for name, held in value.items() if held is not None}
    return value


def _with_whole_response(record: dict[str, Any], con: duckdb.DuckDBPyConnection) -> Mapping[str, Any]:
    """Return a record with the response that the events under `response` make up, as the formats read it."""
    held = record.get("response")
    if not isinstance(held, (str, list)):
        return record
    text = held if isinstance(held, str) else json.dumps(held)
    ((whole,),) = con.execute(
        f"SELECT {merged('events')} FROM (SELECT {events_of('held')} AS events FROM (SELECT $1::VARCHAR AS held))",
        [text],
    ).fetchall()
    return record if whole is None else {**record, "response": json.loads(whole)}
