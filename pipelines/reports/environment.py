"""How templates of this folder are rendered."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def page_environment(*folders: Path) -> Environment:
    """Return a new environment: text is escaped, an unknown name is an error, lines of tags leave no blank lines.

    Args:
        folders: where templates are looked for before this folder.
    """
    return Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
