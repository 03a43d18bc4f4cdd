"""SQL: any question over the published file, answered in a process that can do nothing else."""

from starlette.responses import Response

from models.errors import DataError
from models.schemas import tables
from pipelines.explorer.cage import ROWS_SHOWN, Answer, Form
from pipelines.explorer.page import Asked, Content, Page

_EXAMPLE = """\
SELECT model, 1e6 * sum(usage_usd)::DOUBLE / nullif(sum(total_tokens - unpriced_tokens), 0) AS usd_per_mtok
FROM mart.cost_per_token_daily
GROUP BY model ORDER BY usd_per_mtok DESC NULLS LAST"""
_FORMS: dict[str, tuple[Form, str]] = {
    "csv": ("csv", "text/csv; charset=utf-8"),
    "parquet": ("parquet", "application/vnd.apache.parquet"),
}


def build(asked: Asked) -> Content | Response:
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
            "tables": [
                table for table in tables().values() if table.schema in {"mart", "core", "ref", "ops"}
            ],
        },
    )


PAGE = Page("/sql", "SQL", 100, build, has_verdict=False)
