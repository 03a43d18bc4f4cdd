"""The journal of a month: costs by account and cost centre against what is owed to issuers, balanced to zero."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import polars as pl
from pydantic import AfterValidator, Field

from models.documents import Strict, read_documents
from models.errors import DataError
from models.finance.chargeback_rules import Name, known_kind
from models.money import PICODOLLARS_PER_USD, half_even, picodollars_from_usd
from models.schemas import table

NO_ACCOUNT = "(no account)"
"""Account of what journal.yml has none for: shown, for a journal that leaves it out does not balance."""
JOURNAL_COLUMNS = ("entity", "account", "cost_centre", "period", "debit", "credit", "currency", "memo")
Account = Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]


class CostAccount(Strict):
    """The account of some kinds of cost; of several entries that fit the last counts."""

    account: Account
    kinds: tuple[Annotated[str, AfterValidator(known_kind)], ...] = ()
    cost_centre: Name | None = None
    memo: Name | None = None


class DebtAccount(Strict):
    """The account of what is owed to an issuer, or to all; of several entries that fit the last counts."""

    account: Account
    issuer: Name | None = None
    memo: Name | None = None


class JournalFile(Strict):
    """A `journal.yml`."""

    version: int = Field(ge=1, le=1)
    entity: Name
    cost_centre: Name | None = None
    decimals: Annotated[int, Field(ge=0, le=6)] = 2
    costs: Annotated[tuple[CostAccount, ...], Field(min_length=1)]
    debts: Annotated[tuple[DebtAccount, ...], Field(min_length=1)]


def load_journal(text: str, *, path: str) -> pl.DataFrame:
    """Return ref.journal_accounts.

    Args:
        text: YAML of the file; empty when the project has none.
        path: the file, for messages.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    rows: list[dict[str, Any]] = []
    for document in read_documents(text, path=path):
        file = document.parse(JournalFile)
        head = {
            "entity": file.entity,
            "usual_cost_centre": file.cost_centre,
            "decimals": file.decimals,
        }
        for place, cost in enumerate(file.costs):
            entry = head | cost.model_dump(exclude={"kinds"}) | {"side": "debit", "entry_number": place}
            entry |= document.place(("costs", place))
            rows += [entry | {"cost_kind": kind} for kind in (sorted(set(cost.kinds)) or (None,))]
        rows += [
            head
            | {"side": "credit", "entry_number": place, "account": debt.account, "memo": debt.memo}
            | {"invoice_issuer_name": debt.issuer, **document.place(("debts", place))}
            for place, debt in enumerate(file.debts)
        ]
    return table("ref.journal_accounts").frame(rows)


def journal(
    charges: pl.DataFrame,
    debts: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    month_on: date,
    currency: str = "USD",
    usd_per_unit: Decimal = Decimal(1),
) -> pl.DataFrame:
    """Return the lines of the journal of a month; debits and credits have the same sum.

    Amounts are converted and rounded so far, line by line of each side, and differences are taken: both sides round to
    the same total.

    Args:
        charges: rows of mart.chargeback_monthly of the month: `cost_centre, cost_kind, usd`.
        debts: `invoice_issuer_name, usd`: accrued, corrected and trued up, as booked in the month.
        accounts: ref.journal_accounts.
        month_on: first day of the month.
        currency: of the amounts.
        usd_per_unit: dollars for one unit of it.

    Raises:
        DataError: what is charged is not what is owed.
    """
    charged, owed = _total(charges), _total(debts)
    if charged != owed:
        apart = Decimal(charged - owed).scaleb(-12)
        raise DataError(
            f"The journal of {month_on:%Y-%m} does not balance: payers are charged ${apart} more than is accrued; "
            f"`nanodollar run` brings both up to date."
        )
    head = accounts.select("entity", "usual_cost_centre", "decimals").head(1)
    entity, usual, decimals = head.row(0) if head.height else (None, None, 2)
    sides = {
        "debit": _accounted(
            charges, accounts.filter(pl.col("side") == "debit"), ("cost_kind", "cost_centre")
        ),
        "credit": _accounted(debts, accounts.filter(pl.col("side") == "credit"), ("invoice_issuer_name",)),
    }
    words = {"debit": "cost_kind", "credit": "invoice_issuer_name"}
    rate = int(usd_per_unit * PICODOLLARS_PER_USD)
    lines = []
    for sign, (side, rows) in zip((1, -1), sides.items(), strict=True):
        centre = (
            pl.coalesce("cost_centre", pl.lit(usual)) if side == "debit" else pl.lit(None, dtype=pl.String)
        )
        summed = (
            rows.with_columns(
                centre.alias("cost_centre"),
                pl.coalesce("memo", words[side], pl.lit("(not known)")).alias("memo"),
            )
            .group_by("account", "cost_centre", "memo")
            .agg(picodollars_from_usd(pl.col("usd")).sum().alias("amount"))
            .sort("account", "cost_centre", "memo", nulls_last=True)
            .with_columns(half_even(pl.col("amount").cum_sum() * 10**decimals, rate).alias("so_far"))
        )
        lines.append(
            summed.with_columns((pl.col("so_far") - pl.col("so_far").shift(1).fill_null(0)) * sign).select(
                "account", "cost_centre", "memo", pl.col("so_far").alias("units")
            )
        )
    units = pl.col("units")
    zero = pl.lit(0, dtype=pl.Int128)
    return (
        pl.concat(lines)
        .filter(units != 0)
        .select(
            pl.lit(entity, dtype=pl.String).alias("entity"),
            "account",
            "cost_centre",
            pl.lit(f"{month_on:%Y-%m}").alias("period"),
            _amount(pl.max_horizontal(units, zero), decimals).alias("debit"),
            _amount(pl.max_horizontal(zero - units, zero), decimals).alias("credit"),
            pl.lit(currency).alias("currency"),
            "memo",
        )
    )


def _total(rows: pl.DataFrame) -> int:
    return int(rows.select(picodollars_from_usd(pl.col("usd")).sum()).item() or 0)


def _amount(units: pl.Expr, decimals: int) -> pl.Expr:
    """Turn whole units of the last digit into an amount of that many decimals."""
    return (units.cast(pl.Decimal(38, decimals)) * Decimal(1).scaleb(-decimals)).cast(
        pl.Decimal(38, decimals)
    )


def _accounted(rows: pl.DataFrame, accounts: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    """Add the account and memo of the last entry that fits."""
    numbered = rows.with_row_index("row")
    entries = accounts.select(
        "entry_number", "account", "memo", *(pl.col(name).alias(f"for_{name}") for name in by)
    )
    fitting = (
        numbered.join(entries, how="cross")
        .filter(pl.col(f"for_{name}").is_null() | (pl.col(f"for_{name}") == pl.col(name)) for name in by)
        .sort("row", "entry_number")
        .unique("row", keep="last", maintain_order=True)
        .select("row", "account", "memo")
    )
    return numbered.join(fitting, on="row", how="left").with_columns(pl.col("account").fill_null(NO_ACCOUNT))
