"""Which JSON objects have the shape of a format's columns: those that do not are told for a whole block at once."""

from collections.abc import Iterator, Mapping

import duckdb
from duckdb.sqltypes import DuckDBPyType

_NESTED = ("list", "struct")


def fits(con: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> str:
    """Return SQL that tells whether `read_json` takes an object in the text field `line`.

    It refuses what is no object or no list where a column has one, and a key of a column that is written twice.

    Args:
        con: any session, which reads the types.
        columns: names as the records have them, and their DuckDB types; texts take any value.
    """
    types = {name: con.type(dtype) for name, dtype in columns.items()}
    odd = [_is_doubled("$", [*types], is_listed=False)]
    for name, dtype in types.items():
        odd += _odd(f"$.{_key(name)}", dtype, is_listed=False)
    return f"NOT coalesce({' OR '.join(odd)}, false)"


def _odd(path: str, dtype: DuckDBPyType, *, is_listed: bool) -> Iterator[str]:
    """Yield SQL of what is wrong at a path and below it; a path through a list has many values."""
    if dtype.id not in _NESTED:
        return
    children = {name: child for name, child in dtype.children if isinstance(child, DuckDBPyType)}
    if dtype.id == "list":
        yield _is_other("ARRAY", path, is_listed=is_listed)
        yield from _odd(f"{path}[*]", children["child"], is_listed=True)
    else:
        yield _is_other("OBJECT", path, is_listed=is_listed)
        yield _is_doubled(path, [*children], is_listed=is_listed)
        for name, child in children.items():
            yield from _odd(f"{path}.{_key(name)}", child, is_listed=is_listed)


def _is_other(kind: str, path: str, *, is_listed: bool) -> str:
    found = f"json_type(line, {_word(path)})"
    if not is_listed:
        return f"{found} NOT IN ('{kind}', 'NULL')"
    return f"len(list_filter({found}, lambda t: t NOT IN ('{kind}', 'NULL'))) > 0"


def _is_doubled(path: str, names: list[str], *, is_listed: bool) -> str:
    keys = f"json_keys(line, {_word(path)})"
    wanted = f"list_filter({{}}, lambda k: k IN ({', '.join(map(_word, names))}))"
    if not is_listed:
        held = wanted.format(keys)
        return f"len({held}) > list_unique({held})"
    held = wanted.format("o")
    return f"len(list_filter({keys}, lambda o: len({held}) > list_unique({held}))) > 0"


def _key(name: str) -> str:
    return f'"{name}"'


def _word(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
