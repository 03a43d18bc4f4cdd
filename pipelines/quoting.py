"""Text inside SQL or a command: where a path, a name or a value becomes part of a statement that something runs."""

import shlex


def sql_text(text: object) -> str:
    """Return a text literal of SQL, whatever quotes the text holds."""
    return "'" + str(text).replace("'", "''") + "'"


def sql_name(name: str) -> str:
    """Return a quoted name of SQL, whatever quotes the name holds."""
    return '"' + name.replace('"', '""') + '"'


def shell_word(value: str) -> str:
    """Return a text as one word of a command that a person may paste into a shell."""
    return shlex.quote(value)
