"""mart.chargeback_monthly: the month's bill by who pays it, to the picodollar.

What a request of a known team or tenant is behind is its own. All else is split by the rules of chargeback.yml; where
none holds, by the usage that it served. What nobody used and no rule gives to anybody stays unallocated, and is shown.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from models.finance.chargeback_rules import SCOPE
from models.finance.splitting import split
from models.money import picodollars_from_usd, usd_from_picodollars
from models.schemas import table
from models.schemas.cost_kinds import BILL_KINDS
from models.schemas.mart_chargeback_monthly import SMALL_GROUPS

_PAYER = ("tenant", "team", "cost_centre")
_SCOPES = {
    "pool": ("provider", "deployment"),
    "chip": ("provider", "chip"),
    "provider": ("provider",),
    "everything": (),
}
"""Whose usage weighs -> what a cost and that usage have in common."""
_PLACE = ("provider", "deployment", "chip")
_NO_TEXT = pl.lit(None, dtype=pl.String)
_COUNTS = ("attempt_count", "total_tokens", "unpriced_tokens")


def chargeback(
    costs: pl.DataFrame,
    *,
    rules: pl.DataFrame,
    centres: pl.DataFrame,
    quotas: pl.DataFrame,
) -> pl.DataFrame:
    """Return the rows of `mart.chargeback_monthly` of open months; `signed` adds what payers say of them.

    Args:
        costs: every dollar of the months, once: `accrued_on` (whose rule counts), `month_on`, `cost_kind`, the scope of
            a pool, `tenant, team, usd, attempt_count, total_tokens, unpriced_tokens`.
        rules: ref.chargeback_rules.
        centres: ref.cost_centres; an entry holds for a month if it holds on its first day.
        quotas: ref.allocation_rules: what tenants reserved of pools.
    """
    costs = costs.with_columns(
        picodollars_from_usd(pl.col("usd")).fill_null(0).alias("amount"),
        *(pl.col(name).fill_null(0) for name in _COUNTS),
    )
    is_own = pl.col("tenant").is_not_null() | pl.col("team").is_not_null()
    own = costs.filter(is_own).with_columns(rule=pl.lit("direct"), cost_centre=_NO_TEXT)
    shared = _shared(costs.filter(~is_own), own, rules, quotas)
    rows = pl.concat(
        [
            frame.select("month_on", *_PAYER, "cost_kind", "rule", "amount", *_COUNTS)
            for frame in (own, shared)
        ]
    )
    rows = _hidden(_centred(rows, centres), rules)
    summed = rows.group_by("month_on", *_PAYER, "cost_kind", "rule").agg(
        usd_from_picodollars(pl.col("amount").sum()).alias("usd"), *(pl.col(name).sum() for name in _COUNTS)
    )
    return summed.with_columns(payer=pl.coalesce("cost_centre", "team", "tenant"))


def _shared(
    costs: pl.DataFrame, own: pl.DataFrame, rules: pl.DataFrame, quotas: pl.DataFrame
) -> pl.DataFrame:
    """Split what is nobody's own; what was counted of it (usage of unknown callers) stays with the first payer."""
    ruled = _ruled(costs, rules)
    reserved = _reserved(ruled, quotas)
    key = (
        "month_on",
        "cost_kind",
        "rule",
        "rule_number",
        "method",
        "usage_of",
        "measure",
        *_PLACE,
        "quota_number",
    )
    pots = (
        reserved.with_columns(_only_where(name) for name in _PLACE)
        .group_by(key)
        .agg(pl.col("amount").sum(), *(pl.col(name).sum() for name in _COUNTS))
        .sort(key, nulls_last=True)
        .with_row_index("pot")
    )
    shares = _by_shares(pots, rules)
    weights = pl.concat(
        [_by_usage(pots, own), shares, _by_quota(pots, quotas).join(shares, on="pot", how="anti")],
        how="diagonal_relaxed",
    )
    parts = split(pots, weights, by=list(_PAYER))
    # Tokens and attempts are counted once, where their dollars are unallocated or go to.
    is_first = pl.int_range(pl.len()).over("pot") == 0
    return parts.join(pots.drop("amount"), on="pot", maintain_order="left").with_columns(
        pl.when(is_first).then(name).otherwise(0).alias(name) for name in _COUNTS
    )


