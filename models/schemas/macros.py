"""The macros of the warehouse as models/marts/macros.sql explains them, for the data dictionary and the catalog."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_MACRO = re.compile(r"((?:^--.*\n)+)CREATE OR REPLACE MACRO (\w+)\(([^)]*)\)( AS TABLE)?", re.MULTILINE)


@dataclass(frozen=True)
class Macro:
    """A macro: its name, its call, its meaning, and whether it returns a table."""

    name: str
    call: str
    meaning: str
    is_table: bool


@cache
def macros() -> tuple[Macro, ...]:
    """Return the macros in the order of their file."""
    text = (files("models.marts") / "macros.sql").read_text(encoding="utf-8")
    return tuple(
        Macro(name, f"{name}({arguments})", _meaning(comment, name), bool(is_table))
        for comment, name, arguments, is_table in _MACRO.findall(text)
    )


def _meaning(comment: str, name: str) -> str:
    words = " ".join(line.removeprefix("--").strip() for line in comment.splitlines())
    meaning = words.removeprefix(f"{name}:").strip()
    return meaning[:1].upper() + meaning[1:]
