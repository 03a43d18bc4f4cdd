"""Text inside SQL: the one place where a path, a name or a value becomes part of a statement."""


def sql_text(text: object) -> str:
    """Return a text literal of SQL, whatever quotes the text holds."""
    return "'" + str(text).replace("'", "''") + "'"


def sql_name(name: str) -> str:
    """Return a quoted name of SQL, whatever quotes the name holds."""
    return '"' + name.replace('"', '""') + '"'
