"""How wrong is a gateway: its booked cost against the price book's, each difference in one class.

Classes sum to the whole difference, exactly. What the gateway may have done is in hypotheses.py.
"""

from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from models.finance.hypotheses import Hypothesis
from models.money import USD
from models.tiers import BATCH_TIER

UNEXPLAINED = "unexplained"
AGREES = "agrees"
ROUNDING = "rounding"
NOT_COMPARABLE = "not_comparable"
EXAMPLES = 5
KINDS: dict[str, tuple[str, str]] = {
    "missing_price": (
        "Missing price booked as zero",
        "Add the model to the gateway's price map; until then its spend and budgets are too low.",
    ),
    "batch": (
        "Batch jobs",
        "Price a batch once, on completion, at the batch rate.",
    ),
    "cached_twice": (
        "Cached tokens charged twice",
        "The gateway adds cached tokens to a prompt count that already holds them; subtract them first.",
    ),
    "cache_rate": (
        "Cached or written tokens at the wrong rate",
        "Give the model its cache-read, 5-minute and 1-hour write rates in the gateway's price map.",
    ),
    "reasoning": (
        "Reasoning tokens",
        "Reasoning is a part of the output count; bill it once, at the output rate.",
    ),
    "modality": ("Audio, image or video tokens", "Give the model rates per modality."),
    "wrong_tier": (
        "Wrong service tier",
        "Price the tier that the provider says it served, not the one that was asked for.",
    ),
    "wrong_model": ("Wrong model, as after a fallback", "Price the model that answered."),
    "long_context": (
        "Long-context threshold",
        "Above the threshold the whole request has the higher rate, unless the sheet says graduated.",
    ),
    "tool_fee": ("Searches and tools not charged", "Count tool calls from use and charge each."),
    "region": ("Regional price missed", "Price the region that served."),
    "one_side": (
        "Only input or only output charged",
        "Give the model both rates; check streams for lost usage.",
    ),
    "stale_price": (
        "Price of another time",
        "Update the price map when a price changes, and price by the day of the call.",
    ),
    "duplicate": ("Duplicate rows", "One call, one row: key rows by the provider's response id."),
    "not_billable": (
        "Booked although nothing was bought",
        "Failed calls without usage and answers from the gateway's own cache cost nothing.",
    ),
    "negative_cost": (
        "Negative cost",
        "An exclusive token count was read as an inclusive one; the subtraction went below zero.",
    ),
    "unit_error": (
        "Price off by a power of ten",
        "Check the unit in the price map: per token, per thousand, per million.",
    ),
    "factor": (
        "A constant factor per model",
        "A margin, a discount or a price of your own: if it is meant, put it in contracts.yml.",
    ),
    ROUNDING: ("Rounding", "The export prints fewer digits than the cost has."),
    UNEXPLAINED: ("Not explained", "Look at the examples; tell us if it is a class of its own."),
}
"""Classes of difference with what to do, in the order of a report."""
_NOISE = 1e-10
_RELATIVE = 1e-7
_POWERS = (1, 2, 3, 6)
_FACTOR_ROWS = 5
_FACTOR_SPREAD = 1e-5
_FIGURES = 100
_PRINTED_DIGITS = range(4, 9)


@dataclass(frozen=True)
class Totals:
    """The whole of an audit.

    `difference_usd` is booked minus priced, over comparable rows and duplicates; `absolute_usd` is the same
    without regard to sign, as errors both ways cancel.
    """

    row_count: int
    agreeing_count: int
    booked_usd: Decimal
    priced_usd: Decimal
    difference_usd: Decimal
    absolute_usd: Decimal
    not_comparable_count: int
    not_comparable_booked_usd: Decimal


