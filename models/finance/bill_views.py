"""Two views of one bill: which lines bill dollars that other lines in force bill already.

Issuers offer a month in several exports: Azure's actual and amortised cost, AWS's CUR and FOCUS, Google's standard and
detailed table, a cost API and the invoice written by hand, a month to date that is exported anew each day. Where two
lie in the folders, one counts and the other is a view of it. What tells that:

- **Lines**: at least half of the lines of one file of a kind stand in another, in every word and figure.
- **Exports** of a whole account, of two kinds: the same account or invoice, and month.
- **Dollars**: of one issuer or provider, two kinds (or Google's two tables) bill the same usage by the day, for at
  least half of it, or in sum to the cent.
"""

from dataclasses import dataclass

import polars as pl

from models.finance.invoices import PLACE, is_spread

EXPORTS = ("aws_cur", "azure_cost_export", "focus", "gcp_billing_export")
"""Kinds that hold all charges of an account."""
_BY_HAND = "invoice_lines"
_SAME = (
    "billed_on", "account", "invoice_issuer_name", "invoice_id", "sub_account_id", "charge_period_start",
    "charge_category", "charge_class", "charge_description", "region", "meter", "resource_id", "pricing_quantity",
    "billed_cost", "currency",
)  # fmt: skip
_HALF = 0.5
_CENT = 0.01
_SAME_DAY = 1e-4
"""How far, as a share, the dollars of a day may lie apart in two exports: they round differently."""


@dataclass(frozen=True)
class _SameDollars:
    """Two parts of bills that hold the same dollars."""

    one: int
    other: int


def other_views(lines: pl.DataFrame, *, apart: frozenset[str] = frozenset()) -> pl.DataFrame:
    """Return the lines that bill what other lines bill: their place, and `counted_by`, who counts instead.

    Of the views of one bill the actual export counts before the amortised one, then the one that reaches furthest into
    the month, then the issuer's own kind before `focus` and that before what is written by hand, then what tells
    resources, then the one that was read last. Of lines written by hand, categories that the other view has none of (a
    tax, say) count still.

    Args:
        lines: raw.invoice_lines in force, with provider ids.
        apart: sources that bill a part of an account of their own: never a view of another source.
    """
    placed = _with_parts(lines)
    parts = _ranked(placed)
    edges = _amortised(parts) | _by_lines(placed, parts) | _by_account(placed) | _by_dollars(placed, parts)
    counted_by = _chosen(parts, edges, apart)
    if not counted_by:
        return placed.select(PLACE).clear().with_columns(counted_by=pl.lit(None, dtype=pl.String))
    kept = placed.select(pl.col("part").alias("instead"), "charge_category").unique()
    views = pl.DataFrame(
        [(view, instead) for view, instead in counted_by.items()],
        schema={"part": pl.UInt32, "instead": pl.UInt32},
        orient="row",
    ).join(
        parts.select(pl.col("part").alias("instead"), pl.col("source").alias("its_source"), "source_kind"),
        on="instead",
    )
    told_by = pl.format("{} ({})", "its_source", pl.col("source_kind_right"))
    doubled = placed.join(views, on="part", suffix="_right").with_columns(counted_by=told_by)
    by_hand = pl.col("source_kind") == _BY_HAND
    lacking = doubled.join(kept, on=["instead", "charge_category"], how="anti").select(PLACE)
    return pl.concat(
        [doubled.filter(~by_hand), doubled.filter(by_hand).join(lacking, on=PLACE, how="anti")]
    ).select(*PLACE, "counted_by")


def _with_parts(lines: pl.DataFrame) -> pl.DataFrame:
    """Number the parts of bills that count or do not count as a whole: files; of days of an API all of a source."""
    account = pl.col("billing_account_id").str.to_lowercase().str.split("/").list.last()
    file = pl.when(pl.col("dedupe_key") == "line").then("file_hash")
    key = ["source", "source_kind", "billed_on", "account", file]
    return lines.with_columns(
        account=account, billed_on=pl.col("billing_period_start").dt.truncate("1mo")
    ).with_columns(part=pl.struct(key).rank("dense").cast(pl.UInt32))


def _ranked(placed: pl.DataFrame) -> pl.DataFrame:
    """Return a row a part, the one that counts before all others first."""
    kind = pl.col("source_kind")
    is_covered = pl.col("commitment_discount_status") == "Used"
    is_bought = (pl.col("charge_category") == "Purchase") & pl.col("commitment_discount_id").is_not_null()
    is_stated = is_bought | (is_covered & pl.col("effective_cost").is_null())
    return (
        placed.group_by("part")
        .agg(
            pl.col("source", "source_kind", "billed_on", "account").first(),
            pl.len().alias("line_count"),
            is_spread().any().alias("is_amortised"),
            ((kind == "azure_cost_export") & is_stated).any().alias("is_actual"),
            pl.col("charge_period_start").dt.date().max().alias("last_on"),
            pl.col("resource_id").is_not_null().any().alias("tells_resources"),
            kind.first().replace_strict({"focus": 1, _BY_HAND: 2}, default=0).alias("distance"),
            pl.col("ingested_at").max().alias("read_at"),
        )
        .with_columns(
            is_second=pl.col("is_amortised")
            & pl.col("is_actual").any().over("source_kind", "billed_on", "account")
        )
        .sort(
            "is_second", "last_on", "distance", "tells_resources", "read_at", "line_count", "source", "part",
            descending=[False, True, False, True, True, True, False, False], nulls_last=True,
        )
    )  # fmt: skip


