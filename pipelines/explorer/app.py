"""The explorer as a web application: one route a page, its figures as files, and the few files that pages load."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from models.errors import NanodollarError
from pipelines.explorer.cage import Cage
from pipelines.explorer.downloads import csv_bytes, parquet_bytes
from pipelines.explorer.figure import ROWS_SHOWN, Figure, text_of
from pipelines.explorer.guard import LOOPBACK, Guard
from pipelines.explorer.page import Asked, Page, pages
from pipelines.explorer.published import Opened, Published
from pipelines.explorer.state import BASES, COMPARISONS, DIMENSIONS, GRAINS, NONE, State, read_state
from pipelines.project import Project
from pipelines.reports import wording
from pipelines.reports.environment import page_environment
from pipelines.reports.names import provider_name
from pipelines.reports.pages import add_parts, figure
from pipelines.reports.trust import Trust, trust_of_days

_HERE = Path(__file__).parent
_STATIC = {
    "report.css": (_HERE.parent / "reports" / "report.css", "text/css"),
    "explorer.css": (_HERE / "static" / "explorer.css", "text/css"),
    "explorer.js": (_HERE / "static" / "explorer.js", "text/javascript"),
    "icon.svg": (_HERE / "static" / "icon.svg", "image/svg+xml"),
}
_FORMATS: dict[str, tuple[Callable[..., bytes], str]] = {
    "csv": (csv_bytes, "text/csv; charset=utf-8"),
    "parquet": (parquet_bytes, "application/vnd.apache.parquet"),
}


def explorer(project: Project, *, hosts: Iterable[str] = LOOPBACK) -> Starlette:
    """Return the application.

    Args:
        project: whose published file is shown.
        hosts: names by which it may be asked.
    """
    shown = Explorer(project)
    return Starlette(
        routes=[
            Route("/", shown.home),
            Route("/static/{name}", shown.static),
            *(Route(page.path, shown.page_of(page)) for page in pages()),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={
            NanodollarError: shown.refused,
            HTTPException: shown.refused,
            Exception: shown.refused,
        },
    )


@dataclass(frozen=True)
class Verdict:
    """How far a view can be trusted, and what of it is closed or corrected."""

    trust: Trust
    closed: tuple[str, ...]
    corrected: str | None


class Explorer:
    """What the routes share: the project, its published file, and the cage for SQL."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._published = Published(project.published)
        self._cage = Cage()

    def home(self, request: Request) -> Response:
        """Lead to the first page."""
        del request
        return RedirectResponse(pages()[0].path)

    def static(self, request: Request) -> Response:
        """Return a file that pages load."""
        found = _STATIC.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        path, kind = found
        return Response(path.read_bytes(), media_type=kind, headers={"Cache-Control": "public, max-age=3600"})

    def page_of(self, page: Page) -> Callable[[Request], Response]:
        """Return what answers a page's address."""

        def answer(request: Request) -> Response:
            opened = self._published.opened()
            state = read_state(
                page.path,
                request.query_params.multi_items(),
                first_on=opened.first_on,
                last_on=opened.last_on,
                offered=page.offered,
                usual_days=page.usual_days,
            )
            asked = Asked(opened, state, self._project.time_zone, datetime.now(UTC), self._cage, request)
            content = page.build(asked)
            if isinstance(content, Response):
                return content
            if "figure" in request.query_params:
                return _download(content.figures, request.query_params)
            return HTMLResponse(
                _environment().get_template(content.template).render(
                    page=page,
                    pages=[one for one in pages() if one.is_listed],
                    state=state,
                    content=content,
                    verdict=_verdict(asked) if page.has_verdict else None,
                    opened=opened,
                    project=self._project.folder.name,
                    periods=_periods(opened, state),
                )
            )  # fmt: skip

        return answer

    def refused(self, request: Request, error: Exception) -> Response:
        """Return one sentence as a page."""
        if isinstance(error, HTTPException):
            status = error.status_code
            sentence = (
                "There is no such page; the list of pages is above." if status == 404 else str(error.detail)  # noqa: PLR2004
            )
        elif isinstance(error, NanodollarError):
            status, sentence = 400, str(error)
        else:
            status, sentence = (
                500,
                "Something went wrong that was not foreseen; the terminal of `serve` says what.",
            )
        if "text/html" not in request.headers.get("accept", "text/html"):
            return PlainTextResponse(sentence + "\n", status)
        return HTMLResponse(
            _environment().get_template("refused.html").render(
                page=None, pages=[one for one in pages() if one.is_listed], sentence=sentence, state=None,
                project=self._project.folder.name,
            ),
            status,
        )  # fmt: skip


