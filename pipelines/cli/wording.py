"""What a person is told when a command fails: an exit code and one sentence without the names of our libraries."""

import re

from models.errors import ConfigurationError, NanodollarError
from pipelines.warehouse.disk import is_full_disk

_UNFORESEEN = "; if it stays, run the command again with --debug and report what that shows"
_CLASS = re.compile(
    r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Violation|Interrupt)|[A-Z]\w+ (?:Error|exception)): ?"
)
_NUMBER = re.compile(r"\[Errno -?\d+\] ?")


def explained(error: Exception) -> tuple[int, str]:
    """Return the exit code of an error and the sentence that tells it."""
    if isinstance(error, ConfigurationError):
        return 2, str(error).strip()
    if isinstance(error, NanodollarError):
        return 1, str(error).strip()
    if is_full_disk(error):
        named = getattr(error, "filename", None)
        where = f"The disk of {named}" if named else "A disk"
        return 1, f"{where} is full ({plain(str(error))}); free some, then run the command again."
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return (
            1,
            f"{place}{error.strerror[:1].lower()}{error.strerror[1:]}; check that it is there and may be used.",
        )
    if isinstance(error, UnicodeDecodeError):
        return 1, f"A file is not UTF-8 text (byte {error.start}); save it as UTF-8{_UNFORESEEN}."
    return 1, f"{plain(str(error)) or 'Something went wrong that was not foreseen'}{_UNFORESEEN}."


def plain(text: str) -> str:
    """Return the first line of a library's message, without the class and number that programmers read."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    while (shorter := _CLASS.sub("", _NUMBER.sub("", line), count=1)) != line:
        line = shorter
    return line.rstrip(".;")
