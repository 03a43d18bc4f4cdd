"""Spend: the whole of it, by anything that it can be split by, over time and against an earlier period."""

from datetime import date, timedelta

from pipelines.explorer.charts import bars_over_time
from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.explorer.state import DIMENSIONS, ViewState, columns_of, dimensions_of
from pipelines.reports.view import ViewColumn

_TABLE = "mart.spend_daily"
_CORRECTIONS = "core.adjustments"
_USAGE = "component IN ('tokens', 'gpu_serving')"
_DEEPEST = 4
"""Filters after which a part leads to its requests."""
_OFFERED = (
    "provider", "model", "component", "route", "tenant", "team", "feature", "environment", "region", "chip",
    "service_tier", "deployment", "commitment",
)  # fmt: skip
_TOKENS = (
    ViewColumn("tokens", "Tokens", "count", is_summed=True),
    ViewColumn("unpriced_tokens", "Tokens without a price", "count", is_summed=True),
)


def build(asked: PageContext) -> Content:
    """Show the total, the parts, and the course over time."""
    state = asked.state
    before = state.before
    lines = _lines(state)
    figures = (
        _total(asked, lines),
        _parts(asked, lines),
        _over_time(asked),
    )
    words = [
        "All that was billed for tokens and GPUs, other charges and corrections."
        if state.basis == "available"
        else "What was bought by the token, and GPU time while it served requests; nothing that waited.",
    ]
    if before is not None:
        words.append(f"Held against {before[0]} to {before[1]}.")
    return Content(" ".join(words), figures)


def _lines(state: ViewState, *, with_before: bool = True) -> str:
    """Return the query of all lines of spend of the period, and of that before."""
    spans = [(state.first, state.last)]
    if with_before and state.before is not None:
        spans.append(state.before)
    conditions = state.conditions(_TABLE)
    if state.basis == "usage":
        conditions.append(_USAGE)
    names = ", ".join(dimensions_of(_TABLE))
    sql = (
        f"  SELECT accrued_on, {names},\n"
        "    usd AS line_usd, input_tokens + output_tokens AS tokens, unpriced_tokens, attempt_count\n"
        f"  FROM mart.spend_daily\n  WHERE {' AND '.join([_within('accrued_on', spans), *conditions])}"
    )
    if _has_corrections(state):
        shared = ", ".join(name for name in dimensions_of(_CORRECTIONS) if name in columns_of(_TABLE))
        corrected = [_within("booked_on", spans), *state.conditions(_CORRECTIONS)]
        sql += (
            "\n  UNION ALL BY NAME\n"
            f"  SELECT booked_on AS accrued_on, 'corrections' AS component, {shared},\n"
            "    difference_usd AS line_usd, 0 AS tokens, 0 AS unpriced_tokens, 0 AS attempt_count\n"
            f"  FROM {_CORRECTIONS} WHERE {' AND '.join(corrected)}"
        )
    return sql


def _has_corrections(state: ViewState) -> bool:
    """Whether corrections of closed months are in the view: they do not tell all that may be filtered by."""
    return state.basis == "available" and all(
        (name, value) == ("component", "corrections") or name in columns_of(_CORRECTIONS)
        for name, value in state.filters
    )


def _within(column: str, spans: list[tuple[date, date]]) -> str:
    parts = [f"{column} BETWEEN DATE '{first}' AND DATE '{last}'" for first, last in spans]
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"


def _sums(asked: PageContext) -> tuple[str, list[ViewColumn]]:
    """Return the summed dollars of the period, of that before and the change, as SQL and as columns."""
    state = asked.state
    columns = [ViewColumn("usd", "USD", "usd", is_summed=True)]
    if state.before is None:
        return f"{_known_sum('true')} AS usd", columns
    now = f"accrued_on BETWEEN DATE '{state.first}' AND DATE '{state.last}'"
    first_on = asked.opened.first_on
    is_known = first_on is not None and state.before[1] >= first_on
    change = "(coalesce(usd, 0) - coalesce(before_usd, 0))" if is_known else "NULL"
    sql = (
        f"{_known_sum(now)} AS usd,\n  {_known_sum(f'NOT {now}')} AS before_usd,\n"
        f"  {change}::DECIMAL(38,12) AS change_usd"
    )
    columns += [
        ViewColumn("before_usd", "Before", "usd", is_summed=True),
        ViewColumn("change_usd", "Change", "usd", is_summed=True),
    ]
    return sql, columns


def _known_sum(condition: str) -> str:
    """Return the SQL of the dollars of some lines: NULL where all that is known of tokens without a price is a zero."""
    of = "" if condition == "true" else f" FILTER ({condition})"
    return (
        f"(CASE WHEN sum(line_usd){of} <> 0 OR coalesce(sum(unpriced_tokens){of}, 0) = 0\n"
        f"    THEN sum(line_usd){of} END)::DECIMAL(38,12)"
    )


def _counts(state: ViewState) -> str:
    now = (
        "" if state.before is None
        else f" FILTER (accrued_on BETWEEN DATE '{state.first}' AND DATE '{state.last}')"
    )  # fmt: skip
    return ",\n  ".join(
        f"coalesce(sum({column}){now}, 0)::BIGINT AS {name}"
        for column, name in (
            ("attempt_count", "attempts"),
            ("tokens", "tokens"),
            ("unpriced_tokens", "unpriced_tokens"),
        )
    )