def _ruled(costs: pl.DataFrame, rules: pl.DataFrame) -> pl.DataFrame:
    """Add to each cost the rule that holds for it on its day: the last of the file, or what is done without one."""
    heads = rules.filter(pl.col("method") != "suppress").select(
        "rule_number", "cost_kind", "method", "usage_of", "measure", "valid_from", "valid_to",
        pl.col("name").alias("rule"), *(pl.col(name).alias(f"rule_{name}") for name in SCOPE),
    ).unique(maintain_order=True)  # fmt: skip
    day = pl.col("accrued_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    numbered = costs.with_row_index("row")
    fitting = (
        numbered.select("row", "accrued_on", "cost_kind", *SCOPE)
        .join(heads, on="cost_kind")
        .filter(
            (pl.col("valid_from").is_null() | (pl.col("valid_from") <= day))
            & (pl.col("valid_to").is_null() | (day < pl.col("valid_to"))),
            *(pl.col(f"rule_{name}").is_null() | (pl.col(f"rule_{name}") == pl.col(name)) for name in SCOPE),
        )
        .sort("row", "rule_number")
        .unique("row", keep="last", maintain_order=True)
        .select("row", "rule_number", "rule", "method", "usage_of", "measure")
    )
    is_unknown_caller = pl.col("cost_kind").is_in(["usage", "serving"]) & pl.col("rule").is_null()
    usual = (
        pl.when(pl.col("cost_kind").is_in(["unheld", "unused_commitment"])).then(pl.lit("chip"))
        .when(pl.col("cost_kind").is_in(BILL_KINDS) | pl.col("deployment").is_null())
        .then(pl.when(pl.col("provider").is_null()).then(pl.lit("everything")).otherwise(pl.lit("provider")))
        .otherwise(pl.lit("pool"))
    )  # fmt: skip
    return numbered.join(fitting, on="row", how="left", maintain_order="left").with_columns(
        pl.when(is_unknown_caller).then(pl.lit("unattributed")).otherwise(pl.col("rule").fill_null("by_usage")).alias("rule"),
        pl.when(is_unknown_caller).then(pl.lit("none")).otherwise(pl.col("method").fill_null("by_usage")).alias("method"),
        pl.col("rule_number").fill_null(-1),
        pl.col("measure").fill_null("usd"),
    ).with_columns(
        pl.when(pl.col("method") == "by_usage").then(pl.coalesce("usage_of", usual)).alias("usage_of")
    )  # fmt: skip


def _only_where(name: str) -> pl.Expr:
    """Keep of a cost's place what its weights are looked up by."""
    matters = [scope for scope, names in _SCOPES.items() if name in names]
    return pl.when(pl.col("usage_of").is_in(matters)).then(pl.col(name)).alias(name)


def _by_usage(pots: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Return the weights of what known payers used of the same place: dollars, or tokens where nothing cost any."""
    used = own.filter(pl.col("cost_kind").is_in(["usage", "serving"]))
    parts = []
    for scope, names in _SCOPES.items():
        here = pots.filter(pl.col("usage_of") == scope).select("pot", "month_on", "measure", *names)
        weights = used.group_by("month_on", *names, *_PAYER).agg(
            pl.col("amount").sum(), pl.col("total_tokens").cast(pl.Int128).sum()
        )
        found = here.join(weights, on=["month_on", *names])
        has_cost = (pl.col("amount").sum().over("pot") > 0) & (pl.col("measure") == "usd")
        parts.append(
            found.select(
                "pot", *_PAYER, pl.when(has_cost).then("amount").otherwise("total_tokens").alias("weight")
            )
        )
    return pl.concat(parts).with_columns(pl.col("weight").clip(lower_bound=0))


def _by_shares(pots: pl.DataFrame, rules: pl.DataFrame) -> pl.DataFrame:
    """Return the weights that rules state themselves."""
    stated = rules.filter(pl.col("payer").is_not_null()).select(
        "rule_number",
        "cost_kind",
        *(_payer_as(name) for name in _PAYER),
        (pl.col("share") * 10**9).cast(pl.Int128).alias("weight"),
    )
    return pots.join(stated, on=["rule_number", "cost_kind"]).select("pot", *_PAYER, "weight")


def _payer_as(name: str) -> pl.Expr:
    return pl.when(pl.col("payer_dimension") == name).then(pl.col("payer")).alias(name)


def _reserved(ruled: pl.DataFrame, quotas: pl.DataFrame) -> pl.DataFrame:
    """Add the rule of weights.yml whose quotas say who reserved a pool; of several the last in the file."""
    pools = ruled.filter(pl.col("method") == "reserving_team").select("row", *SCOPE)
    heads = quotas.filter(pl.col("tenant").is_not_null()).select(
        pl.col("rule_number").alias("quota_number"), *(pl.col(name).alias(f"rule_{name}") for name in SCOPE)
    )
    found = (
        pools.join(heads.unique(), how="cross")
        .filter(pl.col(f"rule_{name}").is_null() | (pl.col(f"rule_{name}") == pl.col(name)) for name in SCOPE)
        .group_by("row")
        .agg(pl.col("quota_number").max())
    )
    return ruled.join(found, on="row", how="left", maintain_order="left")


def _by_quota(pots: pl.DataFrame, quotas: pl.DataFrame) -> pl.DataFrame:
    """Return what tenants reserved, for rules that name no shares."""
    weights = quotas.filter(pl.col("tenant").is_not_null()).select(
        pl.col("rule_number").alias("quota_number"),
        "tenant",
        (pl.col("quota") * 10**6).cast(pl.Int128).alias("weight"),
    )
    return pots.join(weights, on="quota_number").select(
        "pot", "tenant", team=_NO_TEXT, cost_centre=_NO_TEXT, weight="weight"
    )


def _centred(rows: pl.DataFrame, centres: pl.DataFrame) -> pl.DataFrame:
    """Add the cost centre that holds for a payer on the first day of the month, the most specific entry first."""
    day = pl.col("month_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    groups = rows.select("month_on", "tenant", "team").unique(maintain_order=True).with_row_index("group")
    entries = centres.select(
        "entry_number", "valid_from", "valid_to", pl.col("cost_centre").alias("named"),
        pl.col("tenant").alias("for_tenant"), pl.col("team").alias("for_team"),
    )  # fmt: skip
    found = (
        groups.join(entries, how="cross")
        .filter(
            pl.col("for_tenant").is_null() | (pl.col("for_tenant") == pl.col("tenant")),
            pl.col("for_team").is_null() | (pl.col("for_team") == pl.col("team")),
            pl.col("valid_from").is_null() | (pl.col("valid_from") <= day),
            pl.col("valid_to").is_null() | (day < pl.col("valid_to")),
        )
        .with_columns(
            rank=pl.col("for_tenant").is_not_null().cast(pl.Int64) + 2 * pl.col("for_team").is_not_null()
        )
        .sort("group", "rank", "entry_number")
        .unique("group", keep="last", maintain_order=True)
        .select("group", "named")
    )
    known = groups.join(found, on="group", how="left").drop("group")
    return rows.join(
        known, on=["month_on", "tenant", "team"], how="left", nulls_equal=True, maintain_order="left"
    ).with_columns(cost_centre=pl.coalesce("cost_centre", "named"))


def _hidden(rows: pl.DataFrame, rules: pl.DataFrame) -> pl.DataFrame:
    """Put groups with fewer requests than the file asks for together; payers that a rule names are no such groups."""
    fewest = rules.filter(pl.col("method") == "suppress").get_column("share").max()
    if fewest is None:
        return rows
    group = ("month_on", *_PAYER)
    count = pl.col("attempt_count").filter(pl.col("rule") == "direct").sum().over(group)
    is_small = (count > 0) & (count < fewest)
    return rows.with_columns(
        pl.when(is_small).then(None).otherwise("tenant").alias("tenant"),
        pl.when(is_small).then(pl.lit(SMALL_GROUPS)).otherwise("team").alias("team"),
        pl.when(is_small).then(None).otherwise("cost_centre").alias("cost_centre"),
    )


def signed(rows: pl.DataFrame, signoffs: pl.DataFrame, *, closed: Sequence[date]) -> pl.DataFrame:
    """Return the rows of `mart.chargeback_monthly` with what payers say of their statements.

    Args:
        rows: what `chargeback` returns, or stored rows; what they say of signatures does not count.
        signoffs: ref.signoffs; the last one of a payer counts while its statement has the amount that was signed.
        closed: the first days of the months that are closed: there what is accepted is charged.
    """
    answers = signoffs.sort("entry_number").unique(["month_on", "payer"], keep="last", maintain_order=True)
    joined = (
        rows.drop("status", "signed_by", "signed_on", strict=False)
        .with_columns(pl.col("usd").sum().over("month_on", "payer").alias("stated"))
        .join(answers.drop("note", "sheet_path", "sheet_line"), on=["month_on", "payer"], how="left")
    )
    # Half a unit of the last digit that was written.
    off = ((pl.col("stated") - pl.col("signed_usd")).abs() * 2).cast(pl.Float64)
    holds = (off <= pl.lit(10.0).pow(-pl.col("signed_digits"))).fill_null(value=False)
    is_charged = holds & (pl.col("answer") == "accepted") & pl.col("month_on").is_in(list(closed))
    marked = joined.with_columns(
        pl.when(is_charged).then(pl.lit("charged"))
        .when(holds).then("answer").otherwise(pl.lit("showback")).alias("status"),
        pl.when(holds).then("signed_by").alias("signed_by"),
        pl.when(holds).then("signed_on").alias("signed_on"),
    )  # fmt: skip
    schema = table("mart.chargeback_monthly")
    return schema.conform(marked.lazy()).sort(schema.key, nulls_last=True).collect()
