"""What a view's address says: period, split, basis, comparison and filters. Nothing is kept elsewhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from models.errors import DataError
from models.schemas import tables
from pipelines.quoting import sql_text

NONE = "(none)"
"""How a value that a row lacks is written in an address and in a table."""
DIMENSIONS = {
    "component": "What it was for", "provider": "Provider", "model": "Model", "model_family": "Model family",
    "route": "Route", "tenant": "Tenant", "team": "Team", "feature": "Feature", "environment": "Environment",
    "region": "Region", "chip": "Chip", "service_tier": "Service tier", "operation": "Operation",
    "deployment": "Deployment", "commitment": "Commitment", "kind": "Kind of mistake", "task_class": "Class of work",
    "source": "Source", "session_id": "Session", "agent": "Agent",
    "total": "Everything", "family": "Model family", "developer": "Developer", "weights": "Open or proprietary",
}  # fmt: skip
"""What rows are told apart by, and its heading; a table offers those of its columns."""
BASES = {"available": "All that was billed", "usage": "Usage alone"}
GRAINS = {"day": "Day", "week": "Week", "month": "Month"}
COMPARISONS = {
    "": "nothing",
    "previous": "the period before",
    "month": "the same days a month before",
    "year": "the same days a year before",
}
_LONGEST_DAYS = 1100


@dataclass(frozen=True)
class ViewState:
    """A view: business days [first, last], both inclusive, and how they are looked at."""

    path: str
    first: date
    last: date
    by: str = ""
    basis: str = "available"
    grain: str = "day"
    against: str = ""
    filters: tuple[tuple[str, str], ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    """Parameters of one page alone."""

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=step) for step in range((self.last - self.first).days + 1)]

    @property
    def before(self) -> tuple[date, date] | None:
        """The days that it is held against; None: none."""
        if self.against == "":
            return None
        if self.against == "previous":
            if self.first.day == 1 and (self.last + timedelta(days=1)).day == 1:
                return _months_back(self.first, _months(self.first, self.last)), self.first - timedelta(
                    days=1
                )
            length = (self.last - self.first).days + 1
            return self.first - timedelta(days=length), self.first - timedelta(days=1)
        back = 1 if self.against == "month" else 12
        whole = (self.last + timedelta(days=1)).day == 1
        last = (
            _months_back(self.last + timedelta(days=1), back) - timedelta(days=1)
            if whole
            else _months_back(self.last, back)
        )
        return _months_back(self.first, back), last

    def url(self, path: str | None = None, **changes: object) -> str:
        """Return the address of this view with changes: fields, or values of dimensions (None: no filter)."""
        fields = {name: value for name, value in changes.items() if name in self.__dataclass_fields__}
        view = replace(self, **fields)  # type: ignore[arg-type]
        filters = dict(view.filters)
        more = dict(view.more) if path in (None, self.path) else {}
        for name, value in changes.items():
            if name in fields:
                continue
            place = filters if name in DIMENSIONS else more
            if value is None:
                place.pop(name, None)
            else:
                place[name] = str(value)
        pairs = [("from", str(view.first)), ("to", str(view.last))]
        pairs += [
            (name, value)
            for name, value, usual in (
                ("by", view.by, ""), ("basis", view.basis, "available"), ("grain", view.grain, "day"),
                ("against", view.against, ""),
            )
            if value != usual
        ]  # fmt: skip
        return f"{path or view.path}?{urlencode([*pairs, *filters.items(), *more.items()])}"

    def where(self, table: str, on: str = "accrued_on", *, span: tuple[date, date] | None = None) -> str:
        """Return the condition of SQL for the rows of a table: the period, and those filters that it can tell."""
        first, last = span or (self.first, self.last)
        return " AND ".join([f"{on} BETWEEN DATE '{first}' AND DATE '{last}'", *self.conditions(table)])

    def conditions(self, table: str) -> list[str]:
        known = columns_of(table)
        return [_condition(name, value) for name, value in self.filters if name in known]

    def unheard(self, table: str) -> list[str]:
        """Return a sentence on the filters that a table cannot follow; none where it follows all."""
        names = [DIMENSIONS[name].lower() for name, _ in self.filters if name not in columns_of(table)]
        return [f"Not filtered by {', '.join(names)}: {table} does not tell it."] if names else []

    def next_of(self, offered: Sequence[str]) -> str:
        """Return what a part is split by next: the first dimension that is not settled."""
        settled = {name for name, _ in self.filters} | {self.by}
        return next((name for name in offered if name not in settled), offered[0])

    def parameter(self, name: str, usual: str = "") -> str:
        return dict(self.more).get(name, usual)


def _condition(name: str, value: str) -> str:
    return (
        f"({name} IS NULL OR {name} = {sql_text(NONE)})" if value == NONE else f"{name} = {sql_text(value)}"
    )


def columns_of(table: str) -> frozenset[str]:
    """Return the names of a table's columns."""
    return frozenset(column.name for column in tables()[table].columns)


