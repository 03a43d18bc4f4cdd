"""The explorer as a web application: one route a page, its figures as files, and the few files that pages load."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment
from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from models.errors import NanodollarError
from pipelines.csv_text import csv_bytes
from pipelines.explorer.audience import COOKIE, Audience, Authentication
from pipelines.explorer.cage import Cage
from pipelines.explorer.downloads import parquet_bytes
from pipelines.explorer.figure import ROWS_SHOWN, Figure, priced_sentence, text_of
from pipelines.explorer.guard import LOOPBACK, Guard
from pipelines.explorer.own_rows import OwnRows, unseen_tables
from pipelines.explorer.page import Page, PageContext, pages
from pipelines.explorer.published import OpenedVersion, PublishedFile
from pipelines.explorer.state import BASES, COMPARISONS, DIMENSIONS, GRAINS, NONE, ViewState, read_state
from pipelines.project import Project
from pipelines.reports import wording
from pipelines.reports.environment import page_environment
from pipelines.reports.names import provider_name
from pipelines.reports.pages import add_parts, figure
from pipelines.reports.trust import Trust, trust_of_days

_LONGEST_FORM = 4096
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


def explorer(project: Project, *, hosts: Iterable[str] = LOOPBACK, is_alone: bool = True) -> Starlette:
    """Return the application.

    Args:
        project: whose published file is shown.
        hosts: names by which it may be asked, beside those of the settings.
        is_alone: whether it listens on this machine alone.

    Raises:
        ConfigurationError: it is open to others and has no token.
    """
    settings = project.settings.explorer
    shown = Explorer(project, Authentication(settings, is_alone=is_alone))
    return Starlette(
        routes=[
            Route("/", shown.home),
            Route("/static/{name}", shown.static),
            Route("/sign-in", shown.sign_in, methods=["GET", "POST"]),
            *(Route(page.path, shown.page_of(page)) for page in pages()),
        ],
        middleware=[Middleware(Guard, hosts=[*hosts, *settings.hosts])],
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
    """What the routes share: the project, who may see what of its published file, and the cage for SQL."""

    def __init__(self, project: Project, door: Authentication) -> None:
        self._project, self._door = project, door
        self._published = PublishedFile(project.published)
        self._own_rows = OwnRows(self._published)
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
            audience = self._door.who(request.headers, request.cookies)
            if audience is None:
                return self._closed(request)
            if not audience.sees(page.path):
                raise HTTPException(403, audience.refusal(page.title))
            opened = self._own_rows.opened(audience)
            state = read_state(
                page.path,
                request.query_params.multi_items(),
                first_on=opened.first_on,
                last_on=opened.last_on,
                offered=page.offered,
                usual_days=page.usual_days,
            )
            if audience.is_person and page.has_basis:
                state = replace(state, basis="usage")
            asked = PageContext(
                self._project,
                opened,
                state,
                self._project.time_zone,
                datetime.now(UTC),
                self._cage,
                request,
                audience,
            )
            content = page.build(asked)
            if isinstance(content, Response):
                return content
            content = replace(
                content,
                figures=tuple(
                    _own(audience, one)
                    for one in content.figures
                    if audience.has_details or not one.is_detail
                ),
            )
            if "figure" in request.query_params:
                return _download(content.figures, request.query_params)
            return HTMLResponse(
                _environment().get_template(content.template).render(
                    page=page,
                    pages=[one for one in pages() if audience.sees(one.path)],
                    audience=audience,
                    state=state,
                    content=content,
                    verdict=self._verdict(asked) if page.has_verdict else None,
                    opened=opened,
                    project=self._project.folder.name,
                    periods=_periods(opened, state),
                )
            )  # fmt: skip

        return answer

    async def sign_in(self, request: Request) -> Response:
        """Ask for a token; one that is known is remembered by the browser for some hours."""
        given = request.query_params
        target = given.get("next", "/")
        target = target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
        audience = None
        if request.method == "POST":
            audience = self._door.of_token(await _form_value(request, "token"))
        if audience is None:
            page = _environment().get_template("sign_in.html").render(
                page=None, pages=[], state=None, project=self._project.folder.name, audience=None, target=target,
                is_wrong=request.method == "POST",
            )  # fmt: skip
            return HTMLResponse(page, 401 if request.method == "POST" else 200)
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            COOKIE,
            self._door.cookie(audience),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    def _closed(self, request: Request) -> Response:
        """Return where to sign in, or one sentence to a program."""
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(
                f"/sign-in?{urlencode({'next': f'{request.url.path}?{request.url.query}'})}", 303
            )
        return PlainTextResponse(
            "Say who asks: send the header Authorization: Bearer TOKEN.\n",
            401,
            {"WWW-Authenticate": "Bearer"},
        )

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
                page=None, pages=self._pages_of(request), sentence=sentence, state=None,
                project=self._project.folder.name, audience=None,
            ),
            status,
        )  # fmt: skip

    def _pages_of(self, request: Request) -> list[Page]:
        audience = self._door.who(request.headers, request.cookies)
        return [one for one in pages() if audience is not None and audience.sees(one.path)]

    def _verdict(self, asked: PageContext) -> Verdict:
        """Judge the view. Of somebody's own rows their prices are told, and of the whole the word alone."""
        if not asked.audience.has_rules:
            return _verdict(asked)
        whole = self._published.opened()
        trust = _verdict(replace(asked, opened=whole)).trust
        found = asked.opened.answer(
            "SELECT sum(input_tokens + output_tokens)::BIGINT AS tokens, "
            "sum(unpriced_tokens)::BIGINT AS unpriced_tokens FROM mart.spend_daily "
            f"WHERE accrued_on BETWEEN DATE '{asked.state.first}' AND DATE '{asked.state.last}'"
        )
        facts = f"so stands the whole warehouse in these days. Of your rows: {priced_sentence(found)}"
        return replace(_verdict(asked, Trust(trust.level, trust.verdict, facts)), corrected=None)


