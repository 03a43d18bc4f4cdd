"""Read the first records of a file as a kind would, and land nothing: would any of them be of use?"""

from datetime import UTC, datetime

import numpy as np

from models.errors import ConfigurationError, NanodollarError
from models.importers import importers
from pipelines.landing.detect import detect_kind
from pipelines.landing.identity import Identity
from pipelines.landing.judge import FileMark, JudgedRows, Stamp, judge
from pipelines.landing.layout import is_table, open_table, open_text
from pipelines.landing.read import Layout, Reader
from pipelines.landing.records import Records
from pipelines.landing.split import Overlong
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import StoredFile
from pipelines.warehouse.connect import memory_connection

_RECORDS = 100
_MEMORY_BYTES = 256 << 20
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def check_kind(file: StoredFile, source: SourceSpec) -> None:
    """Refuse to read a file as a kind that could use none of its records, where another kind is known to fit.

    Args:
        file: the file.
        source: the source that would take it.

    Raises:
        ConfigurationError: the file is of another kind, which is named.
    """
    try:
        detection = detect_kind(file)
    except NanodollarError:
        return  # Nobody knows better.
    if detection.kind == source.kind:
        return
    try:
        first = _first(file, source)
    except (NanodollarError, OSError):
        first = None
    if first is None or (first.usable.is_empty() and not first.quarantine.is_empty()):
        raise ConfigurationError(
            f"{file.path} is {detection.kind} ({detection.why}); none of its first records could be used as "
            f"{source.kind}. Leave --kind out, or name {detection.kind}."
        )


def _first(file: StoredFile, source: SourceSpec) -> JudgedRows | None:
    """Return what would become of the first records; None where there are none."""
    now = datetime.now(UTC)
    importer = importers()[source.kind]
    stamp = Stamp(
        source.name, importer, now, _EARLIEST, source.constants, source.dimensions, source.time_zone
    )
    marks = [FileMark("", file.path, now)]
    with memory_connection() as con, file.open() as handle:
        reader = Reader(
            con,
            importer,
            source.columns,
            b"trial",
            constants=stamp.constants,
            tag_names=stamp.tag_names,
            time_zone=stamp.time_zone,
        )
        try:
            if is_table(handle):
                rows = next(open_table(handle, importer, source.columns), None)
                if rows is None:
                    return None
                return judge(reader.read_table(rows.slice(0, _RECORDS)), Layout("text"), marks, stamp)
            identity = Identity("", file.size_bytes)
            opened = open_text(handle, identity, importer, source.columns, memory_bytes=_MEMORY_BYTES)
            for piece in opened.pieces:
                if not isinstance(piece, Overlong):
                    records = Records.of([(0, piece)])
                    some = records.take(np.arange(min(_RECORDS, len(records)), dtype=np.int64))
                    return judge(reader.read(some, opened.layout), opened.layout, marks, stamp)
        finally:
            reader.close()
    return None
