"""Messages as lines of JSON, for whoever collects logs: `NANODOLLAR_LOG_FORMAT=json`."""

import json
import os
from datetime import UTC, datetime
from typing import Any

from models.errors import ConfigurationError

VARIABLE = "NANODOLLAR_LOG_FORMAT"
_FORMATS = ("text", "json")


def is_wanted() -> bool:
    """Return whether messages are to be lines of JSON.

    Raises:
        ConfigurationError: the variable holds something else than `text` or `json`.
    """
    wanted = os.environ.get(VARIABLE) or "text"
    if wanted not in _FORMATS:
        raise ConfigurationError(f"{VARIABLE} is {wanted!r} in the environment; set it to text or json.")
    return wanted == "json"


class JsonLines:
    """A text stream that makes of each line an object: `at` (UTC), `level`, `message`, and what is told beside it.

    Args:
        stream: where the objects go, one a line.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                is_error = line.startswith(("Error:", "Usage:", "Traceback"))
                self.tell(line, level="error" if is_error else "info")
        return len(text)

    def tell(self, message: str, *, level: str = "info", **more: object) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._stream.write(f"{json.dumps({'at': at, 'level': level, 'message': message} | more)}\n")
        self._stream.flush()

    def isatty(self) -> bool:
        """A live bar is no line."""
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