def _total(asked: PageContext, lines: str) -> Figure:
    sums, columns = _sums(asked)
    return ask(
        asked.opened,
        "total",
        "Spend of the period",
        f"SELECT {sums},\n  {_counts(asked.state)}\nFROM (\n{lines}\n)",
        [*columns, ViewColumn("attempts", "Attempts", "count"), *_TOKENS],
        notes=_notes(asked),
        form="tiles",
    )


def _parts(asked: PageContext, lines: str) -> Figure:
    state = asked.state
    sums, columns = _sums(asked)
    return ask(
        asked.opened,
        "parts",
        f"By {DIMENSIONS[state.by].lower()}",
        f"SELECT coalesce({state.by}, '(none)') AS name,\n  {sums},\n"
        f"  (usd / nullif(sum(usd) OVER (), 0))::DOUBLE AS share_ratio,\n  {_counts(state)}\n"
        f"FROM (\n{lines}\n)\nGROUP BY 1\nORDER BY usd DESC NULLS LAST, tokens DESC, name",
        [
            ViewColumn("name", DIMENSIONS[state.by]),
            *columns,
            ViewColumn("share_ratio", "Share", "ratio"),
            ViewColumn("attempts", "Attempts", "count", is_summed=True),
            *_TOKENS,
        ],
        links={"name": lambda row: _further(state, str(row["name"]))},
        notes=state.unheard(_TABLE),
    )


def _further(state: ViewState, name: str) -> str:
    """Return the view of one part, split by the next dimension that is not filtered by yet."""
    order = [*PAGE.offered[PAGE.offered.index(state.by) + 1 :], *PAGE.offered]
    known = {filtered for filtered, _ in state.filters} | {state.by}
    if len(known) >= _DEEPEST:
        return state.url("/requests", by="", **{state.by: name})
    after = next(dimension for dimension in order if dimension not in known)
    return state.url(by=after, **{state.by: name})


def _over_time(asked: PageContext) -> Figure:
    state = asked.state
    on = "accrued_on" if state.grain == "day" else f"date_trunc('{state.grain}', accrued_on)::DATE"
    span = {"day": 1, "week": 7, "month": 31}[state.grain]

    def link(name: str, start: date) -> str:
        last = start + timedelta(days=span - 1)
        if state.grain == "month":
            last = last.replace(day=1) - timedelta(days=1) if last.month != start.month else last
        part = {state.by: name} if name else {}
        if state.first == state.last:
            return state.url("/requests", by="", **part)
        return state.url(first=max(start, state.first), last=min(last, state.last), grain="day", **part)

    return ask(
        asked.opened,
        "over_time",
        f"Over time, by {DIMENSIONS[state.by].lower()}",
        f"SELECT {on} AS from_on, coalesce({state.by}, '(none)') AS name, sum(line_usd)::DECIMAL(38,12) AS usd,\n"
        "  sum(tokens)::BIGINT AS tokens, sum(unpriced_tokens)::BIGINT AS unpriced_tokens,\n"
        "  any_value(period) AS closed\n"
        f"FROM (\n{_lines(state, with_before=False)}\n)\n"
        "LEFT JOIN (FROM ops.closed_periods WHERE reopened_at IS NULL)\n"
        "  ON accrued_on >= closed_from AND accrued_on < closed_to\n"
        "GROUP BY 1, 2\nORDER BY 1, usd DESC NULLS LAST, name",
        [
            ViewColumn("from_on", "From"),
            ViewColumn("name", DIMENSIONS[state.by]),
            ViewColumn("usd", "USD", "usd", is_summed=True),
            *_TOKENS,
            ViewColumn("closed", "Closed month"),
        ],
        links={"name": lambda row: link(str(row["name"]), row["from_on"])},
        notes=state.unheard(_TABLE),
        chart=lambda rows: bars_over_time(
            rows, grain=state.grain, label=f"Spend over time by {DIMENSIONS[state.by].lower()}", link=link
        ),
        form="data",
    )


def _notes(asked: PageContext) -> list[str]:
    state = asked.state
    notes = state.unheard(_TABLE)
    if not _has_corrections(state):
        booked = _within("booked_on", [(state.first, state.last)])
        corrected = asked.opened.answer(
            f"SELECT sum(difference_usd) FROM core.adjustments WHERE {booked}"
        ).item()
        if corrected:
            notes.append(
                f"Corrections of closed months booked in this period (${corrected:,.2f}) are not in it: "
                "they do not tell what is filtered by here."
            )
    before = state.before
    if before is not None and asked.opened.first_on is not None and before[0] < asked.opened.first_on:
        what = "not whole" if before[1] >= asked.opened.first_on else "not known, nor the change"
        notes.append(
            f"The warehouse begins on {asked.opened.first_on}, so the period held against is {what}."
        )
    return notes


PAGE = Page(
    "/spend", "Spend", 10, build, table=_TABLE,
    offered=tuple(name for name in _OFFERED if name in columns_of(_TABLE)),
    has_basis=True, has_grain=True, has_comparison=True,
)  # fmt: skip
