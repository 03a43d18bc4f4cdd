"""Where to look for what: data/start_here.yml, the beginning of the data dictionary and of the catalog."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from models.documents import read_yaml


@dataclass(frozen=True)
class Pointer:
    """A question, the table or macro that answers it, and what to mind there."""

    question: str
    look: str
    mind: str


@cache
def start_here() -> tuple[Pointer, ...]:
    """Return the pointers in their order."""
    text = (files("data") / "start_here.yml").read_text(encoding="utf-8")
    return tuple(Pointer(**entry) for entry in read_yaml(text, path="data/start_here.yml").value)
