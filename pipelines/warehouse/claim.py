"""Who may write to a catalog: a claim on the catalog itself keeps others out, until its process ends or dies.

A catalog in PostgreSQL is written to by any number of machines of one version, in turn: each has a session of its own
there, whose advisory locks say of which version it is and whose turn it is, and which end with it.

With SQLite one project folder of one machine writes: another does not see the file lock by which processes of the
folder take turns. The claim is a lock on the file `<catalog>.writer` beside it, which is seen wherever SQLite's own
locks are.
"""

import contextlib
import fcntl
import io
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from models.errors import DataError
from pipelines.masking import mask
from pipelines.project import Project

if TYPE_CHECKING:
    import psycopg

COMMIT, LANDING = 1, 2
"""Turns of all machines: to change the lake for a moment, and to land what is new."""
_SPACE, _TURNS = 0x6E616E6F, 0x6E616E70
"""The first key of our advisory locks: which version is at work, and whose turn it is."""
_TELL_AFTER_MS = 2000
_LOG = logging.getLogger(__name__)
_NAME = 63 - len("nanodollar ")
_OTHERS = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %(space)s AND l.objid NOT IN (0, %(own)s)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1
"""
_OWN_TURN = """
SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND database =
  (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = %s AND objid = %s AND objsubid = 2
"""
_HOLDER = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s
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


def claim(project: Project, *, defined: str) -> Claim:
    """Claim the project's catalog for writing, as long as what is returned stays open.

    Args:
        project: whose catalog.
        defined: hash of what this version defines, in hexadecimal digits.

    Raises:
        DataError: another version, or with SQLite another folder, writes to it, or it cannot be reached.
    """
    if is_shared(project):
        return _claim_in_database(project, int(defined[:8], 16) % (2**31 - 1) + 1)
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


def is_shared(project: Project) -> bool:
    """Return whether several machines may write to the catalog."""
    return project.catalog.startswith("postgres:")


@contextmanager
def turn_of_machines(project: Project, turn: int, claimed: Claim | None = None) -> Iterator[None]:
    """Hold a turn against every other machine; where one has it, say so and wait. Without a shared catalog do nothing.

    Processes of one folder take the turn by a file lock before: a session does not wait for itself.

    Args:
        project: whose catalog.
        turn: COMMIT or LANDING.
        claimed: the claim, whose session is used; by default one of its own, for a turn that is held long.

    Raises:
        DataError: the catalog's database cannot be reached.
    """
    if not is_shared(project):
        yield
        return
    import psycopg

    session = claimed if isinstance(claimed, psycopg.Connection) else None
    with contextlib.nullcontext(session) if session is not None else _session(project) as held:
        _wait(held, project, turn)
        try:
            yield
        finally:
            # A session that is lost has lost its turn.
            with contextlib.suppress(psycopg.Error):
                held.execute("SELECT pg_advisory_unlock(%s, %s)", [_TURNS, turn])


def _wait(session: "psycopg.Connection[Any]", project: Project, turn: int) -> None:
    import psycopg

    is_said = False
    while True:
        try:
            session.execute("SELECT pg_advisory_lock(%s, %s)", [_TURNS, turn])
        except psycopg.errors.LockNotAvailable:
            # PostgreSQL may grant a session's lock in the moment in which it gives up waiting: it is held then, and a
            # second lock would not end with one unlock.
            if session.execute(_OWN_TURN, [_TURNS, turn]).fetchone() is not None:
                return
            found = session.execute(_HOLDER, [_TURNS, turn]).fetchone()
            if found is not None and not is_said:
                is_said = True
                what = "lands files in" if turn == LANDING else "writes to"
                _LOG.warning("%s %s this lake; waiting for its turn to end.", _place_of(found[0]), what)
        except psycopg.Error as error:
            raise _unreachable(project, error) from None
        else:
            return


def _shortened(place: str) -> str:
    """Cut a place in its middle to what PostgreSQL keeps of a name."""
    return place if len(place) <= _NAME else f"{place[: _NAME // 3]}...{place[3 - _NAME * 2 // 3 :]}"


def _place_of(application_name: str) -> str:
    return application_name.removeprefix("nanodollar ")


def _unreachable(project: Project, error: Exception) -> DataError:
    return DataError(
        mask(
            f"The warehouse's catalog cannot be opened ({str(error).splitlines()[0]}); check [warehouse] catalog "
            f"in {project.folder / 'nanodollar.toml'}."
        )
    )


def _session(project: Project) -> "psycopg.Connection[Any]":
    """Open a session of our own, which PostgreSQL ends within a minute after its machine has gone."""
    import psycopg

    place = f"{version('nanodollar')} {_shown_place(project)}"
    try:
        return psycopg.connect(
            project.catalog.removeprefix("postgres:"),
            autocommit=True,
            connect_timeout=10,
            application_name=f"nanodollar {_shortened(place)}",
            options=f"-c lock_timeout={_TELL_AFTER_MS} -c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 "
            "-c tcp_keepalives_count=3",
        )
    except psycopg.Error as error:
        # Without its cause, whose words may hold the password.
        raise _unreachable(project, error) from None


def _claim_in_database(project: Project, own: int) -> Claim:
    import psycopg

    session = _session(project)
    try:
        session.execute("SET lock_timeout = '60s'")
        session.execute("SELECT pg_advisory_lock(%s, 0)", [_SPACE])
        other = session.execute(_OTHERS, {"space": _SPACE, "own": own}).fetchone()
        if other is None:
            session.execute("SELECT pg_advisory_lock_shared(%s, %s)", [_SPACE, own])
        session.execute("SELECT pg_advisory_unlock(%s, 0)", [_SPACE])
        session.execute(f"SET lock_timeout = {_TELL_AFTER_MS}")
    except psycopg.Error as error:
        session.close()
        raise _unreachable(project, error) from None
    if other is not None:
        session.close()
        raise DataError(
            f"Another version of nanodollar is at work on this catalog ({_place_of(other[0])}), and this is "
            f"{version('nanodollar')}: machines of one version write to a catalog at a time. Stop it there, or use the "
            f"same version everywhere. Nothing was changed."
        )
    return session
