"""SQL: any question over the published file, answered in a process that can do nothing else."""

from starlette.responses import Response

from models.errors import DataError
from models.schemas import tables
from models.schemas.base import Table
from models.schemas.macros import macros
from models.schemas.start_here import start_here
from pipelines.explorer.cage import ROWS_SHOWN, Answer, Form
from pipelines.explorer.page import Content, Page, PageContext

_EXAMPLE = """\
SELECT model, usd_per_mtok(usage_usd, priced_tokens) AS usd_per_mtok
FROM mart.cost_per_token_daily
GROUP BY model ORDER BY usd_per_mtok DESC NULLS LAST"""
_FORMS: dict[str, tuple[Form, str]] = {
    "csv": ("csv", "text/csv; charset=utf-8"),
    "parquet": ("parquet", "application/vnd.apache.parquet"),
}


def build(asked: PageContext) -> Content | Response:
    """Show the box, and the answer to what is written in it."""
    text = asked.state.parameter("q").strip()
    asked.cage.prepare()
    # A link of another site shows its query; a person decides whether it is run.
    is_ours = asked.request.headers.get("sec-fetch-site") not in {"cross-site", "same-site"}
    form = asked.state.parameter("format")
    if text and is_ours and form in _FORMS:
        kind, media = _FORMS[form]
        content = asked.cage.ask(asked.opened.path, text, kind).content
        return Response(
            content,
            media_type=media,
            headers={"Content-Disposition": f'attachment; filename="answer.{form}"'},
        )
    answer: Answer | None = None
    trouble = None
    if text and is_ours:
        try:
            answer = asked.cage.ask(asked.opened.path, text)
        except DataError as error:
            trouble = str(error)
    return Content(
        f"One query over the published file. It is read-only; the first {ROWS_SHOWN:,} rows are shown.",
        (),
        "sql.html",
        {
            "text": text or _EXAMPLE,
            "answer": answer,
            "trouble": trouble,
            "waits": bool(text) and not is_ours,
            "start": start_here(),
            "columns_of": _columns_of,
            "macros": macros(),
            "tables": [
                table for table in tables().values() if table.schema in {"mart", "core", "ref", "ops"}
            ],
        },
    )


def _columns_of(table: Table) -> str:
    """Return the query of a table's columns with their meaning."""
    return (
        "SELECT column_name, data_type, comment FROM duckdb_columns()\n"
        f"WHERE database_name = 'nanodollar' AND schema_name = '{table.schema}' AND table_name = '{table.name}'\n"
        "ORDER BY column_index"
    )


PAGE = Page("/sql", "SQL", 100, build, has_verdict=False)
