"""Which prices in use were read long ago."""

from datetime import date

import duckdb

from models.prices.ages import OLD_AFTER_DAYS, age_lines

_IN_USE = """
SELECT provider, read_on, count(*) FROM core.request_costs
JOIN (SELECT DISTINCT price_id, read_on FROM ref.token_prices WHERE read_on <= {today} - {days}) USING (price_id)
WHERE accrued_on > {today} - 60 GROUP BY ALL
"""


def old_price_lines(con: duckdb.DuckDBPyConnection, *, today: date) -> list[str]:
    """Return a sentence for each provider whose prices are old and priced an attempt of the last 60 days."""
    # Written out: for a parameter DuckDB imports pandas, which a run without news has no use for.
    rows = con.execute(_IN_USE.format(today=f"DATE '{today}'", days=OLD_AFTER_DAYS)).fetchall()
    lines = age_lines(rows, what="attempts", today=today)
    return [f"{line}; compare them: nanodollar prices diff LIST" for line in lines]
