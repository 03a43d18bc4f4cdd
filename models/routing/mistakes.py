"""Routing mistakes: attempts that broke the policy or that an eligible alternative would have served cheaper."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import polars as pl

from models.money import USD, picodollars_from_usd, usd_from_picodollars
from models.routing.alternatives import CELL, DEFAULT_TIERS, UNCACHED, judge_cells, offers
from models.schemas import table
from models.schemas.vocabulary import INPUT_TOKEN_COLUMNS, TOKEN_CLASSES

NOT_EVALUATED = "not_evaluated"
POLICY_KINDS = ("policy_violation", "wrong_region", "underpowered")
"""Kinds that break a rule of the policy: flagged whatever the regret."""
KINDS = (*POLICY_KINDS, "overpowered", "dearer_provider")
"""Kinds that this version judges, in order of precedence."""
CONFIDENCE = {
    "policy_violation": 1.0,
    "wrong_region": 1.0,
    "underpowered": 0.9,
    "overpowered": 0.7,
    "dearer_provider": 1.0,
}
CONFIDENCE_WITH_CACHE = 0.8
"""Of a dearer provider where cached tokens are counted as uncached: the true alternative is cheaper still."""
_ALTERNATIVE = ("alternative_provider", "alternative_region", "alternative_model", "alternative_chip")


def routing_mistakes(
    costs: pl.LazyFrame,
    *,
    policy: pl.DataFrame,
    quality: Mapping[str, float],
    book: pl.LazyFrame,
    models: pl.LazyFrame,
    as_known_at: datetime,
    materiality_usd: Decimal = Decimal(0),
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Judge attempts by the policy and by the cheapest eligible alternative at their instant.

    Regret = max(0, cost - alternative) with the same tokens by class, on the same service tier, meters that
    are not tokens equal on both sides. An alternative must price every class that the attempt used; at
    another provider or model no cache is assumed, so cached tokens cost the uncached rate there. Only
    token-priced attempts that succeeded and are priced are judged; gateway-cache hits are no attempts; the
    rest counts as `not_evaluated`.

    `overpowered` needs a quality floor and another family that reaches it for less than the family taken
    costs anywhere eligible; `dearer_provider` is the same family at another provider or region for less.
    Each attempt's regret goes to its first kind by precedence, the others to `also_kinds`.

    Not judged yet: fallback_storm, idle_capacity, stale_price, wrong_chip, cache_affinity_lost; off-peak and
    graduated alternatives; tokenizer differences between families; whether the alternative was up.

    Args:
        costs: core.request_costs of whole business days.
        policy: ref.routing_policy (`load_policy`).
        quality: scores of model families or models.
        book: ref.token_prices.
        models: ref.models.
        as_known_at: prices learned later do not count.
        materiality_usd: price mistakes with less regret are counted in the daily table, not listed.

    Returns:
        Rows of mart.routing_mistakes and of mart.routing_regret_daily.
    """
    attempts = costs.filter(
        pl.col("is_first_accrual"), pl.col("attempt_no").is_null() | (pl.col("attempt_no") > 0)
    ).collect()
    is_judged = (
        (pl.col("status") == "ok") & (pl.col("cost_basis") == "token") & (pl.col("price_state") == "priced")
    )
    offered = offers(book.collect(), models.collect(), as_known_at=as_known_at)
    instants = {offer.valid_from for offer in offered}
    instants |= {
        at for name in ("valid_from", "valid_to") for at in policy.get_column(name) if at is not None
    }
    judged, cells = _celled(attempts.filter(is_judged), sorted(instants))
    verdicts, cards = judge_cells(cells, policy, offered=offered, quality=quality)
    flagged = _flag(_cheapest(judged, cards).join(verdicts, on="cell", how="left", maintain_order="left"))
    listed = flagged.filter(
        pl.col("kind").is_in(POLICY_KINDS)
        | (pl.col("regret_usd") >= pl.lit(materiality_usd, dtype=USD)).fill_null(value=False)
    )
    mistakes = table("mart.routing_mistakes").conform(listed.lazy())
    return mistakes, _daily(flagged, attempts.filter(~is_judged))


