"""Where backups lie: a folder or an S3-compatible store with objects named by the hash of what they hold.

objects/ab/abcd...      a file of a lake or of a project, or a catalog: written once, shared by all backups
backups/<instant>.json  what one backup holds: paths, hashes and sizes
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow.fs

from models.errors import DataError
from pipelines.durable import durable
from pipelines.object_store import SCHEME, first_line, object_store
from pipelines.replacing import replace_file
from pipelines.warehouse.disk import is_full_disk

_FORMAT = 1
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_HASH = re.compile(r"[0-9a-f]{64}")
_MANIFEST = re.compile(r"(\d{8}T\d{6}\.\d{6})Z\.json")


@dataclass(frozen=True)
class BackedUpFile:
    """A file in a backup."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What one backup holds.

    `data` are the files of the lake by their path under the data path, `project` those that people wrote by their path
    in the project's folder; `tables` are rows and a digest of the content hashes of each table.
    """

    made_at: datetime
    version: str
    snapshot: int
    catalog: BackedUpFile
    data: dict[str, BackedUpFile] = field(default_factory=dict)
    project: dict[str, BackedUpFile] = field(default_factory=dict)
    tables: dict[str, tuple[int, str]] = field(default_factory=dict)


class DamagedBackupError(DataError):
    """What says what a backup holds does not read; the other backups are as they were."""


class BackupStore:
    """The backups at one place.

    Raises:
        DataError: the place cannot be reached, or what lies there is damaged.
    """

    def __init__(self, target: str) -> None:
        self.target = target.rstrip("/")
        self._is_remote = target.startswith(SCHEME)
        self._files = object_store() if self._is_remote else pyarrow.fs.LocalFileSystem()
        self._root = self.target.removeprefix(SCHEME) if self._is_remote else str(Path(self.target).resolve())

    def manifests(self) -> list[datetime]:
        """Return the instants of all backups, oldest first; files of other names are none of ours."""
        selector = pyarrow.fs.FileSelector(f"{self._root}/backups", allow_not_found=True)
        with self._in_reach():
            names = [info.base_name for info in self._files.get_file_info(selector)]
        stamps = sorted(found[1] for name in names if (found := _MANIFEST.fullmatch(name)))
        return [datetime.strptime(f"{stamp}+0000", f"{_STAMP[:-1]}%z") for stamp in stamps]

    def manifest(self, made_at: datetime) -> Manifest:
        """Read what a backup holds."""
        name = f"backups/{made_at:{_STAMP}}.json"
        try:
            written = json.loads(self._read(name))
            version, is_whole = written["format"], written["sha256"] == _digest(written["backup"])
        except (ValueError, KeyError, TypeError):
            version, is_whole = _FORMAT, False
        if version != _FORMAT:
            raise DataError(
                f"The backup {self.target}/{name} is of another version of nanodollar (format {version}); restore it "
                f"with that version."
            )
        if not is_whole:
            raise DamagedBackupError(
                f"The backup {self.target}/{name} is damaged; restore an earlier one with --at."
            )
        body = written["backup"]
        return Manifest(
            made_at=made_at,
            version=body["version"],
            snapshot=body["snapshot"],
            catalog=BackedUpFile(**body["catalog"]),
            data={path: BackedUpFile(**kept) for path, kept in body["data"].items()},
            project={path: BackedUpFile(**kept) for path, kept in body["project"].items()},
            tables={table: (rows, digest) for table, (rows, digest) in body["tables"].items()},
        )

    def readable(self) -> Iterator[Manifest]:
        """Yield what each backup holds that is not damaged, newest first."""
        for made_at in reversed(self.manifests()):
            with suppress(DamagedBackupError):
                yield self.manifest(made_at)

    def put_manifest(self, manifest: Manifest) -> None:
        """Write what a backup holds; with this it is there."""
        body = asdict(manifest) | {"made_at": manifest.made_at.isoformat()}
        text = json.dumps({"format": _FORMAT, "sha256": _digest(body), "backup": body}, indent=1)
        self._write(f"backups/{manifest.made_at:{_STAMP}}.json", text.encode())

    def put(self, content: bytes, there: dict[str, int]) -> BackedUpFile:
        """Keep the content of a file, unless it is there already, by its hash and size."""
        kept = BackedUpFile(hashlib.sha256(content).hexdigest(), len(content))
        if there.get(kept.sha256) != kept.size_bytes:
            self._write(_object(kept.sha256), content)
            there[kept.sha256] = kept.size_bytes
        return kept

    def get(self, kept: BackedUpFile, *, what: str) -> bytes:
        """Return the content of a file, checked by its hash.

        Args:
            kept: which file.
            what: how a person knows it.
        """
        try:
            content = self._read(_object(kept.sha256))
        except FileNotFoundError:
            content = None
        if content is None or hashlib.sha256(content).hexdigest() != kept.sha256:
            how = "is missing" if content is None else "is damaged"
            raise DataError(
                f"{self.target}/{_object(kept.sha256)}, which holds {what}, {how}; nothing was restored. Restore an "
                f"earlier backup with --at, or one from another place."
            )
        return content

    def objects(self) -> dict[str, int]:
        """Return the sizes of all files that are there, by the hash that names each."""
        selector = pyarrow.fs.FileSelector(f"{self._root}/objects", recursive=True, allow_not_found=True)
        with self._in_reach():
            found = [info for info in self._files.get_file_info(selector) if info.is_file]
        return {info.base_name: info.size for info in found if _HASH.fullmatch(info.base_name)}

    def forget(self, made_at: datetime) -> None:
        self._files.delete_file(f"{self._root}/backups/{made_at:{_STAMP}}.json")

    def remove(self, sha256: str) -> None:
        self._files.delete_file(f"{self._root}/{_object(sha256)}")

    def _read(self, name: str) -> bytes:
        with self._in_reach(), self._files.open_input_stream(f"{self._root}/{name}") as stream:
            content: bytes = stream.read()
            return content

    def _write(self, name: str, content: bytes) -> None:
        place = f"{self._root}/{name}"
        durable(f"backup: write {name.partition('/')[0]}")
        with self._in_reach():
            if self._is_remote:
                with self._files.open_output_stream(place) as stream:
                    stream.write(content)
                return
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            replace_file(Path(place), content)

    @contextmanager
    def _in_reach(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if is_full_disk(error):
                raise DataError(
                    f"The disk of {self.target} is full; this backup does not count, and earlier ones stay. Free "
                    "some, or keep fewer (`--keep`), and back up again."
                ) from error
            raise DataError(
                f"The backups at {self.target} cannot be had ({first_line(error)}); check the place, and for a store "
                f"AWS_ENDPOINT_URL and the AWS keys in the environment."
            ) from error


def _object(sha256: str) -> str:
    return f"objects/{sha256[:2]}/{sha256}"


def _digest(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