def _download(figures: tuple[Figure, ...], query: object) -> Response:
    names = dict(query.multi_items())  # type: ignore[attr-defined]
    figure = next((one for one in figures if one.name == names["figure"]), None)
    form = names.get("format", "csv")
    if figure is None or form not in _FORMATS:
        raise HTTPException(404)
    write, kind = _FORMATS[form]
    columns = [column.name for column in figure.columns]
    return Response(
        write(figure.rows.select(columns)),
        media_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{figure.name}.{form}"'},
    )


def _verdict(asked: Asked) -> Verdict:
    opened, state = asked.opened, asked.state
    key = (state.first, state.last)
    trust = opened.verdicts.get(key)
    if trust is None:
        with opened.session() as con:
            trust = trust_of_days(con, state.days, time_zone=asked.time_zone, now=asked.now)
        opened.verdicts[key] = trust
    closed = opened.answer(
        "SELECT period FROM ops.closed_periods WHERE reopened_at IS NULL "
        f"AND closed_from <= DATE '{state.last}' AND closed_to > DATE '{state.first}' ORDER BY 1"
    )
    corrected = opened.answer(
        "SELECT count(*) AS number, sum(difference_usd) AS usd FROM core.adjustments "
        f"WHERE booked_on BETWEEN DATE '{state.first}' AND DATE '{state.last}'"
    ).row(0, named=True)
    return Verdict(
        trust,
        tuple(closed.get_column("period").to_list()),
        f"{wording.plural(corrected['number'], 'correction')} of closed months, "
        f"{wording.change(corrected['usd']).striptags()}, {'is' if corrected['number'] == 1 else 'are'} booked in it."
        if corrected["number"]
        else None,
    )


def _periods(opened: Opened, state: State) -> list[tuple[str, str]]:
    """Return periods that are a step away, with their addresses."""
    last = opened.last_on
    if last is None:
        return []
    month = last.replace(day=1)
    before = month - timedelta(days=1)
    length = state.last - state.first + timedelta(days=1)
    return [
        ("earlier", state.url(first=state.first - length, last=state.last - length)),
        ("later", state.url(first=state.first + length, last=state.last + length)),
        ("last day", state.url(first=last, last=last)),
        ("7 days", state.url(first=last - timedelta(days=6), last=last)),
        ("28 days", state.url(first=last - timedelta(days=27), last=last)),
        (f"{month:%B}", state.url(first=month, last=last)),
        (f"{before:%B}", state.url(first=before.replace(day=1), last=before)),
    ]


@cache
def _environment() -> Environment:
    environment = page_environment(_HERE / "templates")
    for word in ("money", "count", "share", "rate", "duration", "plural", "change", "breakable"):
        environment.filters[word] = getattr(wording, word)
    environment.filters["provider_name"] = provider_name
    environment.filters["exact"] = lambda value: f"${value.normalize():f}"
    environment.globals.update(
        icon="/static/icon.svg",
        stylesheets=("/static/report.css", "/static/explorer.css"),
        DIMENSIONS=DIMENSIONS, BASES=BASES, GRAINS=GRAINS, COMPARISONS=COMPARISONS, NONE=NONE, ROWS_SHOWN=ROWS_SHOWN,
        value_of=figure,
        text_of=text_of,
    )  # fmt: skip
    add_parts(environment)
    return environment
