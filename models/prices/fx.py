"""Exchange rates: what a person keeps in `fx.csv` becomes `ref.fx_rates`."""

import csv
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from io import StringIO
from typing import Any

import polars as pl

from models.errors import ConfigurationError
from models.schemas import table

REQUIRED = ("currency", "rate_on", "usd_per_unit", "source_url")
OPTIONAL = ("known_from",)


def load_fx(text: str, *, path: str) -> pl.DataFrame:
    """Parse and check exchange rates; an empty text has none.

    Args:
        text: CSV with a header: `currency, rate_on, usd_per_unit, source_url` and, optionally, `known_from`
            (an ISO date or instant; absent, the rate was known from the start of `rate_on`).
        path: name for messages.

    Returns:
        `ref.fx_rates`.

    Raises:
        ConfigurationError: the first thing wrong, with file, line and remedy.
    """
    reader = csv.DictReader(StringIO(text))
    names = [name.strip() for name in reader.fieldnames or ()]
    if not names:
        return table("ref.fx_rates").empty()
    wrong = sorted(set(REQUIRED) - set(names)) or sorted(set(names) - {*REQUIRED, *OPTIONAL})
    if wrong:
        expected = ", ".join((*REQUIRED, *OPTIONAL))
        raise ConfigurationError(
            f"{path}, line 1: column {wrong[0]!r} is missing or unknown; write {expected}"
        )
    rows: dict[tuple[str, date, datetime], dict[str, Any]] = {}
    for row in reader:
        parsed = _parsed(row, f"{path}, line {reader.line_num}")
        key = parsed["currency"], parsed["rate_on"], parsed["known_from"]
        if key in rows:
            raise ConfigurationError(
                f"{path}, line {reader.line_num}: {key[0]} of {key[1]} is stated twice; "
                "give a correction a later `known_from`"
            )
        rows[key] = parsed
    return table("ref.fx_rates").frame(rows.values()).sort("currency", "rate_on", "known_from")


def _parsed(row: Mapping[str, str | None], where: str) -> dict[str, Any]:
    value = {name: (text or "").strip() for name, text in row.items() if name}
    try:
        rate_on = date.fromisoformat(value["rate_on"])
        known = datetime.fromisoformat(value.get("known_from") or value["rate_on"])
        rate = Decimal(value["usd_per_unit"])
    except (ValueError, InvalidOperation) as error:
        raise ConfigurationError(
            f"{where}: {error or 'not a number'}; write dates like 2026-11-20 and rates like 1.0843"
        ) from error
    if not (len(value["currency"]) == 3 and value["currency"].isupper()):  # noqa: PLR2004
        raise ConfigurationError(f"{where}: {value['currency']!r} is no ISO 4217 code such as EUR")
    if not rate.is_finite() or not 0 < rate < 10**6 or not value["source_url"].startswith("http"):
        raise ConfigurationError(f"{where}: a rate above 0 and a `source_url` are needed; write both")
    at = known if known.tzinfo else datetime.combine(known.date(), known.time() or time(), UTC)
    return {
        "currency": value["currency"],
        "rate_on": rate_on,
        "usd_per_unit": rate,
        "known_from": at.astimezone(UTC),
        "source_url": value["source_url"],
    }
