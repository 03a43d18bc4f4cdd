"""SQL of the marts: one file per table, and the macros; SELECTs over `schema.table` names only."""

import re
from importlib.resources import files

from models.errors import ConfigurationError

_PART = re.compile(r"^-- part: (\w+)\n", re.MULTILINE)
"""A line in whose place stands what several marts have in common: a file of `parts`."""


def mart_sql(name: str) -> str:
    """Return the SELECT that fills a mart.

    Args:
        name: file name without `.sql`: `cost_per_token_hourly` takes `$from_hour, $to_hour` (TIMESTAMPTZ),
            `cost_per_token_daily` and `coverage` take `$from_on, $to_on` (DATE); both half-open.

    Raises:
        ConfigurationError: no such mart.
    """
    file = files(__name__) / f"{name}.sql"
    if not file.is_file():
        raise ConfigurationError(f"models/marts has no {name}.sql; add the file or correct the name.")
    parts = files(__name__) / "parts"
    return _PART.sub(
        lambda found: (parts / f"{found[1]}.sql").read_text(encoding="utf-8"),
        file.read_text(encoding="utf-8"),
    )


def macros_sql() -> list[str]:
    """Return the statements that create or replace the macros, each safe to run again."""
    text = (files(__name__) / "macros.sql").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [
        statement.strip().removesuffix(";")
        for statement in "\n".join(lines).split(";\n")
        if statement.strip()
    ]
