"""How templates of this folder are rendered."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.masking import escaped


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
    )


def _shown(value: Any) -> Any:
    return type(value)(escaped(value)) if isinstance(value, str) else value
