"""What to add so that an unpriced attempt gets a price: sentences for a person, with the lines to paste."""

import json
import re
from collections.abc import Collection
from datetime import datetime
from difflib import get_close_matches

from models.schemas.vocabulary import TOKEN_CLASSES

_UNITS = {"databricks": "usd_per_dbu", "snowflake": "usd_per_credit"}
"""Vendors that bill in units of their own, and where contracts.yml says what one costs."""


def remedy(
    reason: str,
    *,
    provider: str | None,
    model: str | None,
    tier: str | None,
    chip: str | None,
    used: Collection[str],
    offered: Collection[str],
    names: Collection[str],
    started_at: datetime,
) -> str:
    """Say why an attempt is unpriced and what to add.

    Args:
        reason: `unpriced_reason` of core.request_costs.
        provider: provider id, NULL when the log names none.
        model: name that was looked up.
        tier: served tier.
        chip: accelerator of a pool.
        used: token classes and meters that the attempt used.
        offered: those that the book prices for the model, at any time.
        names: names that the book knows at the provider.
        started_at: when the attempt started.
    """
    sheet = f"prices/tokens/{provider or 'PROVIDER'}.yml"
    day = f"{started_at:%Y-%m-%d}"
    if reason == "unknown_model" and (base := re.match("(?:[a-z_]+/)?(ft:[^:]+)", model or "")):
        return (
            f"No sheet of {provider} has rates for fine-tunes of this base; add to {sheet}: "
            f"- {{model: {written(base[1])}, prices: [{{valid_from: {day}, "
            "usd_per_mtok: {input_uncached: RATE, output: RATE}}]}"
        )
    if reason == "unknown_model":
        if provider is None:
            return (
                "The log names no provider; name one with columns = {provider = ...} or in deployments.yml."
            )
        close = get_close_matches(model or "", names, n=3, cutoff=0.6)
        near = (
            f" The book knows {', '.join(close)}: if it is one of them, add an alias there." if close else ""
        )
        return (
            f"No sheet of {provider} has a model or alias {model!r}.{near} Say in deployments.yml what a name of "
            f"your own means. Else add to {sheet}: "
            f"- {{model: {written(model)}, prices: [{{valid_from: {day}, "
            "usd_per_mtok: {input_uncached: RATE, output: RATE}}]}"
        )
    if reason == "no_price_at_time":
        return (
            f"{provider} has {model!r}, but no rate for tier {tier or 'default'!r} valid on {day} was known; add an "
            f"entry with valid_from: {day} (or tiers: {{{tier or 'default'}: ...}}) to {sheet}."
        )
    if reason == "class_not_priced":
        missing = ", ".join(sorted(set(used) - set(offered))) or "a class used"
        return (
            f"{sheet} has no rate of {model!r} for {missing}; add an entry with every rate that it has, 0 if free: "
            f"- {{model: {written(model)}, prices: [{{valid_from: {day}, {_rates(used)}}}]}}"
        )
    if reason == "no_fx_rate" and (unit := _UNITS.get(provider or "")) is not None:
        return f"{provider} bills in units of its own; say what one costs by {unit} in contracts.yml."
    if reason == "no_fx_rate":
        return f"The sheet of {provider} is in another currency; add its rate of {day} or before to fx.csv."
    if reason == "missing_usage":
        return (
            "The log reports no tokens, so there is nothing to price; make the gateway log usage "
            "(for OpenAI streams: stream_options.include_usage) and deliver the file again."
        )
    if reason == "unknown_chip":
        return f"No GPU sheet of {provider} has {chip!r}; add prices/gpu/{provider or 'VENDOR'}.yml with its rate."
    if reason == "no_replica_ready":
        return "No replica of the deployment was ready then; deliver the missing lifecycle events."
    return "No remedy is known for this reason; ask for it with the row's explanation."


def written(name: str | None) -> str:
    """Write a model's name so that YAML takes it for text."""
    return name if name and re.fullmatch("[A-Za-z][A-Za-z0-9_./-]*", name) else json.dumps(name or "MODEL")


def _rates(used: Collection[str]) -> str:
    """Write the keys of an entry that prices what was used, with RATE for the figures."""
    tokens = [name for name in TOKEN_CLASSES if name in used]
    calls = sorted(set(used) - set(TOKEN_CLASSES))
    parts = [f"{name}: RATE" for name in tokens]
    return ", ".join(
        f"{key}: {{{', '.join(lines)}}}"
        for key, lines in (("usd_per_mtok", parts), ("per_call_usd", [f"{name}: RATE" for name in calls]))
        if lines
    )
