"""How templates of this folder are rendered."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from pipelines.masking import escaped

_COMPILED = Path(__file__).with_name("__pycache__")
_HOW = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
"""Tells templates that were compiled by other settings of an environment."""


class _BesideModules(FileSystemBytecodeCache):
    """Keep compiled templates where Python keeps compiled modules, which only who installs this can write."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            _COMPILED.mkdir(exist_ok=True)
            super().dump_bytecode(bucket)


def page_environment(*folders: Path) -> Environment:
    """Return a new environment: text is escaped, an unknown name is an error, lines of tags leave no blank lines.

    Control characters and turns of the direction of text, which a name of a log may hold, are shown as their escapes.

    Args:
        folders: where templates are looked for before this folder.
    """
    return Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_BesideModules(str(_COMPILED), f"jinja-{jinja2.__version__}-{_HOW}-%s.cache"),
    )


def _shown(value: Any) -> Any:
    return type(value)(escaped(value)) if isinstance(value, str) else value
