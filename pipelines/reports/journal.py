"""The journal of a month, from the live lake."""

from datetime import date
from decimal import Decimal

import duckdb
import polars as pl

from models.errors import ConfigurationError
from models.finance.journal import journal

_CHARGES = "SELECT cost_centre, cost_kind, usd FROM mart.chargeback_monthly WHERE month_on = $month"
_DEBTS = """
SELECT invoice_issuer_name, (accrued_usd + corrected_usd + true_up_usd)::DECIMAL(38,12) AS usd
FROM mart.accruals_monthly WHERE booked_on = $month
"""
_RATE = (
    "SELECT usd_per_unit, rate_on FROM mart.reporting_rates WHERE month_on = $month AND currency = $currency"
)


def reporting_rate(
    con: duckdb.DuckDBPyConnection, month_on: date, currency: str
) -> tuple[Decimal, date | None]:
    """Return dollars for one unit of a currency in a month, and the date of that rate (None for dollars).

    Raises:
        ConfigurationError: the month has no rate.
    """
    if currency == "USD":
        return Decimal(1), None
    found = con.execute(_RATE, {"month": month_on, "currency": currency}).fetchone()
    if found is None:
        raise ConfigurationError(
            f"{month_on:%Y-%m} has no exchange rate of {currency}; add one of that month to fx.csv and "
            f"`nanodollar run`."
        )
    return found[0], found[1]


def journal_of(con: duckdb.DuckDBPyConnection, month_on: date, *, currency: str) -> pl.DataFrame:
    """Return the lines of a month's journal in a currency.

    Raises:
        DataError: what is charged is not what is owed.
        ConfigurationError: the month has no rate of the currency.
    """
    month = {"month": month_on}
    return journal(
        con.execute(_CHARGES, month).pl(),
        con.execute(_DEBTS, month).pl(),
        con.execute("FROM ref.journal_accounts").pl(),
        month_on=month_on,
        currency=currency,
        usd_per_unit=reporting_rate(con, month_on, currency)[0],
    )
