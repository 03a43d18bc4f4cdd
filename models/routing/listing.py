"""From findings to rows: one row per flagged attempt, its regret attributed once, and the sums of a day."""

import polars as pl

from models.money import USD, usd_from_picodollars
from models.routing.cheapest import Cards, Ints
from models.routing.judged import JudgedAttempts
from models.routing.offers import UNCACHED
from models.schemas import table
from models.schemas.vocabulary import MISTAKE_KINDS

NOT_EVALUATED = "not_evaluated"
LISTED_KINDS = ("policy_violation", "wrong_region", "underpowered", "fallback_storm", "hedge_lost")
"""Kinds that are listed whatever the regret."""
CONFIDENCE = {"fallback_storm": 0.95, "overpowered": 0.7, "dearer_provider": 1.0}
"""How sure a kind is by itself; the others say so of each finding."""
CONFIDENCE_WITH_CACHE = 0.8
"""Factor where cached tokens are counted as uncached at the alternative: it may be cheaper still."""
CONFIDENCE_OF_FALLBACK = 0.6
"""Factor where a router fell back and the log does not say from where: the alternative may have been down."""
CONFIDENCE_WITHOUT_LATENCY = 0.9
"""Factor of a dearer provider whose latency, or that of the alternative, was not measured."""
_ALTERNATIVE = ("alternative_provider", "alternative_region", "alternative_model", "alternative_chip")
_MILLION = 1_000_000


def listed(
    judged: JudgedAttempts, found: pl.DataFrame, token_cost: Ints, best: Ints, card: Cards
) -> pl.DataFrame:
    """Return rows of mart.routing_mistakes without their identity, but with `position` in the costs.

    `is_listed` is false where the regret is below materiality.
    """
    order = {kind: number for number, kind in enumerate(MISTAKE_KINDS)}
    by_row = (
        found.with_columns(pl.col("kind").replace_strict(order, return_dtype=pl.Int64).alias("precedence"))
        .sort("row", "precedence", "alternative", nulls_last=True)
        .group_by("row", maintain_order=True)
        .agg(
            pl.col("kind").first(),
            pl.col("kind").unique(maintain_order=True).slice(1).alias("also_kinds"),
            *(pl.col(name).first() for name in ("clause", "policy_line", "evidence", "confidence")),
            pl.col("wasted").max(),
            pl.col("alternative").min(),
            *(pl.col(name).get(pl.col("alternative").arg_min()) for name in _ALTERNATIVE),
        )
    )
    rows = by_row.get_column("row").to_numpy()
    facts = judged.attempts[rows]
    absent = [
        pl.lit(None).alias(name)
        for name in table("core.request_costs").column_names
        if name not in facts.columns
    ]
    frame = (
        by_row.hstack(facts.with_columns(pl.col(pl.Categorical).cast(pl.String)).with_columns(absent))
        .with_columns(
            pl.Series("cell", judged.cells[rows]),
            pl.Series("tokens_cost", token_cost[rows]),
            pl.Series("best", best[rows]),
            pl.Series("card", card[rows]),
        )
    )  # fmt: skip
    return _worded(_regretted(_with_cards(judged, frame)))


