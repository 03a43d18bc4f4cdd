"""Land files: each read once, in bounded memory; every record is usable or in quarantine.

The fast path lets DuckDB stream the file with explicit columns. Where that fails, or rows and lines disagree, the
exact path looks at each line by itself: bad lines go to quarantine, good ones land all the same.
"""

import json
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from models.errors import ConfigurationError, DataError, NanodollarError
from models.importers import importers
from models.periods import hour_of
from models.records import Importer
from models.schemas import table
from pipelines.landing.quarantine import Refused, broken_line
from pipelines.landing.spec import SourceSpec
from pipelines.landing.unpack import PARQUET_MAGIC, Plain, file_hash, lines_of, unpack
from pipelines.sources.local import local_files
from pipelines.sources.postgres import extract_spend_logs

BATCH_ROWS = 250_000
LONGEST_LINE = 64 << 20
_EXTRACT_OVERLAP = timedelta(hours=2)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class LandedFile:
    """What became of one file: rows for the lake, its quarantine, and the hours that it touches."""

    table: str
    file: dict[str, Any]
    parquet_paths: list[Path] = field(default_factory=list)
    quarantine: pl.DataFrame = field(default_factory=lambda: table("ops.quarantine").empty())
    file_hours: pl.DataFrame = field(default_factory=lambda: table("ops.file_hours").empty())


def lifecycle_kinds() -> list[str]:
    """Return the kinds whose records are replica events."""
    return [kind for kind, importer in importers().items() if importer.table == "raw.replica_events"]


def source_files(source: SourceSpec, *, project: Path) -> list[Path]:
    """Return the files of a source, by name."""
    return local_files(source.path, project=project) if source.path is not None else []


def land_source(
    con: duckdb.DuckDBPyConnection,
    source: SourceSpec,
    *,
    project: Path,
    known: Collection[str],
    staging: Path,
    ingested_at: datetime,
    hash_key: bytes,
    since: datetime | None = None,
    on_progress: Callable[[str], None] = lambda _note: None,
) -> Iterator[LandedFile]:
    """Read the new files of a source and yield what became of each.

    Args:
        con: an in-memory session, used for reading only.
        source: the configured source.
        project: the project folder; paths are told relative to it.
        known: content hashes that have landed before; such files are passed over.
        staging: folder of the lake's raw data, where Parquet parts are written.
        ingested_at: stamped on every row.
        hash_key: key of the API keys' hash.
        since: newest instant that landed before, for a database source.
        on_progress: told how far the reading is.

    Raises:
        DataError: a database source cannot be read.
    """
    importer = importers()[source.kind]
    paths = source_files(source, project=project)
    if source.url is not None:
        paths = [_extract(source, project=project, since=since, ingested_at=ingested_at)]
    seen = set(known)
    for number, path in enumerate(paths, start=1):
        on_progress(f"file {number} of {len(paths)}")
        shown = str(path.relative_to(project)) if path.is_relative_to(project) else str(path)
        try:
            digest = file_hash(path)
        except OSError as error:
            yield _unreadable(source, importer, shown, str(error.strerror), ingested_at)
            continue
        if digest in seen:
            continue
        seen.add(digest)
        reading = _Reading(con, source, importer, path, shown, digest, staging, ingested_at, hash_key)
        try:
            yield reading.land()
        except (duckdb.Error, OSError, NanodollarError, pl.exceptions.PolarsError) as error:
            reading.discard()
            yield _unreadable(source, importer, shown, str(error).splitlines()[0], ingested_at, digest)


def _unreadable(
    source: SourceSpec,
    importer: Importer,
    shown: str,
    why: str,
    landed_at: datetime,
    digest: str | None = None,
) -> LandedFile:
    file = {
        # Without a content hash the file is looked at again by the next run.
        "file_hash": f"unreadable:{uuid.uuid4().hex}" if digest is None else f"unreadable:{digest}",
        "source": source.name,
        "source_kind": source.kind,
        "path": shown,
        "size_bytes": 0,
        "read_count": 0,
        "landed_count": 0,
        "quarantined_count": 0,
        "ignored_count": 0,
        "landed_at": landed_at,
        "note": f"unreadable: {why}; mend the file and run again",
    }
    return LandedFile(importer.table, file)


def _extract(source: SourceSpec, *, project: Path, since: datetime | None, ingested_at: datetime) -> Path:
    if source.kind != "litellm_spend_logs" or not str(source.url).startswith(
        ("postgres://", "postgresql://")
    ):
        raise ConfigurationError(
            f"The source {source.name!r} of kind {source.kind} cannot read its url; "
            f"only litellm_spend_logs reads postgres://, other kinds take a path."
        )
    folder = project / "warehouse" / "landed" / source.name
    target = folder / f"extract-{ingested_at:%Y%m%dT%H%M%S%f}.jsonl.gz"
    extract_spend_logs(str(source.url), since=since - _EXTRACT_OVERLAP if since else _EPOCH, target=target)
    return target


