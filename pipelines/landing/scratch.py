"""A file in memory that holds one block after another, for DuckDB to read."""

import os
import tempfile


class Scratch:
    """Bytes that DuckDB reads as a file: in memory where the system can, else in a file without a name's traces."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._file = os.fdopen(os.memfd_create("nanodollar"), "r+b", buffering=0)
            self.path = f"/proc/self/fd/{self._file.fileno()}"
        else:
            self._file = tempfile.NamedTemporaryFile(prefix="nanodollar-", buffering=0)  # type: ignore[assignment]  # noqa: SIM115
            self.path = self._file.name

    def write(self, data: bytes) -> None:
        # Cut at the end, not before: its pages are written again and need not be taken anew.
        self._file.seek(0)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._file.truncate()

    def close(self) -> None:
        self._file.close()