async def _form_value(request: Request, name: str) -> str:
    """Return a value of a form; of one that is too long none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM:
            return ""
    return dict(parse_qsl(body.decode(errors="replace"))).get(name, "")


def _own(audience: Audience, figure: Figure) -> Figure:
    """Return a figure as an audience may see it: one whose tables hold none of its rows says so, and is empty."""
    unseen = unseen_tables(audience, figure.sql)
    if not unseen:
        return figure
    sentence = f"Not shown in this view: nothing tells whose the rows of {', '.join(unseen)} are."
    return replace(
        figure, rows=figure.rows.clear(), none=sentence, coverage="", notes=(), chart=None, form="table"
    )


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


def _verdict(asked: PageContext, trust: Trust | None = None) -> Verdict:
    opened, state = asked.opened, asked.state
    key = (state.first, state.last)
    trust = trust or opened.verdicts.get(key)
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


def _periods(opened: OpenedVersion, state: ViewState) -> list[tuple[str, str]]:
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


def _exact(value: Decimal) -> str:
    """Write dollars with all their digits, cents at least."""
    digits = -int(value.normalize().as_tuple().exponent)
    return f"${value:,.{max(2, digits)}f}"


def _with_code(sentence: str) -> Markup:
    """Mark what stands between backticks as code."""
    parts = [escape(part) for part in sentence.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts)
    )


@cache
def _environment() -> Environment:
    environment = page_environment(_HERE / "templates")
    for word in ("money", "count", "share", "rate", "duration", "plural", "change", "breakable"):
        environment.filters[word] = getattr(wording, word)
    environment.filters["provider_name"] = provider_name
    environment.filters["exact"] = _exact
    environment.filters["with_code"] = _with_code
    environment.globals.update(
        icon="/static/icon.svg",
        stylesheets=("/static/report.css", "/static/explorer.css"),
        DIMENSIONS=DIMENSIONS, BASES=BASES, GRAINS=GRAINS, COMPARISONS=COMPARISONS, NONE=NONE, ROWS_SHOWN=ROWS_SHOWN,
        value_of=figure,
        text_of=text_of,
    )  # fmt: skip
    add_parts(environment)
    return environment
