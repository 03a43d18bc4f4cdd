"""A rendered page as a reader sees it: tables by name, words, and whatever it would load."""

from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}
LOADING = {"src", "srcset", "href", "xlink:href", "poster", "data", "action"}


@dataclass
class Cell:
    """One cell: its words, its column where it is named, and the exact figure behind it."""

    raw: str = ""
    column: str | None = None
    value: str | None = None
    is_number: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.raw.split())


@dataclass
class Line:
    """One row: its cells, and whether it is the total or a folded rest."""

    kind: str
    cells: list[Cell] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.cells[0].text

    def words(self) -> list[str]:
        return [cell.text for cell in self.cells]


class Page(HTMLParser):
    """The parsed page; unbalanced tags are an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[Line]] = {}
        self.ids: dict[str, str] = {}
        self.loads: list[str] = []
        self.anchors: list[str] = []
        self.labels: list[str] = []
        self.tags: list[str] = []
        self.commands: list[str] = []
        self._open: list[tuple[str, str | None]] = []
        self._rows: list[Line] | None = None
        self._cell: Cell | None = None
        self._words: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, self._open

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    def exact(self, table: str, column: str) -> tuple[Decimal, Decimal | None]:
        """Return the sum of a column's exact figures, and its total as stated."""
        lines = self.tables[table]
        values = {True: [], False: []}
        for line in lines:
            for cell in line.cells:
                if cell.column == column:
                    values[line.kind == "total"].append(cell.value)
        total = values[True][0]
        parts = [Decimal(value) for value in values[False] if value is not None]
        return sum(parts, Decimal(0)), None if total is None else Decimal(total)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.labels += [label for label in (given.get("aria-label"),) if label is not None]
        if tag not in VOID:
            self._open.append((tag, given.get("id")))
        if tag == "a":
            self.anchors.append(given["href"] or "")
        else:
            self.loads += [
                given[name] or "" for name in LOADING & given.keys() if name != "data" or tag == "object"
            ]
        if tag == "table":
            self._rows = self.tables.setdefault(given.get("data-table") or f"table {len(self.tables)}", [])
        elif tag == "tr" and self._rows is not None and ("thead", None) not in self._open:
            self._rows.append(Line(given.get("class") or ""))
        elif tag in ("td", "th") and self._rows:
            self._cell = Cell(
                column=given.get("data-column"), is_number="n" in (given.get("class") or "").split()
            )
            self._rows[-1].cells.append(self._cell)
        elif tag == "data" and self._cell is not None:
            self._cell.value = given["value"]
        elif tag == "br" and self._cell is not None:
            self._cell.raw += " "
        elif tag == "code":
            self.commands.append("")

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, (opened, tag)
        if tag in ("td", "th"):
            self._cell = None
        if tag == "table":
            self._rows = None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        inside = [tag for tag, _ in self._open]
        if "style" in inside:
            return
        if "code" in inside:
            self.commands[-1] += data
        self._words.append(data)
        for _, name in self._open:
            if name is not None:
                self.ids[name] = self.ids.get(name, "") + data
        if self._cell is not None:
            self._cell.raw += data