def compare(requests: pl.DataFrame, costs: pl.DataFrame, duplicates: pl.DataFrame) -> pl.DataFrame:
    """Set the gateway's figure beside the book's and class what needs no hypothesis.

    Args:
        requests: attempts with `row` (a number of their own) and the columns of core.requests.
        costs: `row, list_usd, price_state, unpriced_reason, model` of the same attempts.
        duplicates: rows that were removed: `row, request_id, provider, served_model, booked_usd`.

    Returns:
        `row, request_id, provider, priced_model, booked_usd, priced_usd, difference_usd, kind, detail`.
        `difference_usd` is NULL where the book has no price: such a row can be compared by nobody.
    """
    booked = pl.col("provider_reported_cost_usd").cast(USD)
    rows = requests.join(costs.rename({"model": "priced_model"}), on="row", how="left").with_columns(
        booked_usd=booked.fill_null(0), priced_usd=pl.col("list_usd").cast(USD)
    )
    slack = _slack(rows["booked_usd"])
    gap = (pl.col("booked_usd") - pl.col("priced_usd")).cast(pl.Float64)
    is_batch = (pl.col("service_tier") == BATCH_TIER) | pl.col("batch_id").is_not_null()
    is_nothing = pl.col("is_gateway_cache_hit") | (pl.col("status") == "error")
    kind = (
        pl.when(pl.col("priced_usd").is_null())
        .then(pl.lit(NOT_COMPARABLE))
        .when(gap.abs() <= _noise(pl.col("booked_usd")))
        .then(pl.lit(AGREES))
        .when(gap.abs() <= slack)
        .then(pl.lit(ROUNDING))
        .when(pl.col("booked_usd") < 0)
        .then(pl.lit("negative_cost"))
        .when((pl.col("priced_usd") == 0) & is_nothing)
        .then(pl.lit("not_billable"))
        .when((pl.col("booked_usd") == 0) & is_batch)
        .then(pl.lit("batch"))
        .when(pl.col("booked_usd") == 0)
        .then(pl.lit("missing_price"))
        .otherwise(pl.lit(UNEXPLAINED))
    )
    detail = (
        pl.when(kind == NOT_COMPARABLE)
        .then(pl.col("unpriced_reason"))
        .when(kind == "batch")
        .then(pl.lit("a batch job booked as zero"))
        .when(kind == "not_billable")
        .then(
            pl.when("is_gateway_cache_hit")
            .then(pl.lit("the gateway's own cache"))
            .otherwise(pl.lit("a failed call"))
        )
    )
    compared = rows.select(
        "row", "request_id", "provider", "priced_model", "booked_usd", "priced_usd",
        difference_usd=pl.col("booked_usd") - pl.col("priced_usd"), kind=kind, detail=detail,
    )  # fmt: skip
    nothing = pl.lit(0, dtype=USD)
    twice = duplicates.select(
        "row", "request_id", "provider", priced_model="served_model", booked_usd=pl.col("booked_usd").fill_null(0),
        priced_usd=nothing, difference_usd=pl.col("booked_usd").fill_null(0),
        kind=pl.lit("duplicate"), detail=pl.lit("the same call again"),
    )  # fmt: skip
    return pl.concat([compared, twice], how="vertical_relaxed").sort("row")


def explain(rows: pl.DataFrame, hypothesis: Hypothesis, costs: pl.DataFrame) -> pl.DataFrame:
    """Class the unexplained rows whose booked figure is what a hypothesis gives.

    Args:
        rows: what `compare` returned.
        hypothesis: the mistake that was priced.
        costs: `row, list_usd` under that mistake, NULL or absent where it cannot be priced.
    """
    slack = _slack(rows["booked_usd"])
    guess = pl.col("list_usd").cast(USD)
    near = pl.max_horizontal(_noise(pl.col("booked_usd")), pl.lit(slack))
    fits = (pl.col("booked_usd") - guess).cast(pl.Float64).abs() <= near
    differs = (guess - pl.col("priced_usd")).cast(pl.Float64).abs() > near
    is_it = ((pl.col("kind") == UNEXPLAINED) & fits & differs).fill_null(value=False)
    return (
        rows.join(costs.select("row", "list_usd"), on="row", how="left")
        .with_columns(
            kind=pl.when(is_it).then(pl.lit(hypothesis.kind)).otherwise("kind"),
            detail=pl.when(is_it).then(pl.lit(hypothesis.detail)).otherwise("detail"),
        )
        .drop("list_usd")
    )


def explain_ratios(rows: pl.DataFrame) -> pl.DataFrame:
    """Class what is left by its ratio to the book: a power of ten, or one factor for all rows of a model."""
    ratio = pl.col("booked_usd").cast(pl.Float64) / pl.col("priced_usd").cast(pl.Float64)
    is_left = (pl.col("kind") == UNEXPLAINED) & (pl.col("priced_usd") > 0)
    power = pl.lit(value=False)
    for exponent in _POWERS:
        for factor in (10.0**exponent, 10.0**-exponent):
            power = power | ((ratio / factor - 1).abs() < _FACTOR_SPREAD)
    place = ["provider", "priced_model", "is_left"]
    rows = rows.with_columns(ratio=ratio, is_left=is_left)
    alike = (
        (pl.col("ratio").max().over(place) - pl.col("ratio").min().over(place) < _FACTOR_SPREAD * pl.col("ratio").abs())
        & (pl.len().over(place) >= _FACTOR_ROWS)
    )  # fmt: skip
    is_power, is_factor = is_left & power, is_left & ~power & alike
    return rows.with_columns(
        kind=pl.when(is_power)
        .then(pl.lit("unit_error"))
        .when(is_factor)
        .then(pl.lit("factor"))
        .otherwise("kind"),
        detail=pl.when(is_power | is_factor)
        .then(pl.format("{} times the list price", pl.col("ratio").round_sig_figs(6)))
        .otherwise("detail"),
    ).drop("ratio", "is_left")


