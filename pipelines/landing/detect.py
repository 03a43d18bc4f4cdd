"""Which format a file is, by its content."""

import gzip
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

from models.errors import ConfigurationError, DataError
from models.importers import importers
from pipelines.landing.unpack import GZIP_MAGIC, PARQUET_MAGIC

_LINES = 20


@dataclass(frozen=True)
class Detection:
    """The kind of a file and the fields that tell it."""

    kind: str
    why: str


def detect_kind(path: Path) -> Detection:
    """Return the kind of a file.

    Raises:
        DataError: no format fits (with the keys seen), or the file cannot be read.
        ConfigurationError: two formats fit; `--kind` decides.
    """
    keys = _keys(path)
    fitting = {
        kind: signature
        for kind, importer in importers().items()
        for signature in importer.signature
        if signature <= keys
    }
    if not fitting:
        seen = ", ".join(sorted(keys)[:20]) or "none"
        raise DataError(
            f"{path} is of no known format (keys seen: {seen}); name one with --kind: {', '.join(importers())}."
        )
    if len(fitting) > 1:
        raise ConfigurationError(f"{path} fits {' and '.join(fitting)}; say which with --kind.")
    kind, signature = next(iter(fitting.items()))
    return Detection(kind, f"it has {', '.join(sorted(signature))}")


def _keys(path: Path) -> set[str]:
    try:
        with path.open("rb") as handle:
            head = handle.read(4)
        if head == PARQUET_MAGIC:
            with duckdb.connect() as con:
                return set(con.read_parquet(str(path)).columns)
        with gzip.open(path, "rb") if head.startswith(GZIP_MAGIC) else path.open("rb") as handle:
            lines = [line.decode("utf-8-sig", "replace") for line in itertools.islice(handle, _LINES)]
    except (OSError, EOFError, duckdb.Error) as error:
        raise DataError(f"{path} cannot be read ({str(error).splitlines()[0]}); check the path.") from error
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            return set(record)
    return {name.strip().strip('"') for name in lines[0].split(",")} if lines else set()
