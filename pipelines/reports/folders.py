"""Files, and folders of files, that are put in place as a whole."""

import shutil
from collections.abc import Mapping
from pathlib import Path


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, by name, into a folder that takes the place of the one that is there."""
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, content in files.items():
        (draft / name).write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def replace_file(path: Path, text: str) -> None:
    """Write a file that takes the place of the one that is there."""
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