def dimensions_of(table: str) -> dict[str, str]:
    """Return the dimensions that a table tells, with their headings."""
    known = columns_of(table)
    return {name: heading for name, heading in DIMENSIONS.items() if name in known}


def read_state(
    path: str,
    pairs: Sequence[tuple[str, str]],
    *,
    first_on: date | None,
    last_on: date | None,
    offered: Iterable[str] = (),
    usual_days: int = 28,
) -> ViewState:
    """Read a view from its address; what it leaves out is the latest days that the warehouse holds.

    Args:
        path: of the page.
        pairs: the query's names and values, in order.
        first_on: first business day of the warehouse; None: it is empty.
        last_on: its last.
        offered: what the page can be split by; the first is the usual.
        usual_days: length of the period where none is asked for.

    Raises:
        DataError: a value cannot be used; the sentence says which would be.
    """
    # No name of a log holds a NUL: landing writes this sign in its place, and DuckDB takes none.
    given = {name: value.replace("\0", "\ufffd") for name, value in pairs}
    names = list(offered)
    last = _day(given, "to") or last_on or date.today()  # noqa: DTZ011  an empty warehouse has no day of its own
    first = _day(given, "from") or max(last - timedelta(days=usual_days - 1), min(first_on or last, last))
    if first > last:
        raise DataError(f"from={first} is after to={last}; exchange them.")
    if (last - first).days >= _LONGEST_DAYS:
        raise DataError(
            f"The period has {(last - first).days + 1:,} days; ask for at most {_LONGEST_DAYS:,}."
        )
    return ViewState(
        path, first, last,
        by=_one_of(given, "by", names) if names else "",
        basis=_one_of(given, "basis", list(BASES)),
        grain=_one_of(given, "grain", list(GRAINS)),
        against=_one_of(given, "against", list(COMPARISONS)),
        filters=tuple((name, value) for name, value in given.items() if name in DIMENSIONS and value),
        more=tuple(
            (name, value)
            for name, value in given.items()
            if name not in DIMENSIONS and name not in {"from", "to", "by", "basis", "grain", "against"} and value
        ),
    )  # fmt: skip


def _day(given: dict[str, str], name: str) -> date | None:
    text = given.get(name)
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{name}={text} is no date; write it like {name}=2026-11-02.") from error


def _one_of(given: dict[str, str], name: str, known: list[str]) -> str:
    text = given.get(name, known[0])
    if text not in known:
        raise DataError(
            f"{name}={text} is not offered here; write one of {', '.join(word for word in known if word)}."
        )
    return text


def _months(first: date, last: date) -> int:
    return (last.year - first.year) * 12 + last.month - first.month + 1


def _months_back(on: date, months: int) -> date:
    """Return the same day of an earlier month, or its last day where it is shorter."""
    number = on.year * 12 + on.month - 1 - months
    year, month = divmod(number, 12)
    after = date(year + (month == 11), (month + 1) % 12 + 1, 1)  # noqa: PLR2004  December
    return date(year, month + 1, min(on.day, (after - timedelta(days=1)).day))
