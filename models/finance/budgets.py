"""budgets.yml and mart.budget_status: what may be spent on what, how far it is spent, and when it runs out."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import AfterValidator, Field, model_validator

from models.documents import Instant, Strict, in_order, read_documents
from models.finance.chargeback_rules import Name, known_kind
from models.finance.scenarios import Scenario
from models.money import half_even, picodollars_from_usd, usd_from_picodollars
from models.schemas import table
from models.schemas.ref_budgets import BUDGET_SCOPE

BURN_DAYS = 7
"""Days whose average is the burn rate."""


class Budget(Strict):
    """What may be spent in each month, quarter or year on spend that has all the dimensions given.

    A later entry of one name ends an earlier one from its valid_from on.
    """

    name: Name
    usd: Annotated[Decimal, Field(gt=0, le=10**12, decimal_places=12, allow_inf_nan=False)]
    period: Literal["month", "quarter", "year"] = "month"
    tenant: Name | None = None
    team: Name | None = None
    feature: Name | None = None
    environment: Name | None = None
    provider: Name | None = None
    region: Name | None = None
    route: Name | None = None
    model: Name | None = None
    chip: Name | None = None
    service_tier: Name | None = None
    kinds: tuple[Annotated[str, AfterValidator(known_kind)], ...] = ()
    thresholds_percent: Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(min_length=1)] = (
        50, 80, 100,
    )  # fmt: skip
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    known_from: Instant | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _is_in_order(self) -> "Budget":
        in_order(self.valid_from, self.valid_to)
        return self


class BudgetFile(Strict):
    """A `budgets.yml`."""

    version: Literal[1]
    budgets: tuple[Budget, ...] = ()
    scenarios: tuple[Scenario, ...] = ()


def load_budgets(text: str, *, path: str) -> dict[str, pl.DataFrame]:
    """Return ref.budgets and ref.scenarios.

    Args:
        text: YAML of the file; empty when the project has none.
        path: the file, for messages.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    rows: list[dict[str, Any]] = []
    scenarios: list[dict[str, Any]] = []
    for document in read_documents(text, path=path):
        file = document.parse(BudgetFile)
        scenarios += [
            scenario.model_dump(exclude={"note"})
            | {"entry_number": len(scenarios) + place, **document.place(("scenarios", place))}
            for place, scenario in enumerate(file.scenarios)
        ]
        for place, entry in enumerate(file.budgets):
            rows.append(
                entry.model_dump(exclude={"note", "kinds", "thresholds_percent"})
                | {
                    "entry_number": len(rows),
                    "cost_kinds": sorted(set(entry.kinds)) or None,
                    "thresholds_percent": sorted(set(entry.thresholds_percent)),
                    **document.place(("budgets", place)),
                }
            )
    return {
        "ref.budgets": table("ref.budgets").frame(rows),
        "ref.scenarios": table("ref.scenarios").frame(scenarios),
    }


def budget_status(
    spend: pl.DataFrame, budgets: pl.DataFrame, *, months: list[date], as_of: date
) -> pl.DataFrame:
    """Return the rows of `mart.budget_status`.

    Args:
        spend: `accrued_on, cost_kind`, the dimensions of a budget, `usd, unpriced_tokens`, of whole periods.
        budgets: ref.budgets; an entry holds for a month if it holds on its first day.
        months: the first days of the months that are asked for.
        as_of: last business day that has ended; later days do not count.
    """
    held = _held(budgets, months, as_of)
    days = _days(held, spend)
    head = ["month_on", "budget"]
    amount = pl.col("amount")
    sums = days.group_by(head).agg(
        amount.sum().alias("spent"),
        amount.filter(pl.col("accrued_on") >= pl.col("month_on")).sum().alias("in_month"),
        amount.filter(pl.col("accrued_on") > pl.col("as_of_on").dt.offset_by(f"-{BURN_DAYS}d"))
        .sum()
        .alias("burnt"),
        pl.col("unpriced_tokens").sum(),
    )
    rows = held.join(sums, on=head, how="left").with_columns(
        pl.col("spent", "in_month", "burnt", "unpriced_tokens").fill_null(0),
        picodollars_from_usd(pl.col("usd")).alias("allowed"),
    )
    # Days before the first spend that is known at all are not days without spend.
    first_on = pl.max_horizontal("period_from", pl.lit(spend.get_column("accrued_on").min(), pl.Date))
    elapsed = (pl.col("as_of_on") - first_on).dt.total_days().clip(lower_bound=0) + 1
    left = (pl.col("period_to") - pl.col("as_of_on")).dt.total_days() - 1
    rows = rows.with_columns(burn=half_even(pl.col("burnt"), elapsed.clip(upper_bound=BURN_DAYS)))
    lasts = pl.when(pl.col("burn") > 0).then(
        (pl.col("allowed") - pl.col("spent") + pl.col("burn") - 1) // pl.col("burn")
    )
    rows = rows.join(_reached(rows, days), on=head, how="left").with_columns(
        projected=pl.col("spent") + pl.col("burn") * left.cast(pl.Int128),
        run_out_on=pl.when(pl.col("spent_on").is_not_null())
        .then("spent_on")
        .when((lasts > 0) & (lasts <= left))
        .then(pl.col("as_of_on") + pl.duration(days=lasts.cast(pl.Int64))),
    )
    return (
        table("mart.budget_status")
        .conform(
            rows.with_columns(
                usd_from_picodollars(pl.col("allowed")).alias("budget_usd"),
                usd_from_picodollars(pl.col("in_month")).alias("month_to_date_usd"),
                usd_from_picodollars(pl.col("spent")).alias("spent_usd"),
                usd_from_picodollars(pl.col("allowed") - pl.col("spent")).alias("remaining_usd"),
                usd_from_picodollars(pl.col("burn")).alias("burn_usd_per_day"),
                usd_from_picodollars(pl.col("projected")).alias("projected_usd"),
                (pl.col("spent").cast(pl.Float64) / pl.col("allowed").cast(pl.Float64)).alias("spent_ratio"),
            ).lazy()
        )
        .sort("month_on", "budget")
        .collect()
    )