def _with_cards(judged: JudgedAttempts, frame: pl.DataFrame) -> pl.DataFrame:
    """Add clause and alternative: the kind's own, or the cheapest card where that is cheaper."""
    clauses = pl.DataFrame(
        [
            {
                "cell": number,
                "cell_clause": ruling.clause["clause"],
                "cell_line": ruling.clause["policy_line"],
                "policy_version": ruling.clause["policy_version"],
                "materiality_usd": ruling.clause["materiality_usd"],
            }
            for number, ruling in enumerate(judged.rulings)
        ],
        schema={
            "cell": pl.Int64, "cell_clause": pl.String, "cell_line": pl.Int64, "policy_version": pl.String,
            "materiality_usd": USD,
        },
    )  # fmt: skip
    pairs = frame.filter(pl.col("card") >= 0).select("cell", "card").unique(maintain_order=True)
    places = [_place(judged, cell, card) for cell, card in pairs.iter_rows()]
    cards = pairs.hstack(pl.DataFrame(places, schema=_PLACE)) if places else pairs.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in _PLACE.items()
    )  # fmt: skip
    is_own = pl.col("alternative").is_not_null() & (
        (pl.col("best") < 0) | (pl.col("alternative") <= pl.col("best"))
    )
    cost = pl.when(is_own).then("alternative").when(pl.col("best") >= 0).then("best")
    return (
        frame.join(clauses, on="cell", how="left", maintain_order="left")
        .join(cards, on=["cell", "card"], how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("clause", "cell_clause").alias("clause"),
            pl.when(pl.col("clause").is_null())
            .then("cell_line")
            .otherwise("policy_line")
            .alias("policy_line"),
            cost.alias("other_cost"),
            (~is_own).alias("is_by_card"),
            *(
                pl.when(is_own).then(name).otherwise(name.replace("alternative", "card")).alias(name)
                for name in _ALTERNATIVE
            ),
        )
    )


_PLACE = {
    "card_provider": pl.String,
    "card_region": pl.String,
    "card_model": pl.String,
    "card_chip": pl.String,
    "error_millionths": pl.Int64,
    "is_latency_known": pl.Boolean,
}


def _place(judged: JudgedAttempts, cell_at: int, card: int) -> dict[str, object]:
    cell, ruling, offer = judged.cell_rows[cell_at], judged.rulings[cell_at], judged.market.offers[card]
    latency = judged.menus.latency
    return {
        "card_provider": offer.provider,
        "card_region": judged.menus.rules.region_of(offer, ruling),
        "card_model": offer.model,
        "card_chip": offer.chip,
        "error_millionths": round(judged.menus.converted(cell, card)[2] * _MILLION),
        "is_latency_known": all(
            place in latency for place in ((cell["provider"], cell["model"]), (offer.provider, offer.model))
        ),
    }


def _regretted(frame: pl.DataFrame) -> pl.DataFrame:
    """Add cost, alternative and regret in dollars, with the regret's interval."""
    # A pooled attempt has no tokens' price: its cost is the whole.
    own = pl.when(pl.col("tokens_cost") >= 0).then("tokens_cost").otherwise("cost")
    meters = pl.when(pl.col("tokens_cost") >= 0).then("meters").otherwise(0)
    error = pl.when("is_by_card").then(pl.col("error_millionths").fill_null(0)).otherwise(0)
    width = pl.col("other_cost") * error // _MILLION
    zero = pl.lit(0, dtype=pl.Int64)

    def regret(alternative: pl.Expr) -> pl.Expr:
        return pl.max_horizontal(own - alternative, zero)

    is_known = pl.col("other_cost").is_not_null() & own.is_not_null()
    is_unsure = pl.col("is_guessed")
    amounts = {
        "cost_usd": pl.col("cost"),
        "alternative_usd": pl.col("other_cost") + meters,
        "regret_usd": pl.when(is_known).then(regret(pl.col("other_cost"))),
        "regret_low_usd": pl.when(is_known)
        .then(pl.when(is_unsure).then(zero).otherwise(regret(pl.col("other_cost") + width))),
        "regret_high_usd": pl.when(is_known).then(regret(pl.col("other_cost") - width)),
        "wasted_usd": pl.col("wasted"),
    }  # fmt: skip
    return frame.with_columns(usd_from_picodollars(amount).alias(name) for name, amount in amounts.items())


