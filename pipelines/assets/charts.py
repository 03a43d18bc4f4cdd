"""Small charts that Dagster's pages show with a materialization: a table in Markdown, with a bar of blocks."""

import dagster as dg
import duckdb

from pipelines.steps.base import Window

_DAYS = """
SELECT accrued_on, sum(usage_usd), coalesce(sum(unpriced_tokens), 0)::BIGINT FROM mart.cost_per_token_daily
WHERE accrued_on >= $1 AND accrued_on < $2 GROUP BY ALL ORDER BY ALL
"""
_BAR = 30


def usd_by_day(con: duckdb.DuckDBPyConnection, window: Window) -> dg.MarkdownMetadataValue:
    """Return the dollars of usage of each day of a window, and the tokens that no price is known of."""
    days = con.execute(_DAYS, [window.from_on, window.to_on]).fetchall()
    most = max((usd or 0 for _, usd, _ in days), default=0)
    lines = ["| Day | USD | | Tokens without a price |", "|---|--:|---|--:|"]
    for on, usd, unpriced in days:
        bar = "█" * round(_BAR * float((usd or 0) / most)) if most > 0 else ""
        lines.append(f"| {on} | {'not known' if usd is None else f'{usd:,.2f}'} | {bar} | {unpriced:,} |")
    return dg.MetadataValue.md("\n".join(lines))
