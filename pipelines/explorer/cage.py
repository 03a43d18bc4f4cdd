"""SQL that a person writes, answered by a process of its own that is ended when it takes too long or says too much."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.errors import DataError

Form = Literal["page", "csv", "parquet"]
_AT_ONCE = 2
_START_SECONDS = 60
_PATIENCE_SECONDS = 15
ROWS_SHOWN = 1_000
_ROWS_OF_FILE = 200_000
_BYTES_SHOWN = 2 << 20
_BYTES_OF_FILE = 64 << 20
_NUMBERS = frozenset(
    {
        "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
        "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL",
    }
)  # fmt: skip
_WITHOUT_SITE = "import sys; sys.path[:] = {path!r}; from pipelines.explorer.caged import main; main()"


@dataclass(frozen=True)
class Answer:
    """What a query answered: its columns and the first rows as texts, or the bytes of a file."""

    columns: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    is_cut: bool = False
    content: bytes = b""

    def is_number(self, place: int) -> bool:
        """Whether a column holds numbers."""
        kind = self.columns[place][1]
        return kind.partition("(")[0] in _NUMBERS and not kind.endswith("]")


class Cage:
    """Runs queries, two at once; a third waits for its turn. One process stands ready, so that a query begins at once.

    Args:
        seconds: after which a query is ended.
    """

    def __init__(self, *, seconds: int = 20) -> None:
        self._seconds = seconds
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._ready: list[subprocess.Popen[bytes]] = []
        weakref.finalize(self, _end_all, self._ready)

    def ask(self, path: Path, sql: str, form: Form = "page") -> Answer:
        """Run one query over a published file.

        Raises:
            DataError: it is no query, it is wrong, or it needs more than it may have.
        """
        if not self._turns.acquire(timeout=_PATIENCE_SECONDS):
            raise DataError("Other queries are being answered; ask again in a moment.")
        try:
            return self._asked(path, sql, form)
        finally:
            self._turns.release()

    def prepare(self) -> None:
        """Let a process stand ready."""
        if not self._ready:
            self._ready.append(_start())

    def _asked(self, path: Path, sql: str, form: Form) -> Answer:
        is_page = form == "page"
        most = _BYTES_SHOWN if is_page else _BYTES_OF_FILE
        order = {
            "path": str(path), "sql": sql, "form": form, "seconds": self._seconds,
            "rows": ROWS_SHOWN if is_page else _ROWS_OF_FILE, "bytes": most,
        }  # fmt: skip
        said, is_late = self._run(json.dumps(order).encode() + b"\n", most * 7)
        self.prepare()
        if is_late:
            raise DataError(
                f"The query took more than {self._seconds} seconds and was ended; ask for fewer days, or use a table "
                "of mart instead of core."
            )
        head, _, content = said.partition(b"\n")
        try:
            answer = json.loads(head)
        except ValueError:
            raise DataError("The query needs more memory than it may have, or answers too much.") from None
        if "error" in answer:
            raise DataError(answer["error"])
        if len(content) > most:
            raise DataError(f"The answer has more than {most >> 20} MB; add LIMIT.")
        return Answer(
            tuple((column["name"], column["type"]) for column in answer.get("columns", ())),
            tuple(tuple(row) for row in answer.get("rows", ())),
            answer["is_cut"],
            content,
        )

    def _run(self, order: bytes, most: int) -> tuple[bytes, bool]:
        """Return what the process said, and whether it was ended for its time."""
        try:
            process = self._ready.pop()
        except IndexError:
            process = _start()
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            _kill(process)

        timer = threading.Timer(_START_SECONDS, end)
        timer.start()
        try:
            if process.stdin is None or process.stdout is None:
                raise TypeError("The process has no pipes.")
            process.stdout.readline()
            timer.cancel()
            timer = threading.Timer(self._seconds, end)
            timer.start()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(order)
                process.stdin.close()
            return process.stdout.read(most), is_late.is_set()
        finally:
            timer.cancel()
            _end_all([process])


def _start() -> subprocess.Popen[bytes]:
    """Start a process that waits for one query, in a folder of its own."""
    folder = tempfile.mkdtemp(prefix="nanodollar-cage-")
    code = _WITHOUT_SITE.format(path=[os.path.abspath(place) for place in sys.path])  # noqa: PTH100
    return subprocess.Popen(  # noqa: S603  our own words
        [sys.executable, "-I", "-c", code, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"TMPDIR": folder, "HOME": folder, "LC_ALL": "C.UTF-8"},
        cwd=folder,
        start_new_session=True,
    )


def _end_all(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes and remove their folders."""
    while processes:
        process = processes.pop()
        _kill(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()
        shutil.rmtree(str(list(process.args)[-1]), ignore_errors=True)  # type: ignore[arg-type]


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