class _Reading:
    """The reading of one file."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        source: SourceSpec,
        importer: Importer,
        path: Path,
        shown: str,
        digest: str,
        staging: Path,
        ingested_at: datetime,
        hash_key: bytes,
    ) -> None:
        self.con, self.source, self.importer = con, source, importer
        self.path, self.shown, self.digest = path, shown, digest
        self.staging, self.ingested_at, self.hash_key = staging, ingested_at, hash_key
        self.time_column = "started_at" if importer.table == "raw.requests" else "event_at"
        self._reset()

    def _reset(self) -> None:
        self.parts: list[Path] = []
        self.refused: list[pl.DataFrame] = []
        self.hours: list[pl.DataFrame] = []
        self.read = self.landed = self.ignored = 0

    def discard(self) -> None:
        for part in self.parts:
            part.unlink(missing_ok=True)
        self._reset()

    def land(self) -> LandedFile:
        with tempfile.TemporaryDirectory(prefix="nanodollar-") as folder:
            note = self._read_file(Path(folder))
        quarantine = pl.concat([table("ops.quarantine").empty(), *self.refused])
        hours = pl.concat([table("ops.file_hours").empty(), *self.hours])
        hours = (
            hours.group_by("file_hash", "source", "touched_hour", "landed_at")
            .agg(pl.col("last_finished_at").max(), pl.col("record_count").sum())
            .select(table("ops.file_hours").column_names)
            .sort("touched_hour")
        )
        file = {
            "file_hash": self.digest,
            "source": self.source.name,
            "source_kind": self.source.kind,
            "path": self.shown,
            "size_bytes": self.path.stat().st_size,
            "read_count": self.landed + quarantine.height,
            "landed_count": self.landed,
            "quarantined_count": quarantine.height,
            "ignored_count": self.ignored,
            "first_at": hours.get_column("touched_hour").min() if hours.height else None,
            "last_at": _latest(hours),
            "landed_at": self.ingested_at,
            "note": note,
        }
        return LandedFile(self.importer.table, file, self.parts, quarantine, hours)

    def _read_file(self, scratch: Path) -> str | None:
        with self.path.open("rb") as handle:
            head = handle.read(4)
        if head == PARQUET_MAGIC:
            self._read_tabular(f"read_parquet({_quoted(self.path)})", first_line=1)
            return None
        plain = unpack(self.path, scratch=scratch)
        if plain.line_count == 0:
            return plain.note or "empty file"
        if self._is_csv(plain):
            self._read_tabular(
                f"read_csv({_quoted(plain.path)}, all_varchar = true, header = true)", first_line=2
            )
            return plain.note
        if not self._read_fast(plain):
            self.discard()
            self._read_exactly(plain, scratch)
        return plain.note

    def _read_fast(self, plain: Plain) -> bool:
        """Let DuckDB read the file; return whether rows and lines agree."""
        try:
            self._read_json(plain.path, None)
        except duckdb.Error:
            return False
        return self.lines_seen == plain.line_count and not plain.has_blank_lines

    def _is_csv(self, plain: Plain) -> bool:
        if "csv" not in self.importer.formats:
            return False
        with plain.path.open("rb") as handle:
            return not handle.readline(LONGEST_LINE).lstrip().startswith(b"{")

    def _read_json(self, path: Path, numbers: pl.Series | None) -> None:
        columns = ", ".join(
            f"{_word(self._theirs(name))}: {_word(dtype)}" for name, dtype in self.importer.columns.items()
        )
        reader = (
            f"read_json({_quoted(path)}, format = 'newline_delimited', columns = {{{columns}}}, "
            f"maximum_object_size = {LONGEST_LINE}, compression = 'uncompressed')"
        )
        renamed = ", ".join(f'"{self._theirs(name)}" AS "{name}"' for name in self.importer.columns)
        self._stream(
            f"SELECT row_number() OVER () AS line_number, {renamed} FROM {reader}", numbers, offset=0
        )

    def _read_tabular(self, reader: str, *, first_line: int) -> None:
        present = {row[0] for row in self.con.execute(f"DESCRIBE FROM {reader}").fetchall()}
        needed = {self._theirs(name): name for signature in self.importer.signature[:1] for name in signature}
        if not present & set(needed):
            raise DataError(
                f"{self.shown} has none of the columns {', '.join(sorted(needed))}; it has "
                f'{", ".join(sorted(present)[:12])}; map them with columns = {{canonical = "theirs"}}'
            )
        fields = ", ".join(
            f'"{self._theirs(name)}"::VARCHAR AS "{name}"'
            if self._theirs(name) in present
            else f'NULL::VARCHAR AS "{name}"'
            for name in self.importer.columns
        )
        self._stream(
            f"SELECT row_number() OVER () AS line_number, {fields} FROM {reader}", None, offset=first_line - 1
        )

    def _theirs(self, name: str) -> str:
        return self.source.columns.get(name, name)

    def _stream(self, records: str, numbers: pl.Series | None, *, offset: int) -> None:
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW records AS {records}")
        query = self.importer.select
        parameters = {"hash_key": self.hash_key.decode()} if "$hash_key" in query else {}
        self.lines_seen = 0
        for batch in self.con.execute(query, parameters).to_arrow_reader(BATCH_ROWS):
            rows = pl.DataFrame(batch)
            if rows.is_empty():
                continue
            self.lines_seen = max(self.lines_seen, int(rows.get_column("line_number").max() or 0))  # type: ignore[call-overload]
            line = pl.col("line_number")
            if numbers is not None:
                rows = rows.with_columns(
                    numbers.gather(rows.get_column("line_number") - 1).alias("line_number")
                )
            elif offset:
                rows = rows.with_columns(line + offset)
            self._take(rows)

    def _take(self, rows: pl.DataFrame) -> None:
        frame = self.importer.canonical(rows.lazy())
        names = frame.collect_schema().names()
        if "tag_entries" in names:
            frame = frame.with_columns(tags=_mapped("tag_entries", pl.String))
        if "meter_entries" in names:
            frame = frame.with_columns(other_meters=_mapped("meter_entries", pl.Decimal(18, 6)))
        if "is_ignored" not in names:
            frame = frame.with_columns(is_ignored=pl.lit(value=False))
        frame = frame.with_columns(
            source=pl.lit(self.source.name),
            source_kind=pl.lit(self.source.kind),
            ingested_at=pl.lit(self.ingested_at),
            file_hash=pl.lit(self.digest),
        )
        target = table(self.importer.table)
        done = frame.collect()
        kept = done.filter(~pl.col("is_ignored"))
        self.ignored += done.height - kept.height
        good = kept.filter(pl.col("quarantine_reason").is_null())
        bad = kept.filter(pl.col("quarantine_reason").is_not_null())
        if bad.height:
            self._refuse(bad)
        usable = target.conform(good.lazy(), fill=True).sort(self.time_column, maintain_order=True).collect()
        if usable.is_empty():
            return
        self.landed += usable.height
        part = self.staging / target.name / f"{self.digest[:16]}-{uuid.uuid4().hex[:8]}.parquet"
        part.parent.mkdir(parents=True, exist_ok=True)
        usable.write_parquet(part, compression="zstd", compression_level=1, row_group_size=50_000)
        self.parts.append(part)
        last = (
            pl.col("finished_at").max() if "finished_at" in usable.columns else pl.col(self.time_column).max()
        )
        self.hours.append(
            usable.group_by(touched_hour=hour_of(pl.col(self.time_column)))
            .agg(last_finished_at=last, record_count=pl.len().cast(pl.Int64))
            .with_columns(
                file_hash=pl.lit(self.digest),
                source=pl.lit(self.source.name),
                landed_at=pl.lit(self.ingested_at),
            )
            .select(pl.col(column.name).cast(column.dtype) for column in table("ops.file_hours").columns)
        )

    def _refuse(self, bad: pl.DataFrame) -> None:
        # Only names and types of the importer's own fields: no value, so no prompt.
        fields = [name for name, dtype in bad.schema.items() if name in self.importer.columns]
        skeleton = json.dumps(dict.fromkeys(fields, "text")) if fields else None
        rows = bad.select(
            "line_number", "record_number", reason="quarantine_reason", detail="quarantine_detail"
        )
        rows = rows.with_columns(
            file_hash=pl.lit(self.digest),
            source=pl.lit(self.source.name),
            path=pl.lit(self.shown),
            skeleton=pl.lit(skeleton, dtype=pl.String),
            quarantined_at=pl.lit(self.ingested_at),
        )
        self.refused.append(table("ops.quarantine").conform(rows.lazy(), fill=True).collect())

    def _read_exactly(self, plain: Plain, scratch: Path) -> None:
        good = scratch / "good"
        numbers: list[int] = []
        refused: list[Refused] = []
        with good.open("wb") as out:
            for number, offset, length, text in lines_of(plain.path, longest=LONGEST_LINE):
                if text is not None and not text.strip():
                    continue
                problem = broken_line(text, number=number, offset=offset, length=length)
                if problem is not None:
                    refused.append(problem)
                    continue
                numbers.append(number)
                out.write(text.rstrip(b"\r\n") + b"\n")  # type: ignore[union-attr]
        if refused:
            rows = [
                {
                    **problem.row(),
                    "file_hash": self.digest,
                    "source": self.source.name,
                    "path": self.shown,
                    "quarantined_at": self.ingested_at,
                }
                for problem in refused
            ]
            self.refused.append(table("ops.quarantine").frame(rows))
        if numbers:
            self._read_json(good, pl.Series("line_number", numbers, dtype=pl.Int64))


def _latest(hours: pl.DataFrame) -> datetime | None:
    if hours.is_empty():
        return None
    latest = hours.select(
        pl.max_horizontal(pl.col("last_finished_at").max(), pl.col("touched_hour").max())
    ).item()
    return latest if isinstance(latest, datetime) else None


def _mapped(column: str, value: pl.DataType | type[pl.DataType]) -> pl.Expr:
    present = pl.col(column).list.filter(pl.element().struct.field("value").is_not_null())
    return pl.when(present.list.len() > 0).then(present).cast(pl.Map(pl.String, value))


def _quoted(path: Path) -> str:
    return _word(str(path))


def _word(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
