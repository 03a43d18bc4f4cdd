"""LiteLLM's spend table in PostgreSQL: its new rows as extracts, without the columns that hold prompts."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from models.errors import DataError
from pipelines.masking import mask
from pipelines.sources.addresses import reachable_addresses
from pipelines.sources.extracts import Extracts

_TABLE = "LiteLLM_SpendLogs"
_PORT = 5432
_ROWS = 250_000
_BATCH = 10_000
_QUERY = sql.SQL(
    """
SELECT line, started_at
FROM (
  SELECT row_to_json(r)::text AS line, r."startTime" AS started_at
  FROM (SELECT {columns} FROM {table} t WHERE "startTime" >= {since}) r
) lines
WHERE NOT EXISTS (SELECT 1 FROM unnest({known}::text[]) AS k(hash) WHERE k.hash = md5(convert_to(line, 'UTF8')))
ORDER BY started_at, line
"""
)


def pull_spend_logs(
    url: str,
    extracts: Extracts,
    *,
    columns: Sequence[str],
    nested: dict[str, Sequence[str]],
    overlap: timedelta,
    is_private_allowed: bool = False,
) -> Iterator[Path]:
    """Yield extracts of the rows that have not landed yet, oldest first.

    A row is written when its call ends, so that rows of running calls appear behind newer ones: the pull goes back by
    the overlap, and leaves out what the landed extracts hold word for word.

    Args:
        url: `postgres://...`.
        extracts: what was pulled before; the new ones are kept with them.
        columns: columns of the table that may be kept.
        nested: column -> dotted paths of a JSON column of which only these are kept.
        overlap: how far behind the newest landed row a new one may start.
        is_private_allowed: whether a server on this machine or its link may be asked, other than by a socket file.

    Raises:
        ConfigurationError: the server is on this machine or its link, and that is not allowed.
        DataError: the server cannot be reached or the table is missing.
    """
    since = extracts.last_at - overlap if extracts.last_at is not None else datetime(1970, 1, 1, tzinfo=UTC)
    known = extracts.line_hashes(since=since)
    try:
        target = make_conninfo(url, **_addresses(url, is_private_allowed=is_private_allowed))
        with psycopg.connect(target, connect_timeout=10, options="-c TimeZone=UTC") as connection:
            query = _query(_present(connection, columns), nested, since, known)
            with connection.cursor(name="nanodollar_pull") as cursor:
                cursor.itersize = _BATCH
                cursor.execute(query)
                while True:
                    with extracts.writing() as writer:
                        while writer.count < _ROWS and (rows := cursor.fetchmany(_BATCH)):
                            # The column has no zone and holds UTC.
                            instants = [rows[at][1].replace(tzinfo=UTC) for at in (0, -1)]
                            writer.write((row[0].encode() for row in rows), instants)
                    if writer.path is None:
                        return
                    yield writer.path
    except psycopg.Error as error:
        first = mask((str(error).strip() or "the connection broke").splitlines()[0])
        # Without its cause, whose words may hold the password.
        raise DataError(
            f"LiteLLM's PostgreSQL cannot be read ({first}); check the source's url and that it may read the table "
            f'"{_TABLE}", then run again.'
        ) from None


def _addresses(url: str, *, is_private_allowed: bool) -> dict[str, str]:
    """Return the addresses to connect to, by libpq's `host` and `hostaddr`; a socket file has none."""
    given = conninfo_to_dict(url)
    if given.get("hostaddr"):
        hosts = str(given["hostaddr"]).split(",")
    else:
        hosts = [
            host
            for host in str(given.get("host") or "").split(",")
            if host and not host.startswith(("/", "@"))
        ]
    ports = str(given.get("port") or _PORT).split(",")
    found = [
        (host, int(ports[number] if len(ports) > 1 else ports[0]), address)
        for number, host in enumerate(hosts)
        for address in reachable_addresses(
            host, int(ports[number] if len(ports) > 1 else ports[0]), is_private_allowed=is_private_allowed
        )
    ]
    if not found:
        return {}
    return {
        "host": ",".join(host for host, _, _ in found),
        "port": ",".join(str(port) for _, port, _ in found),
        "hostaddr": ",".join(address for _, _, address in found),
    }


def _present(connection: psycopg.Connection[Any], columns: Sequence[str]) -> list[str]:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
        [f'"{_TABLE}"'],
    ).fetchall()
    have = {row[0] for row in rows}
    if "startTime" not in have:
        raise psycopg.errors.UndefinedTable(f'the table "{_TABLE}" is missing')
    return [name for name in columns if name in have]


def _query(
    columns: Sequence[str], nested: dict[str, Sequence[str]], since: datetime, known: list[str]
) -> sql.Composed:
    return _QUERY.format(
        columns=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(_kept(name, nested[name]), sql.Identifier(name))
            if name in nested
            else sql.Identifier(name)
            for name in columns
        ),
        table=sql.Identifier(_TABLE),
        since=sql.Literal(since.replace(tzinfo=None)),
        known=sql.Literal(known),
    )


def _kept(column: str, paths: Sequence[str]) -> sql.Composable:
    """Return the object of some paths of a JSON column."""
    tree: dict[str, Any] = {}
    for path in paths:
        place = tree
        for key in path.split("."):
            place = place.setdefault(key, {})
    # The row's JSON is unpacked once, not once a path.
    return sql.SQL(
        "(SELECT jsonb_strip_nulls({}) FROM (SELECT to_jsonb({}) || '{{}}' AS m OFFSET 0) held)"
    ).format(_object(tree, []), sql.Identifier(column))


def _object(tree: dict[str, Any], path: list[str]) -> sql.Composable:
    pairs = [
        sql.SQL("{}, {}").format(
            sql.Literal(key),
            _object(below, [*path, key]) if below else sql.SQL("m #> {}").format(sql.Literal([*path, key])),
        )
        for key, below in tree.items()
    ]
    return sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs))
