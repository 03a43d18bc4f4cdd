"""One SQL file per mart; the first line says what one row is. Macros are in macros.sql."""

from importlib.resources import files


def mart_sql(name: str) -> str:
    """Return the SELECT of a mart, with named parameters ($from_hour, $to_hour or $from_on, $to_on)."""
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def macros_sql() -> list[str]:
    """Return the statements that create the analysts' macros; bodies name `schema.table` only."""
    text = files(__name__).joinpath("macros.sql").read_text(encoding="utf-8")
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]
