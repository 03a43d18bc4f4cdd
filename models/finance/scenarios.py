"""Scenarios of budgets.yml: what a forecast supposes (growth, another price or model), as factors of its scopes."""

from decimal import Decimal
from typing import Annotated

import polars as pl
from pydantic import Field, model_validator

from models.documents import Strict
from models.finance.chargeback_rules import Name

_PER_MTOK = 1e6
_KEYS = ("scope_kind", "scope", "provider", "model")
Percent = Annotated[Decimal, Field(ge=-100, le=10_000, decimal_places=6, allow_inf_nan=False)]


class Scenario(Strict):
    """One change of a scenario; changes of one name are applied together, from tomorrow on."""

    name: Name
    provider: Name | None = None
    model: Name | None = None
    growth_percent: Percent | None = None
    price_percent: Percent | None = None
    to_provider: Name | None = None
    to_model: Name | None = None
    share_percent: Annotated[Decimal, Field(gt=0, le=100, decimal_places=6, allow_inf_nan=False)] | None = (
        None
    )
    note: str | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> "Scenario":
        switch = (self.to_provider, self.to_model)
        if (switch[0] is None) != (switch[1] is None):
            raise ValueError("a switch needs to_provider and to_model")
        if switch[0] is None and self.share_percent is not None:
            raise ValueError("share_percent goes with to_provider and to_model")
        if switch[0] is None and self.growth_percent is None and self.price_percent is None:
            raise ValueError(
                "a scenario changes growth_percent, price_percent or the model (to_provider, to_model)"
            )
        if self.name == "as_is":
            raise ValueError("as_is is the forecast without a scenario; name it otherwise")
        return self


def scenario_factors(recent: pl.DataFrame, scenarios: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """Return `scenario, scope_kind, scope, factor`: by what each scenario multiplies the spend of a scope.

    A switch prices the tokens of a model, plain input, cached input and output, by the book of the other one (cached
    input as plain where it has no price); what a pool cost beside serving goes with its share. The factor is NULL where
    the book has no price.

    Args:
        recent: of the days learned from, by scope, provider and model: `usd, plain_tokens, cached_tokens,
            output_tokens`.
        scenarios: ref.scenarios.
        prices: `to_provider, to_model, plain_rate, cached_rate, output_rate`: dollars per million tokens in force.
    """
    pairs = (
        recent.filter(pl.col("usd") > 0)
        .with_columns(pl.col("usd").cast(pl.Float64))
        .join(scenarios.rename({"provider": "of_provider", "model": "of_model"}), how="cross")
        .join(prices, on=["to_provider", "to_model"], how="left")
    )
    is_meant = (pl.col("of_provider").is_null() | (pl.col("of_provider") == pl.col("provider"))).fill_null(
        value=False
    ) & (pl.col("of_model").is_null() | (pl.col("of_model") == pl.col("model"))).fill_null(value=False)
    elsewhere = (
        pl.col("plain_tokens") * pl.col("plain_rate")
        + pl.col("cached_tokens") * pl.coalesce("cached_rate", "plain_rate")
        + pl.col("output_tokens") * pl.col("output_rate")
    ) / _PER_MTOK
    share = pl.col("share_percent").cast(pl.Float64).fill_null(100) / 100
    change = (1 + pl.col("growth_percent").cast(pl.Float64).fill_null(0) / 100) * (
        1 + pl.col("price_percent").cast(pl.Float64).fill_null(0) / 100
    )
    switch = (
        pl.when(pl.col("to_model").is_null())
        .then(1.0)
        .otherwise(1 - share + share * elsewhere / pl.col("usd"))
    )
    unknown = pl.col("factor").is_null().any()
    return (
        pairs.with_columns(factor=pl.when(is_meant).then(change * switch).otherwise(1.0))
        .group_by(pl.col("name").alias("scenario"), *_KEYS, "usd")
        .agg(pl.when(unknown).then(None).otherwise(pl.col("factor").product()).alias("factor"))
        .group_by("scenario", "scope_kind", "scope")
        .agg(
            pl.when(unknown)
            .then(None)
            .otherwise((pl.col("factor") * pl.col("usd")).sum() / pl.col("usd").sum())
            .alias("factor")
        )
        .sort("scenario", "scope_kind", "scope")
    )
