"""Kinds of mistake that follow from the policy and from prices, as findings. Not how findings become rows."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.chains import asked_again
from models.routing.cheapest import Cards, Ints
from models.routing.judged import JudgedAttempts, Rows
from models.routing.quality import score_of
from models.routing.rules import RULE_KINDS

FINDING = pl.Schema(
    {
        "row": pl.Int64,
        "kind": pl.String,
        "alternative": pl.Int64,
        "alternative_provider": pl.String,
        "alternative_region": pl.String,
        "alternative_model": pl.String,
        "alternative_chip": pl.String,
        "evidence": pl.String,
        "confidence": pl.Float64,
        "clause": pl.String,
        "policy_line": pl.Int64,
        "wasted": pl.Int64,
    }
)
"""A kind that holds for an attempt. `alternative` is the picodollars of another way of doing the token work; NULL where
the kind itself names none, then the cheapest card is the alternative. Clause and line are those of the cell where
NULL. `wasted` is what the attempt cost for nothing."""


def findings(rows: Rows, kind: str, **columns: Any) -> pl.DataFrame:
    """Build findings of a kind; an absent column is NULL, a single value stands for all rows."""
    given = {"row": pl.Series(rows, dtype=pl.Int64), "kind": pl.lit(kind)} | columns
    frame = pl.DataFrame({"row": given.pop("row")}).with_columns(
        (value if isinstance(value, pl.Expr) else pl.lit(value)).alias(name) for name, value in given.items()
    )
    missing = [
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in FINDING.items() if name not in frame.columns
    ]
    return frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in FINDING.items())


def broken_rules(judged: JudgedAttempts) -> list[pl.DataFrame]:
    """policy_violation, wrong_region, underpowered: what the policy forbids, whatever it cost."""
    found: list[pl.DataFrame] = []
    for kind in RULE_KINDS:
        breaches = [ruling.breaches.get(kind) for ruling in judged.rulings]
        rows = judged.rows_where(breach is not None for breach in breaches)
        if not len(rows):
            continue
        facts = pl.DataFrame(
            [
                {
                    "evidence": breach.evidence if breach else None,
                    "confidence": breach.confidence if breach else None,
                    "clause": breach.clause["clause"] if breach else None,
                    "policy_line": breach.clause["policy_line"] if breach else None,
                }
                for breach in breaches
            ],
            schema={name: FINDING[name] for name in ("evidence", "confidence", "clause", "policy_line")},
        )
        found.append(
            findings(rows, kind, **{name: facts[name][judged.cells[rows]] for name in facts.columns})
        )
    return found


def escalated(judged: JudgedAttempts, chain: pl.DataFrame | None, row_of: pl.Series) -> pl.DataFrame:
    """underpowered: an answer that a stronger model was asked for again, so that it was wasted.

    Args:
        judged: attempts.
        chain: attempts that share their logical request (`chained`).
        row_of: the judged row of each row of the chain's attempts; -1 where it is not judged.
    """
    if chain is None or not judged.menus.rules.quality:
        return findings(np.empty(0, dtype=np.intp), "underpowered")
    scores = [
        score.score
        if (score := score_of(judged.menus.rules.quality, cell["model_family"], cell["model"]))
        else None
        for cell in judged.cell_rows
    ]
    answers = (
        chain.with_columns(row_of.gather(chain.get_column("row")).alias("judged_row"))
        .filter(pl.col("judged_row") >= 0, pl.col("status") == "ok")
        .with_columns(
            pl.col("judged_row")
            .map_batches(lambda rows: pl.Series(scores, dtype=pl.Float64)[judged.cells[rows]])
            .alias("score")
        )
        .drop_nulls("score")
    )
    replaced = (
        asked_again(chain)
        .join(answers, on="row")
        .sort("group", "started_at", "row", descending=[False, True, True])
        .with_columns(
            pl.col("score").cum_max().shift(1).over("group").alias("later_score"),
            pl.col("model").shift(1).over("group").alias("later_model"),
        )
        .filter(pl.col("later_score") > pl.col("score"))
        .unique("judged_row", keep="first", maintain_order=True)
        .sort("judged_row")
    )
    replaced = replaced.filter(pl.Series(judged.is_within[replaced.get_column("judged_row").to_numpy()]))
    return findings(
        replaced.get_column("judged_row").to_numpy(),
        "underpowered",
        evidence=pl.Series(
            replaced.select(
                pl.format("{} answered, then {} was asked the same", "model", "later_model")
            ).to_series()
        ),
        confidence=0.7,
        wasted=replaced.get_column("cost"),
    )


def hedged(judged: JudgedAttempts, lost: pl.DataFrame, row_of: pl.Series) -> pl.DataFrame:
    """hedge_lost: attempts that raced another one and were thrown away; their whole cost was wasted.

    Args:
        judged: attempts, the lost ones among them.
        lost: what `lost_races` found.
        row_of: the judged row of each row of the attempts.
    """
    rows = row_of.gather(lost.get_column("row")).to_numpy().astype(np.intp)
    kept = lost.filter(pl.Series(judged.is_within[rows]))
    return findings(
        rows[judged.is_within[rows]],
        "hedge_lost",
        evidence=kept.select(
            pl.format("it raced {} at {}, which answered first", "winner_model", "winner_provider")
        ).to_series(),
        confidence=kept.get_column("confidence"),
        wasted=kept.get_column("cost"),
    )


def price_kinds(
    judged: JudgedAttempts, token_cost: Ints, same: tuple[Ints, Cards], other: tuple[Ints, Cards]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Overpowered and dearer_provider: which rows an eligible card would have served cheaper.

    Args:
        judged: attempts.
        token_cost: what the token work cost; NONE where it is not priced.
        same: least cost and card in the family taken, NONE where there is none.
        other: the same in other families.
    """
    is_priced = (token_cost >= 0) & judged.is_within
    has_floor = np.array(
        [ruling.clause["quality_floor"] is not None for ruling in judged.rulings], dtype=np.bool_
    )
    is_weak = np.array(["underpowered" in ruling.breaches for ruling in judged.rulings], dtype=np.bool_)
    is_other_less = (other[0] >= 0) & (other[0] < token_cost) & ((same[0] < 0) | (other[0] < same[0]))
    judges = (has_floor & ~is_weak)[judged.cells] if len(has_floor) else np.zeros(0, dtype=np.bool_)
    return {
        "overpowered": is_priced & judges & is_other_less,
        "dearer_provider": is_priced & (same[0] >= 0) & (same[0] < token_cost),
    }
