"""A full disk in a sentence: which one it is, and what to free."""

import errno
import shutil
from pathlib import Path

_NO_SPACE = ("no space left", "disk full", "disk is full", "disk quota exceeded", "database or disk is full")


def is_full_disk(error: BaseException) -> bool:
    """Return whether an error of the system, DuckDB, SQLite or Polars says that a disk is full."""
    number = getattr(error, "errno", None)
    return number in {errno.ENOSPC, errno.EDQUOT} or any(word in str(error).lower() for word in _NO_SPACE)


def full_disk_sentence(folder: Path) -> str:
    """Say which disk is full and what may go.

    Args:
        folder: where the file was to be written.
    """
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return (
        f"The disk of {folder} is full ({usage.free / 1e6:,.0f} MB of {usage.total / 1e9:,.1f} GB free); free some: "
        f"pasts that were rebuilt (warehouse/as_known), old files of landing that are kept elsewhere, or other data "
        f"on that disk."
    )
