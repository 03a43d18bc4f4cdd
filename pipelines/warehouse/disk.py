"""A full disk in a sentence: which one it is, and what to free."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import DataError, NanodollarError
from pipelines.project import Project

_NO_SPACE = ("no space left", "disk full", "disk is full", "disk quota exceeded", "database or disk is full")


_LITTLE = 1 << 20
"""A write that fails on a disk with less free is taken to have failed for that: Polars does not say why it did."""


def is_full_disk(error: BaseException, folder: Path | None = None) -> bool:
    """Return whether an error says that a disk is full, or a write to a folder failed whose disk is."""
    number = getattr(error, "errno", None)
    if number in {errno.ENOSPC, errno.EDQUOT} or any(word in str(error).lower() for word in _NO_SPACE):
        return True
    return number is None and folder is not None and is_nearly_full(folder)


def is_nearly_full(folder: Path) -> bool:
    """Return whether the disk of a folder has so little space that a write may have failed for that."""
    return shutil.disk_usage(_there(folder)).free < _LITTLE


@contextmanager
def full_disk_explained(project: Project) -> Iterator[None]:
    """Let an error that says that a disk is full leave the block as a sentence of the fullest disk of a project."""
    try:
        yield
    except Exception as error:
        places = [project.folder, project.published.parent, project.reports, project.dagster_home]
        if "://" not in project.data_path:
            places.append(Path(project.data_path))
        places.append(Path(tempfile.gettempdir()))
        fullest = min(places, key=lambda place: shutil.disk_usage(_there(place)).free)
        # A sentence of ours says itself what is wrong.
        if not is_full_disk(error, None if isinstance(error, NanodollarError) else fullest):
            raise
        raise DataError(
            f"The command stopped; what was committed stays. {full_disk_sentence(fullest)} Then run again."
        ) from error


def _there(folder: Path) -> Path:
    """Return a folder, or the nearest above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder


def full_disk_sentence(folder: Path) -> str:
    """Say which disk is full and what may go.

    Args:
        folder: where the file was to be written.
    """
    usage = shutil.disk_usage(_there(folder))
    return (
        f"The disk of {folder} is full ({usage.free / 1e6:,.0f} MB of {usage.total / 1e9:,.1f} GB free); free some: "
        f"pasts that were rebuilt (warehouse/as_known), old files of landing that are kept elsewhere, or other data "
        f"on that disk."
    )