def _worded(frame: pl.DataFrame) -> pl.DataFrame:
    """Add evidence and confidence, and whether the row is listed."""
    is_elsewhere = (pl.col("alternative_provider") != pl.col("provider")) | (
        pl.col("alternative_model") != pl.col("model")
    )
    has_cache = pl.any_horizontal(pl.col(f"{name}_tokens").fill_null(0) > 0 for name in UNCACHED)
    is_assumed_cold = (
        has_cache & is_elsewhere & pl.col("session_id").is_null() & pl.col("prefix_hash").is_null()
    )
    note = (
        pl.when(is_assumed_cold & pl.col("is_by_card"))
        .then(pl.lit("; cached tokens at its uncached rate, as no cache is assumed there"))
        .otherwise(pl.lit(""))
    )
    cheaper = pl.format(
        "{} at {}{} would have cost ${} against ${}{}",
        "alternative_model",
        "alternative_provider",
        pl.format(" in {}", "alternative_region").fill_null(""),
        pl.col("alternative_usd").cast(pl.String),
        pl.col("cost_usd").cast(pl.String),
        note,
    )
    is_price_kind = pl.col("kind").is_in(["dearer_provider", "overpowered", "stale_price"])
    is_dearer = pl.col("kind") == "dearer_provider"
    is_untraced = pl.col("is_fallback").fill_null(value=False) & pl.col("down").is_null()
    confidence = (
        pl.col("confidence")
        * pl.when(is_price_kind & is_assumed_cold).then(CONFIDENCE_WITH_CACHE).otherwise(1.0)
        * pl.when(is_price_kind & is_untraced).then(CONFIDENCE_OF_FALLBACK).otherwise(1.0)
        * pl.when(is_dearer & ~pl.col("is_latency_known").fill_null(value=False))
        .then(CONFIDENCE_WITHOUT_LATENCY)
        .otherwise(1.0)
        * pl.when(pl.col("kind").is_in(["overpowered", "underpowered"]))
        .then("guess_confidence")
        .otherwise(1.0)
    )
    least = pl.col("materiality_usd").fill_null(0)
    frame = frame.with_columns(
        evidence=pl.coalesce("evidence", cheaper),
        confidence_ratio=confidence,
        is_listed=pl.col("kind").is_in(list(LISTED_KINDS))
        | (pl.col("regret_usd") >= least).fill_null(value=False),
    )
    identity = {"source", "request_id"}
    columns = [name for name in table("mart.routing_mistakes").column_names if name not in identity]
    return frame.select("position", *dict.fromkeys([*columns, "is_listed"]))


def daily(rows: pl.DataFrame, attempts: pl.DataFrame, *, has_owned: bool) -> pl.DataFrame:
    """Return mart.routing_regret_daily: flagged rows by kind, immaterial ones included, and the count of the rest.

    Args:
        rows: what `listed` returns.
        attempts: all attempts of the judged days.
        has_owned: whether owned pools were known, so that pooled attempts count as judged.
    """
    keys = ["accrued_on", "route", "kind"]
    amounts = ("regret_usd", "regret_low_usd", "regret_high_usd", "wasted_usd")
    by_kind = rows.group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("attempt_count"),
        (~pl.col("is_listed")).sum().cast(pl.Int64).alias("immaterial_count"),
        *(_sum_or_null(pl.col(name)).alias(name) for name in amounts),
        _sum_or_null(pl.col("cost_usd")).alias("cost_usd"),
    )
    is_failed = pl.col("status") != "ok"
    is_judged = (pl.col("price_state") == "priced") & ~is_failed
    if not has_owned:
        is_judged &= pl.col("cost_basis") == "token"
    others = (
        attempts.filter(~is_judged)
        .select(
            "position", "accrued_on", pl.col("route").cast(pl.String), "cost", is_failed.alias("is_failed")
        )
        .join(rows.select("position"), on="position", how="anti")
        .with_columns(kind=pl.lit(NOT_EVALUATED), usd=usd_from_picodollars(pl.col("cost")))
        .group_by(keys)
        .agg(
            pl.len().cast(pl.Int64).alias("attempt_count"),
            _sum_or_null(pl.col("usd")).alias("cost_usd"),
            _sum_or_null(pl.col("usd").filter("is_failed")).alias("wasted_usd"),
        )
    )
    parts = [table("mart.routing_regret_daily").conform(part.lazy(), fill=True) for part in (by_kind, others)]
    return pl.concat(parts).sort(keys, nulls_last=True).collect()


def _sum_or_null(amount: pl.Expr) -> pl.Expr:
    return pl.when(amount.is_not_null().any()).then(amount.sum())
