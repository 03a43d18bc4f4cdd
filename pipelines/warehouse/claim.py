"""One project folder of one machine writes to a catalog at a time: a claim on the catalog itself keeps others out.

Processes of one folder take turns by a file lock there. Another machine, or another folder, does not see that lock; it
would land the same files again. So whoever opens a catalog for writing claims it, together with the processes of its
folder, until it ends or dies: in PostgreSQL by an advisory lock of a session of its own, with SQLite by a lock on the
file `<catalog>.writer` beside it, which is seen wherever SQLite's own locks are.
"""

import fcntl
import hashlib
import io
import socket
from pathlib import Path
from typing import Protocol

from models.errors import DataError
from pipelines.masking import mask
from pipelines.project import Project

_SPACE = 0x6E616E6F
"""The first key of our advisory locks."""
_NAME = 63 - len("nanodollar ")
_OTHERS = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %(space)s AND l.objid NOT IN (0, %(own)s)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1
"""
_KERNEL = Path("/proc/sys/kernel/random/boot_id")


class Claim(Protocol):
    """What holds a catalog for writing until it is closed."""

    def close(self) -> None: ...


def is_held(claimed: Claim) -> bool:
    """Return whether a claim still keeps others out: a database that was stopped forgets its locks."""
    if isinstance(claimed, io.TextIOBase):
        return True
    import psycopg

    if not isinstance(claimed, psycopg.Connection):
        return False
    try:
        claimed.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def claim(project: Project) -> Claim:
    """Claim the project's catalog for writing, as long as what is returned stays open.

    Raises:
        DataError: another machine or folder writes to it, or it cannot be reached.
    """
    if project.catalog.startswith("postgres:"):
        return _claim_in_database(project)
    return _claim_beside(project, Path(project.catalog.removeprefix("sqlite:")))


def _shown_place(project: Project) -> str:
    return f"{socket.gethostname()}:{project.folder}"


def _identity(project: Project) -> str:
    """Return what is equal for processes that see each other's file locks on the folder, and for no others.

    Two containers with one folder between them are one place; two machines with equal names are two.
    """
    if not _KERNEL.exists():
        return _shown_place(project)
    folder = project.folder.stat()
    return f"{_KERNEL.read_text(encoding='ascii').strip()} {folder.st_dev} {folder.st_ino}"


def _refusal(place: str) -> DataError:
    return DataError(
        f"Another writer is at work on this catalog ({place}): one machine and one project folder write to a catalog "
        f"at a time. Wait for its end, or stop it there."
    )


def _claim_beside(project: Project, catalog: Path) -> Claim:
    file = Path(f"{catalog.resolve()}.writer")
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = file.open("a+", encoding="utf-8", errors="surrogateescape")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        handle.truncate(0)
        handle.write(f"{_identity(project)}\n{_shown_place(project)}")
        handle.flush()
    except BlockingIOError:
        pass  # Others share it; they may be of this folder.
    # Whoever was first has written its place; a lock that becomes shared may have been taken over in between.
    fcntl.flock(handle, fcntl.LOCK_SH)
    handle.seek(0)
    identity, _, place = handle.read().partition("\n")
    if identity == _identity(project):
        return handle
    handle.close()
    raise _refusal(place)


def _shortened(place: str) -> str:
    """Cut a place in its middle to what PostgreSQL keeps of a name."""
    return place if len(place) <= _NAME else f"{place[: _NAME // 3]}...{place[3 - _NAME * 2 // 3 :]}"


def _claim_in_database(project: Project) -> Claim:
    import psycopg

    own = (
        int.from_bytes(hashlib.sha256(_identity(project).encode(errors="surrogateescape")).digest()[:4])
        % (2**31 - 1)
        + 1
    )
    try:
        session = psycopg.connect(
            project.catalog.removeprefix("postgres:"),
            autocommit=True,
            connect_timeout=10,
            application_name=f"nanodollar {_shortened(_shown_place(project))}",
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
        raise _refusal(other[0].removeprefix("nanodollar "))
    return session
