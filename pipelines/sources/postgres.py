"""LiteLLM's spend table in PostgreSQL, extracted as JSON lines without its prompt columns."""

import gzip
from datetime import datetime
from pathlib import Path

import psycopg

from models.errors import DataError

_BATCH = 10_000
_QUERY = """
SELECT (to_jsonb(t) - 'messages' - 'response' - 'proxy_server_request')::text
FROM "LiteLLM_SpendLogs" t
WHERE "startTime" >= %s
ORDER BY "startTime", request_id
"""


def extract_spend_logs(url: str, *, since: datetime, target: Path) -> int:
    """Write the rows that started at or after an instant to a gzip JSONL file; return how many.

    Raises:
        DataError: the server cannot be reached or the table is missing.
    """
    count = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".draft")
    try:
        with (
            psycopg.connect(url, connect_timeout=10) as connection,
            connection.cursor(name="nanodollar_extract") as cursor,
            draft.open("wb") as raw,
            # No time stamp and no name in the header: equal rows are equal bytes.
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as packed,
        ):
            connection.execute("SET TIME ZONE 'UTC'")
            cursor.itersize = _BATCH
            # The column has no zone and holds UTC.
            for (line,) in cursor.execute(_QUERY, [since.replace(tzinfo=None)]):
                packed.write(line.encode() + b"\n")
                count += 1
    except psycopg.Error as error:
        draft.unlink(missing_ok=True)
        first = str(error).strip().splitlines()[0]
        raise DataError(
            f"LiteLLM's PostgreSQL cannot be read ({first}); check the source's url and that the table "
            f'"LiteLLM_SpendLogs" is there, then run again.'
        ) from error
    draft.replace(target)
    return count