def _celled(judged: pl.DataFrame, instants: list[datetime]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Number the cells: attempts between two changes of any price or clause that share their dimensions."""
    starts = pl.DataFrame(
        {"epoch_at": instants}, schema={"epoch_at": judged.schema["started_at"]}
    ).with_row_index("epoch", offset=1)
    tier = pl.col("service_tier").fill_null("default")
    columns = [f"{name}_tokens" for name in TOKEN_CLASSES]
    judged = (
        judged.with_columns(pl.col(columns).fill_null(0))
        .with_columns(
            tier=pl.when(tier.is_in(DEFAULT_TIERS)).then(pl.lit("default")).otherwise(tier),
            model_family=pl.coalesce("model_family", "model"),
            total_input=pl.sum_horizontal(INPUT_TOKEN_COLUMNS),
            meters=picodollars_from_usd(pl.col("meters_usd").fill_null(0)),
            cost=picodollars_from_usd(pl.col("effective_usd")),
            has_cache=pl.any_horizontal(pl.col(f"{name}_tokens") > 0 for name in UNCACHED),
        )
        .sort("started_at")
        .join_asof(starts, left_on="started_at", right_on="epoch_at")
        .with_columns(pl.coalesce("epoch_at", "started_at"))
    )
    cells = (
        judged.group_by(CELL, maintain_order=True)
        .agg(pl.col("epoch_at").first())
        .with_row_index("cell")
        .with_columns(pl.col("cell").cast(pl.Int64))
    )
    keyed = judged.join(
        cells.select("cell", *CELL), on=CELL, how="left", nulls_equal=True, maintain_order="left"
    )
    return keyed, cells


def _cheapest(judged: pl.DataFrame, cards: pl.DataFrame) -> pl.DataFrame:
    """Add the cheapest alternative of the same family, of another, and overall; one pass per rank of card.

    Adds `same`, `other`, `best` (Int128 picodollars of tokens, NULL = none) and the alternative's place.
    """
    used = [name for name in TOKEN_CLASSES if judged.height and judged.get_column(f"{name}_tokens").max()]
    used = used or list(TOKEN_CLASSES[:1])
    sizes = [f"{name}_tokens" for name in used]
    ranked = cards.with_row_index("card").with_columns(rank=pl.int_range(pl.len()).over("cell"))
    work = judged.select("cell", "total_input", *sizes).with_row_index("row")
    cheapest = pl.DataFrame(
        schema={"row": pl.UInt32, "is_same_family": pl.Boolean, "cost": pl.Int128, "card": pl.UInt32}
    )
    rates = [f"rate_{name}" for name in used]
    for group in ranked.partition_by("rank", maintain_order=True):
        total = pl.sum_horizontal(
            pl.when(pl.col(f"{name}_tokens") > 0)
            .then(pl.col(f"{name}_tokens").cast(pl.Int128) * pl.col(f"rate_{name}"))
            .otherwise(pl.lit(0, dtype=pl.Int128))
            for name in used
        )
        is_priced = pl.all_horizontal(
            (pl.col(f"{name}_tokens") == 0) | pl.col(f"rate_{name}").is_not_null() for name in used
        )
        costed = (
            work.join(group.select("cell", "card", "is_same_family", "above", "up_to", *rates), on="cell")
            .filter(
                (pl.col("total_input") > pl.col("above")).fill_null(value=True),
                (pl.col("total_input") <= pl.col("up_to")).fill_null(value=True),
                is_priced,
            )
            .select("row", "is_same_family", total.alias("cost"), "card")
        )
        cheapest = (
            pl.concat([cheapest, costed])
            .sort("row", "is_same_family", "cost", "card")
            .unique(["row", "is_same_family"], keep="first", maintain_order=True)
        )
    by_kind = [
        cheapest.filter(pl.col("is_same_family") == is_same).select(
            "row", pl.col("cost").alias(name), pl.col("card").alias(f"{name}_card")
        )
        for name, is_same in (("same", True), ("other", False))
    ]
    places = ranked.select("card", *_ALTERNATIVE)
    is_other = (pl.col("other") < pl.col("same")).fill_null(pl.col("same").is_null())
    return (
        judged.with_row_index("row")
        .join(by_kind[0], on="row", how="left", maintain_order="left")
        .join(by_kind[1], on="row", how="left", maintain_order="left")
        .with_columns(
            best=pl.min_horizontal("same", "other"),
            card=pl.when(is_other).then(pl.col("other_card")).otherwise(pl.col("same_card")),
        )
        .join(places, on="card", how="left", maintain_order="left")
    )


def _flag(found: pl.DataFrame) -> pl.DataFrame:
    """Attach kinds, regret and evidence; attempts without a kind are dropped."""
    tokens_cost = pl.col("cost") - pl.col("meters")
    found = found.with_columns(
        regret=pl.max_horizontal(tokens_cost - pl.col("best"), pl.lit(0, dtype=pl.Int128)),
        overpowered=pl.col("has_floor")
        & pl.col("underpowered").is_null()
        & (pl.col("other") < tokens_cost)
        & (pl.col("same").is_null() | (pl.col("other") < pl.col("same"))),
        dearer_provider=pl.col("same") < tokens_cost,
    )
    holds = {
        kind: pl.col(kind).is_not_null() if kind in POLICY_KINDS else pl.col(kind).fill_null(value=False)
        for kind in KINDS
    }
    kinds = pl.concat_list(
        pl.when(is_held).then(pl.lit(kind)).otherwise(pl.lit(None, dtype=pl.String))
        for kind, is_held in holds.items()
    ).list.drop_nulls()
    flagged = found.with_columns(kinds=kinds).filter(pl.col("kinds").list.len() > 0)
    with_best = pl.col("best").is_not_null()
    flagged = flagged.with_columns(
        kind=pl.col("kinds").list.first(),
        also_kinds=pl.col("kinds").list.slice(1),
        cost_usd=pl.col("effective_usd").cast(USD),
        alternative_usd=usd_from_picodollars(pl.col("best") + pl.col("meters")),
        regret_usd=pl.when(with_best).then(usd_from_picodollars(pl.col("regret"))),
    )
    is_elsewhere = (pl.col("alternative_provider") != pl.col("provider")) | (
        pl.col("alternative_model") != pl.col("model")
    )
    note = (
        pl.when(pl.col("has_cache") & is_elsewhere)
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
    confidence = pl.col("kind").replace_strict(CONFIDENCE, return_dtype=pl.Float64)
    is_softer = (pl.col("kind") == "dearer_provider") & pl.col("has_cache") & is_elsewhere
    return flagged.with_columns(
        evidence=pl.coalesce(*POLICY_KINDS, cheaper),
        confidence_ratio=pl.when(is_softer).then(CONFIDENCE_WITH_CACHE).otherwise(confidence),
    )


def _daily(flagged: pl.DataFrame, not_judged: pl.DataFrame) -> pl.LazyFrame:
    """Sum by business day, route and kind, below materiality included."""
    keys = ["accrued_on", "route", "kind"]
    is_known = pl.col("regret_usd").is_not_null().any()
    by_kind = flagged.group_by(keys).agg(
        attempt_count=pl.len(),
        regret_usd=pl.when(is_known).then(pl.col("regret_usd").sum()),
        cost_usd=pl.col("cost_usd").sum(),
    )
    cost = pl.col("effective_usd").cast(USD)
    others = (
        not_judged.with_columns(kind=pl.lit(NOT_EVALUATED))
        .group_by(keys)
        .agg(
            attempt_count=pl.len(),
            regret_usd=pl.lit(None, dtype=USD),
            cost_usd=pl.when(cost.is_not_null().any()).then(cost.sum()),
        )
    )
    rows = pl.concat([by_kind, others], how="vertical_relaxed").sort(keys, nulls_last=True)
    return table("mart.routing_regret_daily").conform(rows.lazy())
