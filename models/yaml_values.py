"""YAML as values: one pass over a file's events, bounded in size, depth and repetition, with the line of every key.

Decimals are kept as written, dates may be quoted or not, a key written twice is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import yaml

from models.errors import ConfigurationError

Location = tuple[Any, ...]

LARGEST = 4 << 20
"""Characters of a file; the largest sheet that ships has 90,000."""
DEEPEST = 40
"""Mappings and lists inside each other."""
MOST_DOCUMENTS = 1000
MOST_VALUES = 200_000
"""Words, numbers, mappings and lists of a document; the largest sheet that ships has 9,000."""
MOST_REPEATED = 10_000
"""Values that aliases (`*name`) repeat, all together: a few lines can stand for billions."""
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAGS = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_MERGE = "tag:yaml.org,2002:merge"
_WRONG = {
    "tag:yaml.org,2002:timestamp": "is no date; write it like 2026-11-20 or 2026-11-20T16:30:00Z",
    "tag:yaml.org,2002:int": "is no whole number; write it in digits",
    "tag:yaml.org,2002:float": "is no number; write it in digits",
}


@dataclass
class _Open:
    """A mapping or list that is being read.

    Attributes:
        size: values in it so far, itself included, with what aliases repeat.
        key: of a mapping, the key whose value comes next.
    """

    value: Any
    location: Location
    anchor: str | None
    size: int = 1
    key: Any = None
    has_key: bool = False
    is_merge: bool = False
    merged: list[Any] = field(default_factory=list)


def yaml_values(text: str, *, path: str) -> Iterator[tuple[Any, dict[Location, int]]]:
    """Yield the value of each document of a file and the 1-based line of every path of keys in it.

    Raises:
        ConfigurationError: broken syntax, a value or a key that cannot be, or more than the bounds, with file and
            line.
    """
    if len(text) > LARGEST:
        raise ConfigurationError(
            f"{path}: the file has {len(text) / 1e6:.0f} million characters; at most {LARGEST / 1e6:.0f} are read"
        )
    loader = None
    try:
        loader = _Loader(text)
        count = 0
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.DocumentStartEvent):
                count += 1
                if count > MOST_DOCUMENTS:
                    line = cast("Any", event).start_mark.line + 1
                    raise ConfigurationError(
                        f"{path}, line {line}: the file has more than {MOST_DOCUMENTS:,} documents; split it"
                    )
                yield _Reader(loader, path).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else text.count("\n", 0, max(getattr(error, "position", 0) or 0, 0)) + 1
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "the syntax is broken"
        raise ConfigurationError(
            f"{path}, line {line}: not valid YAML ({problem}); mend the syntax"
        ) from error
    finally:
        if loader is not None:
            loader.dispose()


class _Reader:
    """Reads the events of one document."""

    def __init__(self, loader: Any, path: str) -> None:
        self._loader, self._path = loader, path
        self._lines: dict[Location, int] = {}
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._repeated = 0
        self._open: list[_Open] = []
        self._root: Any = None
        self._count = 0

    def document(self) -> tuple[Any, dict[Location, int]]:
        while not isinstance(event := self._loader.get_event(), yaml.DocumentEndEvent):
            line = event.start_mark.line + 1
            self._count += 1
            if self._count > MOST_VALUES:
                raise self._error(line, f"the file has more than {MOST_VALUES:,} values; split it")
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._begin(event, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end(line)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event.anchor, line)
            else:
                value, is_merge = self._scalar(event, line)
                if event.anchor is not None:
                    self._anchors[event.anchor] = (value, 1)
                self._put(value, line, 1, is_merge=is_merge)
        return self._root, self._lines

    def _error(self, line: int, message: str) -> ConfigurationError:
        return ConfigurationError(f"{self._path}, line {line}: {message}")

    def _begin(self, event: Any, line: int) -> None:
        if len(self._open) >= DEEPEST:
            raise self._error(line, f"values are nested more than {DEEPEST} deep; flatten them")
        if event.tag not in _PLAIN_TAGS:
            raise self._error(line, f"the tag {event.tag} is not known; leave it out")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if self._open and self._is_at_key():
            raise self._error(line, "a key is a word; a mapping or list cannot be one")
        location = self._next_location()
        self._lines.setdefault(location, line)
        self._open.append(_Open({} if is_mapping else [], location, event.anchor))

    def _end(self, line: int) -> None:
        done = self._open.pop()
        for mapping in done.merged:
            # Of several that are merged the first wins, and what is written in the mapping itself before all.
            done.value.update({key: value for key, value in mapping.items() if key not in done.value})
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, done.size)
        self._put(done.value, line, done.size)

    def _alias(self, anchor: str | None, line: int) -> None:
        if anchor is None or anchor not in self._anchors:
            raise self._error(line, f"the alias *{anchor} has no anchor &{anchor} before it; write the value")
        value, size = self._anchors[anchor]
        self._repeated += size
        if self._repeated > MOST_REPEATED:
            raise self._error(line, f"aliases repeat more than {MOST_REPEATED:,} values; write fewer of them")
        self._put(value, line, size)

    def _is_at_key(self) -> bool:
        top = self._open[-1]
        return isinstance(top.value, dict) and not top.has_key

    def _next_location(self) -> Location:
        if not self._open:
            return ()
        top = self._open[-1]
        return (*top.location, top.key if isinstance(top.value, dict) else len(top.value))

    def _put(self, value: Any, line: int, size: int, *, is_merge: bool = False) -> None:
        """Take a whole value as the root, an item, a key or the value of a key."""
        if not self._open:
            self._lines.setdefault((), line)
            self._root = value
            return
        top = self._open[-1]
        top.size += size
        if isinstance(top.value, list):
            self._lines.setdefault((*top.location, len(top.value)), line)
            top.value.append(value)
        elif not top.has_key:
            top.key, top.has_key, top.is_merge = value, True, is_merge
            if isinstance(value, (dict, list)):
                raise self._error(line, "a key is a word; a mapping or list cannot be one")
            if not is_merge and value in top.value:
                raise self._error(line, f"key {value!r} is written twice; keep one of them")
            self._lines[*top.location, value] = line
        else:
            if top.is_merge:
                mappings = value if isinstance(value, list) else [value]
                if not all(isinstance(one, dict) for one in mappings):
                    raise self._error(line, "`<<` merges mappings; name one by its alias")
                top.merged += mappings
            else:
                top.value[top.key] = value
            top.has_key = False

    def _scalar(self, event: Any, line: int) -> tuple[Any, bool]:
        """Return a scalar as a value, and whether it is the key `<<`."""
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == _MERGE:
            return event.value, True
        if tag in {"tag:yaml.org,2002:str", "tag:yaml.org,2002:value"}:
            return event.value, False
        try:
            if tag == "tag:yaml.org,2002:float":
                text = event.value.replace("_", "").lower()
                return Decimal(text.replace(".inf", "inf").replace(".nan", "nan")), False
            return self._loader.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark)), False
        except yaml.YAMLError:
            raise self._error(line, f"the tag {tag} is not known; leave it out") from None
        except (ValueError, ArithmeticError, AttributeError, TypeError):
            shown = event.value if len(event.value) <= 40 else f"{event.value[:40]}..."  # noqa: PLR2004
            raise self._error(line, f"{shown!r} {_WRONG.get(tag, 'cannot be read')}") from None
