"""How templates of this folder are rendered."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def page_environment() -> Environment:
    """Return a new environment: text is escaped, an unknown name is an error, lines of tags leave no blank lines."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
