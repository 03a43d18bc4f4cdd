"""SQL that a person writes, answered by a process of its own that is ended when it takes too long or says too much."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
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
_WITHOUT_SITE = "import sys; sys.path[:] = {path!r}; from pipelines.explorer.caged import main; main()"


@dataclass(frozen=True)
class Answer:
    """What a query answered: its columns and the first rows as texts, or the bytes of a file."""

    columns: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    is_cut: bool = False
    content: bytes = b""


class Cage:
    """Runs queries, two at once; a third waits for its turn.

    Args:
        seconds: after which a query is ended.
    """

    def __init__(self, *, seconds: int = 20) -> None:
        self._seconds = seconds
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

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

    def _asked(self, path: Path, sql: str, form: Form) -> Answer:
        is_page = form == "page"
        most = _BYTES_SHOWN if is_page else _BYTES_OF_FILE
        order = {
            "path": str(path), "sql": sql, "form": form, "seconds": self._seconds,
            "rows": ROWS_SHOWN if is_page else _ROWS_OF_FILE, "bytes": most,
        }  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="nanodollar-") as folder:
            said, is_late = self._run(json.dumps(order).encode() + b"\n", most * 7, folder)
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

    def _run(self, order: bytes, most: int, folder: str) -> tuple[bytes, bool]:
        """Return what the process said, and whether it was ended for its time."""
        is_late = threading.Event()
        code = _WITHOUT_SITE.format(path=[os.path.abspath(place) for place in sys.path])  # noqa: PTH100
        with subprocess.Popen(  # noqa: S603  our own words
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"TMPDIR": folder, "HOME": folder, "LC_ALL": "C.UTF-8"},
            cwd=folder,
            start_new_session=True,
        ) as process:

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
                try:
                    process.stdin.write(order)
                    process.stdin.close()
                except BrokenPipeError:
                    return b"", is_late.is_set()
                said = process.stdout.read(most)
            finally:
                timer.cancel()
                _kill(process)
        return said, is_late.is_set()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
