"""What a run reads of the project itself, hashed: the code, the settings, and the files that they name."""

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from pipelines.project import Project
from pipelines.settings import SETTINGS_FILE

_PACKAGES = ("pipelines", "models", "data")


def hash_of_code_and_settings(project: Project) -> str:
    """Hash the names, sizes and times of the code's files, and the content of the settings and what they name."""
    digest = hashlib.sha256()
    for folder in _code():
        for line in file_stats(folder, folder.parent):
            digest.update(line)
    for path in sorted(_settings_files(project)):
        digest.update(f"{_relative(path, project.folder)}|{path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _code() -> list[Path]:
    specs = (importlib.util.find_spec(name) for name in _PACKAGES)
    return [Path(place) for spec in specs if spec for place in spec.submodule_search_locations or ()]


def _settings_files(project: Project) -> set[Path]:
    """Return the settings file and every file that the settings name, or that lies in a folder that they name.

    What sections of several entries name (`[[deliveries]]`) is written to, not read.
    """
    found = {project.folder / SETTINGS_FILE}
    sections = dict(project.settings)
    for section in sections.keys() - {"warehouse", "sources"}:
        if isinstance(sections[section], list):
            continue
        for value in dict(sections[section]).values():
            for name in value if isinstance(value, list) else [value]:
                path = project.folder / str(name)
                if name and path.is_file():
                    found.add(path)
                elif name and path.is_dir():
                    found |= {item for item in path.rglob("*") if item.is_file()}
    return found


def file_stats(path: Path | str, base: Path) -> Iterator[bytes]:
    """Yield a line for a file, or for each file of a folder, in order; what is not there has none."""
    if os.path.isdir(path):  # noqa: PTH112
        for name in sorted(os.listdir(path)):  # noqa: PTH208
            if name != "__pycache__":
                yield from file_stats(f"{path}{os.sep}{name}", base)
    elif os.path.exists(path):  # noqa: PTH110
        stat = os.stat(path)  # noqa: PTH116
        yield f"{_relative(path, base)}|{stat.st_size}|{stat.st_mtime_ns}\n".encode(errors="surrogateescape")


def _relative(path: Path | str, base: Path) -> str:
    """Name a file by its place in the project, so that a project that was moved or copied stands as it did."""
    return str(path).removeprefix(f"{base}{os.sep}")
