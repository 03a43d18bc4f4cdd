"""The one place that keeps secrets out of what people read: errors, logs, Dagster's events, pages, query results.

`remember` is told every secret of a project when its settings are read; `mask` replaces them, and whatever looks like
a password in a URL or a connection string, wherever text leaves: the streams of a command (`MaskedStream`), an error
where it arises (`masked_errors`), Dagster's event log.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TextIO
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import duckdb

HIDDEN = "***"
_SHORTEST = 6
"""A shorter value is hidden only where it stands as a password: it would blot out ordinary words."""
_SECRET_NAME = re.compile(r"auth|token|key|secret|passw|credential|cookie|sig(nature)?$", re.IGNORECASE)
_ENVIRONMENT = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "PGPASSWORD")
_KEYWORD = re.compile(r"(?i)(\b(?:ssl)?password\s*=\s*)('(?:[^'\"\\]|\\.)*'|[^\s'\"\\&;)]+)")
# They cross no quote and no backslash, so that what they replace in a JSON text leaves it JSON.
_PATTERNS = (
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s/:@'\"\\]*:)[^\s@'\"\\]+@"), rf"\1{HIDDEN}@"),
    (_KEYWORD, rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1{HIDDEN}"),
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff]")
"""What commands a terminal, or turns the order of what it shows."""
_secrets: dict[str, str] = {}


def remember(value: str) -> None:
    """Hide a value from now on, in every spelling it may have; of a URL what is not its host."""
    text = value.strip()
    address = _split(text)
    if address is not None:
        remember_parts(text)
        _add(text, f"{address[0]}://{address[1]}/{HIDDEN}")
    elif _KEYWORD.search(text):
        remember_parts(text)
    else:
        _add(text, HIDDEN)


def remember_parts(text: str) -> None:
    """Hide the passwords inside a URL or connection string that may itself be shown."""
    for match in _KEYWORD.finditer(text):
        _add(match[2].strip("'"), HIDDEN)
    found = re.search(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", text)
    if found is None:
        return
    try:
        address = urlsplit(found[0])
    except ValueError:
        return
    if address.password:
        _add(address.password, HIDDEN)
    for name, given in parse_qsl(address.query):
        if _SECRET_NAME.search(name):
            _add(given, HIDDEN)


def remember_named(values: Iterable[tuple[str, str]]) -> None:
    """Hide the values whose names say that they are secrets, such as `Authorization` or `api_key`."""
    for name, value in values:
        if _SECRET_NAME.search(name):
            _add(value, HIDDEN)
            _add(value.split(" ")[-1], HIDDEN)


def remember_environment() -> None:
    """Hide the keys that AWS's and PostgreSQL's clients read from the environment."""
    for name in _ENVIRONMENT:
        if os.environ.get(name):
            _add(os.environ[name], HIDDEN)


def has_secrets() -> bool:
    """Return whether there is anything that only `remember` knows of."""
    return bool(_secrets)


def mask(text: str) -> str:
    """Return a text with every secret replaced by ***."""
    if _secrets:
        text = _expression(len(_secrets)).sub(lambda match: _secrets[match[0]], text)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


@contextmanager
def masked_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Let an error of these kinds leave the block without the secrets in its words, and without its causes then."""
    try:
        yield
    except kinds as error:
        shown = mask(str(error))
        if shown == str(error):
            raise
        raise _alike(error, shown) from None


def _alike(error: Exception, text: str) -> Exception:
    try:
        return type(error)(text)
    except TypeError:
        return duckdb.Error(text)


def escaped(text: str) -> str:
    """Return a text in which no character commands a terminal: of control characters it keeps newline and tab."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def escaped_json(text: str) -> str:
    """Do the same to JSON, of which a reader gets the characters back."""
    return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class MaskedStream:
    """A text stream that shows no secret, and control characters as their escapes; all else is the stream's own.

    Args:
        stream: where the text goes.
        keeps_controls: for what moves a terminal's cursor itself, and writes no text of others.
    """

    def __init__(self, stream: TextIO, *, keeps_controls: bool = False) -> None:
        self._stream, self._keeps_controls = stream, keeps_controls

    def write(self, text: str) -> int:
        shown = mask(text)
        self._stream.write(shown if self._keeps_controls else escaped(shown))
        return len(text)

    def with_controls(self) -> "MaskedStream":
        """Return the same stream for a live display."""
        return MaskedStream(self._stream, keeps_controls=True)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _split(text: str) -> tuple[str, str] | None:
    try:
        address = urlsplit(text)
    except ValueError:
        return None
    return (address.scheme, address.netloc.rpartition("@")[2]) if "://" in text and address.netloc else None


def _add(value: str, shown: str) -> None:
    spellings = {
        value,
        unquote(value),
        quote(value, safe=""),
        quote(value),
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
    }
    for spelling in spellings:
        if len(spelling) >= _SHORTEST and spelling != HIDDEN:
            _secrets.setdefault(spelling, shown)


@cache
def _expression(count: int) -> re.Pattern[str]:
    del count  # secrets are only ever added
    # The longest first, so that a secret inside another does not leave its rest standing.
    return re.compile("|".join(re.escape(one) for one in sorted(_secrets, key=len, reverse=True)))
