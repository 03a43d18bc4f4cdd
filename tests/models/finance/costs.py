"""Costs of a month as chargeback takes them, with what a test does not care about filled in."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from models.finance.chargeback import chargeback, signed
from models.finance.chargeback_rules import load_chargeback, load_signoffs
from models.money import USD
from models.schemas import table

COLUMNS: dict[str, Any] = {
    "accrued_on": pl.Date, "month_on": pl.Date, "cost_kind": pl.String, "provider": pl.String, "region": pl.String,
    "chip": pl.String, "deployment": pl.String, "commitment": pl.String, "tenant": pl.String, "team": pl.String,
    "usd": USD, "attempt_count": pl.Int64, "total_tokens": pl.Int64, "unpriced_tokens": pl.Int64,
}  # fmt: skip
POOL = {
    "provider": "lambda",
    "region": "us",
    "chip": "H100",
    "deployment": "llama",
    "commitment": "on_demand",
}


def cost(kind: str, usd: str | Decimal | None, on: str = "2026-10-10", **facts: Any) -> dict[str, Any]:
    day = date.fromisoformat(on)
    return {
        "accrued_on": day, "month_on": day.replace(day=1), "cost_kind": kind,
        "usd": None if usd is None else Decimal(usd),
    } | facts  # fmt: skip


def split(
    costs: list[dict[str, Any]],
    rules: str = "",
    *,
    signoffs: str = "",
    quotas: list[dict[str, Any]] | None = None,
    closed: tuple[date, ...] = (),
) -> pl.DataFrame:
    """Split costs by the text of a chargeback.yml, and read what a signoffs.yml says of it."""
    found = load_chargeback(f"version: 1\n{rules}" if rules else "", path="chargeback.yml")
    rows = chargeback(
        pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in costs], schema=COLUMNS),
        rules=found["ref.chargeback_rules"],
        centres=found["ref.cost_centres"],
        quotas=table("ref.allocation_rules").frame(quotas or []),
    )
    answers = load_signoffs(f"version: 1\nsignoffs: {signoffs}" if signoffs else "", path="signoffs.yml")
    return signed(rows, answers, closed=closed)
