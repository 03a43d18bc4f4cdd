"""Files, and folders of files, that are put in place as a whole: a reader sees the old one or the new one."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def replace_file(path: Path, content: bytes | str) -> None:
    """Write a file that takes the place of the one that is there; text is written as UTF-8.

    Raises:
        OSError: it cannot be written; then the one that is there stays as it is.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, by name, into a folder that takes the place of the one that is there."""
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, content in files.items():
        (draft / name).write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)