def totals(rows: pl.DataFrame) -> Totals:
    """Return the whole of an audit."""
    comparable = rows.filter(pl.col("kind") != NOT_COMPARABLE)
    apart = rows.filter(pl.col("kind") == NOT_COMPARABLE)
    return Totals(
        row_count=rows.height,
        agreeing_count=comparable.filter(pl.col("kind") == AGREES).height,
        booked_usd=_sum(comparable, "booked_usd"),
        priced_usd=_sum(comparable, "priced_usd"),
        difference_usd=_sum(comparable, "difference_usd"),
        absolute_usd=_sum(comparable.with_columns(pl.col("difference_usd").abs()), "difference_usd"),
        not_comparable_count=apart.height,
        not_comparable_booked_usd=_sum(apart, "booked_usd"),
    )


def by_class(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per class that occurs, agreement included, the largest difference first.

    Columns: `kind, row_count, booked_usd, priced_usd, difference_usd, details, examples` (the rows with the
    largest differences). The differences sum to that of `totals`.
    """
    order = pl.col("difference_usd").abs()
    return (
        rows.filter(pl.col("kind") != NOT_COMPARABLE)
        .sort(order, "row", descending=[True, False])
        .group_by("kind", maintain_order=True)
        .agg(
            pl.len().alias("row_count"),
            *(pl.col(name).sum() for name in ("booked_usd", "priced_usd", "difference_usd")),
            pl.col("detail").drop_nulls().unique(maintain_order=True).alias("details"),
            pl.struct(
                "request_id",
                "provider",
                "priced_model",
                "booked_usd",
                "priced_usd",
                "difference_usd",
                "detail",
            )
            .head(EXAMPLES)
            .alias("examples"),
        )
        .sort((pl.col("kind") == AGREES), order, "kind", descending=[False, True, False])
    )


def by_model(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per provider and model: counts, dollars, and the class that weighs most."""
    comparable = rows.filter(pl.col("kind") != NOT_COMPARABLE)
    place = ["provider", "priced_model"]
    worst = (
        comparable.filter(pl.col("kind") != AGREES)
        .group_by(*place, "kind")
        .agg(pl.col("difference_usd").sum())
        .sort(pl.col("difference_usd").abs(), "kind", descending=[True, False])
        .unique(place, keep="first", maintain_order=True)
        .select(*place, main_kind="kind")
    )
    return (
        comparable.group_by(place)
        .agg(
            pl.len().alias("row_count"),
            *(pl.col(name).sum() for name in ("booked_usd", "priced_usd", "difference_usd")),
        )
        .join(worst, on=place, how="left", nulls_equal=True)
        .sort(pl.col("difference_usd").abs(), *place, descending=[True, False, False])
    )


def not_comparable(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per provider, model and reason of what the book cannot price, with the gateway's dollars."""
    return (
        rows.filter(pl.col("kind") == NOT_COMPARABLE)
        .group_by("provider", "priced_model", reason="detail")
        .agg(
            pl.len().alias("row_count"),
            pl.col("booked_usd").sum(),
            pl.col("request_id").head(EXAMPLES).alias("examples"),
        )
        .sort("booked_usd", "row_count", "provider", "priced_model", descending=[True, True, False, False])
    )


def _noise(booked: pl.Expr) -> pl.Expr:
    """Return how far a float computed the same way may lie from the exact product."""
    return booked.cast(pl.Float64).abs() * _RELATIVE + _NOISE


def _slack(booked: pl.Series) -> float:
    """Return half of the last digit that an export prints, where many figures show it to print few; else 0."""
    figures = booked.unique()
    if figures.len() < _FIGURES:
        return 0.0
    for digits in _PRINTED_DIGITS:
        if (figures.round(digits) == figures).all():
            return 0.5 * 10.0**-digits
    return 0.0


def _sum(rows: pl.DataFrame, name: str) -> Decimal:
    return Decimal(rows[name].sum() or 0)