def _pairs(found: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Add what both parts of a pair are, and leave out those of two accounts."""
    facts = parts.select("part", "source", "source_kind", "account", "line_count", "tells_resources")
    pairs = found.join(facts, on="part").join(
        facts.rename({name: f"{name}_2" for name in facts.columns}), on="part_2"
    )
    return pairs.filter((pl.col("account") == pl.col("account_2")).fill_null(value=True))


def _edges(pairs: pl.DataFrame) -> set[_SameDollars]:
    return {_SameDollars(*row) for row in pairs.select("part", "part_2").iter_rows()}


def _amortised(parts: pl.DataFrame) -> set[_SameDollars]:
    """Return amortised exports and the actual ones of the same account and month."""
    key = ["source_kind", "billed_on", "account"]
    amortised = parts.filter("is_amortised").select("part", *key)
    actual = parts.filter(pl.col("is_actual") & ~pl.col("is_amortised")).select("part", *key)
    return _edges(amortised.join(actual, on=key, nulls_equal=True, suffix="_2"))


def _by_lines(placed: pl.DataFrame, parts: pl.DataFrame) -> set[_SameDollars]:
    """Return parts of one kind of which half of the lines of the one stand in the other."""
    counted = placed.select("part", "source_kind", pl.struct(_SAME).hash().alias("words")).group_by(
        "part", "source_kind", "words"
    )
    held = counted.agg(pl.len().alias("count"))
    shared = (
        held.join(held, on=["source_kind", "words"], suffix="_2")
        .filter(pl.col("part") < pl.col("part_2"))
        .group_by("part", "part_2")
        .agg(pl.min_horizontal("count", "count_2").sum().alias("shared"))
    )
    smaller = pl.min_horizontal("line_count", "line_count_2")
    return _edges(_pairs(shared, parts).filter(pl.col("shared") >= _HALF * smaller))


def _by_account(placed: pl.DataFrame) -> set[_SameDollars]:
    """Return exports of two kinds that hold usage of one account, or of one invoice, in one month."""
    usage = placed.filter(pl.col("charge_category") == "Usage", pl.col("source_kind").is_in(EXPORTS))
    found = []
    for name in ("account", "invoice_id"):
        named = usage.select("part", "source_kind", "billed_on", name).drop_nulls(name).unique()
        met = named.join(named, on=["billed_on", name], suffix="_2")
        found.append(met.filter(pl.col("source_kind") < pl.col("source_kind_2")).select("part", "part_2"))
    return _edges(pl.concat(found).unique())


def _by_dollars(placed: pl.DataFrame, parts: pl.DataFrame) -> set[_SameDollars]:
    """Return parts of two kinds, or one with and one without resources, that bill the same usage."""
    usage = placed.filter(pl.col("charge_category") == "Usage", pl.col("billed_cost").is_not_null())
    who = pl.concat(
        usage.select("part", "billed_on", "currency", pl.col(name).str.to_lowercase().alias("who"))
        for name in ("provider", "invoice_issuer_name")
    ).drop_nulls()
    who = who.unique()
    met = who.join(who, on=["billed_on", "currency", "who"], suffix="_2").filter(
        pl.col("part") < pl.col("part_2")
    )
    pairs = _pairs(met.select("part", "part_2").unique(), parts).filter(
        (pl.col("source_kind") != pl.col("source_kind_2"))
        | (
            (pl.col("source_kind") == "gcp_billing_export")
            & (pl.col("tells_resources") != pl.col("tells_resources_2"))
        )
    )
    cost = pl.col("billed_cost").cast(pl.Float64)
    daily = usage.group_by("part", pl.col("charge_period_start").dt.date().alias("on")).agg(cost.sum())
    total = daily.group_by("part").agg(pl.col("billed_cost").sum().alias("total"))
    both = (
        pairs.select("part", "part_2")
        .join(daily, on="part")
        .join(daily.rename({"part": "part_2", "billed_cost": "billed_2"}), on=["part_2", "on"])
        .filter(
            pl.col("billed_cost").abs() > 0,
            (pl.col("billed_cost") - pl.col("billed_2")).abs() <= _SAME_DAY * pl.col("billed_cost").abs(),
        )
        .group_by("part", "part_2")
        .agg(pl.col("billed_cost").abs().sum().alias("matched"))
    )
    compared = (
        pairs.join(both, on=["part", "part_2"], how="left")
        .join(total, on="part")
        .join(total.rename({"part": "part_2", "total": "total_2"}), on="part_2")
    )
    smaller = pl.min_horizontal(pl.col("total").abs(), pl.col("total_2").abs())
    is_same_sum = (pl.col("total") - pl.col("total_2")).abs() <= _CENT
    return _edges(
        compared.filter(smaller > _CENT, (pl.col("matched").fill_null(0) >= _HALF * smaller) | is_same_sum)
    )


def _chosen(parts: pl.DataFrame, edges: set[_SameDollars], apart: frozenset[str]) -> dict[int, int]:
    """Return the parts that do not count, and the part that counts instead of each."""
    source = dict(parts.select("part", "source").iter_rows())
    beside: dict[int, set[int]] = {}
    for edge in edges:
        ours, theirs = source[edge.one], source[edge.other]
        if ours == theirs or not apart & {ours, theirs}:
            beside.setdefault(edge.one, set()).add(edge.other)
            beside.setdefault(edge.other, set()).add(edge.one)
    instead: dict[int, int] = {}
    counted: list[int] = []
    for part in parts["part"]:
        held = next((kept for kept in counted if kept in beside.get(part, ())), None)
        if held is None:
            counted.append(part)
        else:
            instead[part] = held
    return instead
