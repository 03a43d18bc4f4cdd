"""The data docs: what Great Expectations found in each table, as pages that need nothing from elsewhere."""

import shutil
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from models.schemas import tables
from pipelines.checks.expectations import has_results, stored_results
from pipelines.replacing import replace_file
from pipelines.reports.environment import page_environment

_ROWS_SHOWN = 20
_WORDS = {"expect_table_columns_to_match_set": "columns are those of the schema"}


@dataclass(frozen=True)
class JudgedRule:
    """A rule of a table, and what was found against it."""

    name: str
    is_kept: bool
    broken_count: int | None
    """Rows that break it; None where rows are not what it counts."""
    rows: tuple[dict[str, Any], ...]
    """The first rows that break it: their keys and the column."""
    trouble: str
    query: str


@dataclass(frozen=True)
class JudgedTable:
    """What a page shows: a table, when it was judged, and its rules."""

    name: str
    grain: str
    judged_at: datetime
    is_passed: bool
    rules: tuple[JudgedRule, ...]
    version: str

    @property
    def failed_count(self) -> int:
        return sum(not rule.is_kept for rule in self.rules)


def write_data_docs(docs: Path) -> Path:
    """Write the pages of results that have none, or a damaged one, and their list; return the path of the list.

    Args:
        docs: folder of the pages; nothing is written where nothing was judged.

    Raises:
        OSError: a page cannot be written.
    """
    index = docs / "index.html"
    if not has_results(docs):
        return index
    with stored_results(docs) as results:
        # An earlier version let Great Expectations write its own pages, with what they load beside them.
        is_earlier = (docs / "static").exists()
        lacking = [page for page in results if is_earlier or not _is_whole(page)]
        if lacking or not _is_whole(index):
            judged = {page: _judged(page, result) for page, result in results.items()}
            for page in lacking:
                page.parent.mkdir(parents=True, exist_ok=True)
                up = "../" * (len(page.relative_to(docs).parts) - 1)
                _write(page, "data_docs_table.html", judged=judged[page], index=f"{up}index.html")
            _write(
                index,
                "data_docs.html",
                judged={page.relative_to(docs).as_posix(): one for page, one in judged.items()},
            )
            shutil.rmtree(docs / "static", ignore_errors=True)
    return index


def _judged(page: Path, result: dict[str, Any]) -> JudgedTable:
    """Return what a result of Great Expectations says; the page lies in the folder of the table's suite."""
    schema, _, name = page.parents[2].name.partition("_")
    table = tables().get(f"{schema}.{name}")
    return JudgedTable(
        name=f"{schema}.{name}",
        grain=table.grain if table else "",
        judged_at=datetime.fromisoformat(result["meta"]["validation_time"]),
        is_passed=result["success"],
        rules=tuple(_rule(item) for item in result["results"]),
        version=result["meta"]["great_expectations_version"],
    )


def _rule(item: dict[str, Any]) -> JudgedRule:
    config, found = item["expectation_config"], item.get("result") or {}
    observed = found.get("observed_value")
    rows = (found.get("details") or {}).get("unexpected_rows") or []
    return JudgedRule(
        name=config.get("description") or _WORDS.get(config["type"], config["type"]),
        is_kept=item["success"],
        broken_count=observed if isinstance(observed, int) else None,
        rows=tuple(rows[:_ROWS_SHOWN]),
        trouble=(item.get("exception_info") or {}).get("exception_message") or "",
        query=config["kwargs"].get("unexpected_rows_query", ""),
    )


def _is_whole(page: Path) -> bool:
    return page.exists() and page.read_bytes().rstrip().endswith(b"</html>")


def _write(page: Path, template: str, **shown: Any) -> None:
    replace_file(page, _environment().get_template(template).render(**shown))


@cache
def _environment() -> Environment:
    return page_environment()