def _held(budgets: pl.DataFrame, months: list[date], as_of: date) -> pl.DataFrame:
    """Return each budget that holds for a month, with its period; of several entries of a name the last counts."""
    day = pl.col("month_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    every = {"month": "1mo", "quarter": "1q", "year": "1y"}
    from_on, to_on = pl.lit(None, dtype=pl.Date), pl.lit(None, dtype=pl.Date)
    for period, step in every.items():
        start = pl.col("month_on").dt.truncate(step)
        is_it = pl.col("period") == period
        from_on = pl.when(is_it).then(start).otherwise(from_on)
        to_on = pl.when(is_it).then(start.dt.offset_by(step)).otherwise(to_on)
    return (
        pl.DataFrame({"month_on": months}, schema={"month_on": pl.Date})
        .join(budgets.rename({"name": "budget"}), how="cross")
        .filter(
            pl.col("valid_from").is_null() | (pl.col("valid_from") <= day),
            pl.col("valid_to").is_null() | (day < pl.col("valid_to")),
            pl.col("month_on") <= as_of,
        )
        .sort("month_on", "budget", "entry_number")
        .unique(["month_on", "budget"], keep="last", maintain_order=True)
        .with_columns(from_on.alias("period_from"), to_on.alias("period_to"))
        .with_columns(pl.min_horizontal(pl.lit(as_of), pl.col("month_on").dt.month_end()).alias("as_of_on"))
    )


def _days(held: pl.DataFrame, spend: pl.DataFrame) -> pl.DataFrame:
    """Return the days of each budget's period that count: `accrued_on, amount`."""
    scoped = held.select(
        "month_on", "budget", "period_from", "as_of_on", "cost_kinds",
        *(pl.col(name).alias(f"for_{name}") for name in BUDGET_SCOPE),
    )  # fmt: skip
    return (
        scoped.join(spend, how="cross")
        .filter(
            pl.col("accrued_on").is_between("period_from", "as_of_on"),
            pl.col("cost_kinds").is_null() | pl.col("cost_kinds").list.contains(pl.col("cost_kind")),
            *(
                pl.col(f"for_{name}").is_null() | (pl.col(f"for_{name}") == pl.col(name))
                for name in BUDGET_SCOPE
            ),
        )
        .group_by("month_on", "budget", "as_of_on", "accrued_on")
        .agg(
            picodollars_from_usd(pl.col("usd")).fill_null(0).sum().alias("amount"),
            pl.col("unpriced_tokens").sum(),
        )
        .sort("month_on", "budget", "accrued_on")
        .with_columns(pl.col("amount").cum_sum().over("month_on", "budget").alias("so_far"))
    )


def _reached(rows: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Return of each budget the day on which each threshold was reached, the highest that is, and when it was spent."""
    head = ["month_on", "budget"]
    whole = pl.lit(100, dtype=pl.Int64)
    each = (
        rows.select(*head, "allowed", "thresholds_percent")
        .with_columns(percent=pl.concat_list("thresholds_percent", whole).list.unique().list.sort())
        .explode("percent")
    )
    at = (
        each.join(days.select(*head, "accrued_on", "so_far"), on=head)
        .filter(pl.col("so_far") * 100 >= pl.col("allowed") * pl.col("percent"))
        .group_by(*head, "percent")
        .agg(pl.col("accrued_on").min().alias("at_on"))
    )
    is_threshold = pl.col("percent").is_in(pl.col("thresholds_percent"))
    return (
        each.join(at, on=[*head, "percent"], how="left")
        .sort(*head, "percent")
        .group_by(head, maintain_order=True)
        .agg(
            pl.col("at_on").filter(is_threshold).alias("reached_on"),
            pl.col("percent")
            .filter(is_threshold & pl.col("at_on").is_not_null())
            .max()
            .alias("reached_percent"),
            pl.col("at_on").filter(pl.col("percent") == 100).first().alias("spent_on"),  # noqa: PLR2004
        )
    )
