"""What a page of the explorer is: an address, a title, and a function from what is asked to its figures."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pipelines.explorer.audience import Audience
from pipelines.explorer.cage import Cage
from pipelines.explorer.figure import Figure
from pipelines.explorer.published import OpenedVersion
from pipelines.explorer.state import ViewState
from pipelines.project import Project


@dataclass(frozen=True)
class PageContext:
    """What a page is asked: of which project and file, the view, the zone of its days, now, and who answers SQL."""

    project: Project
    opened: OpenedVersion
    state: ViewState
    time_zone: str
    now: datetime
    cage: Cage
    request: Request
    audience: Audience


@dataclass(frozen=True)
class Content:
    """What a page answers: a sentence, its figures, and the template that shows them."""

    lead: str
    figures: tuple[Figure, ...]
    template: str = "page.html"
    more: dict[str, Any] = field(default_factory=dict)
    """What the template of one page shows beside figures."""


@dataclass(frozen=True)
class Page:
    """A page: `order` is its place in the list of pages, `table` the one whose columns it can be split by."""

    path: str
    title: str
    order: int
    build: Callable[[PageContext], Content | Response]
    table: str | None = None
    offered: tuple[str, ...] = ()
    """Dimensions that it can be split by, of those that its table tells; the first is the usual."""
    has_basis: bool = False
    has_grain: bool = False
    has_comparison: bool = False
    has_verdict: bool = True
    usual_days: int = 28


@cache
def pages() -> tuple[Page, ...]:
    """Return every page, by the listing of `pages/`, in the order in which they are listed."""
    folder = importlib.import_module("pipelines.explorer.pages")
    found = [
        importlib.import_module(f"pipelines.explorer.pages.{item.name}").PAGE
        for item in pkgutil.iter_modules(folder.__path__)
    ]
    return tuple(sorted(found, key=lambda page: (page.order, page.path)))
