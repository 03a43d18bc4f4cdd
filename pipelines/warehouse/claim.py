"""One place writes to a catalog that machines share: a claim in the catalog's own database keeps others out.

Processes of one project folder take turns by a file lock. Another machine, or another folder, does not see that lock;
it would land the same files again. So whoever opens a PostgreSQL catalog for writing holds an advisory lock there,
shared by the processes of its folder, in a session of its own that ends with its process.
"""

import hashlib
import socket
from typing import TYPE_CHECKING

from models.errors import DataError
from pipelines.masking import mask
from pipelines.project import Project

if TYPE_CHECKING:
    import psycopg

_SPACE = 0x6E616E6F
"""The first key of our advisory locks."""
_NAME = 63 - len("nanodollar ")
_OTHERS = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %(space)s AND l.objid NOT IN (0, %(own)s)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1
"""


def _shown(place: str) -> str:
    """Cut a place in its middle to what PostgreSQL keeps of a name."""
    return place if len(place) <= _NAME else f"{place[: _NAME // 3]}...{place[3 - _NAME * 2 // 3 :]}"


def claim(project: Project) -> "psycopg.Connection | None":
    """Claim the project's catalog for writing, as long as the connection that is returned stays open.

    A catalog in a file is claimed by the file locks of its folder.

    Raises:
        DataError: another machine or folder writes to it, or it cannot be reached.
    """
    if not project.catalog.startswith("postgres:"):
        return None
    import psycopg

    place = f"{socket.gethostname()}:{project.folder}"
    own = int.from_bytes(hashlib.sha256(place.encode()).digest()[:4]) % (2**31 - 1) + 1
    try:
        session = psycopg.connect(
            project.catalog.removeprefix("postgres:"),
            autocommit=True,
            connect_timeout=10,
            application_name=f"nanodollar {_shown(place)}",
        )
        session.execute("SELECT pg_advisory_lock(%s, 0)", [_SPACE])
        other = session.execute(_OTHERS, {"space": _SPACE, "own": own}).fetchone()
        if other is None:
            session.execute("SELECT pg_advisory_lock_shared(%s, %s)", [_SPACE, own])
        session.execute("SELECT pg_advisory_unlock(%s, 0)", [_SPACE])
    except psycopg.Error as error:
        # Without its cause, whose words may hold the password.
        raise DataError(
            mask(
                f"The warehouse's catalog cannot be opened ({str(error).splitlines()[0]}); check [warehouse] catalog "
                f"in {project.folder / 'nanodollar.toml'}."
            )
        ) from None
    if other is not None:
        session.close()
        raise DataError(
            f"Another writer is at work on this catalog ({other[0].removeprefix('nanodollar ')}): one machine and one "
            f"project folder write to a catalog at a time. Wait for its end, or stop it there."
        )
    return session
