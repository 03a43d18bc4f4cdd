"""What to add so that an unpriced attempt gets a price: sentences for a person, with the lines to paste."""

from collections.abc import Collection
from datetime import datetime
from difflib import get_close_matches


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
            f"No sheet of {provider} has a model or alias {model!r}.{near} Else add to {sheet}: "
            f"- {{model: {model}, prices: [{{valid_from: {day}, "
            "usd_per_mtok: {input_uncached: RATE, output: RATE}}]}"
        )
    if reason == "no_price_at_time":
        return (
            f"{provider} has {model!r}, but no rate for tier {tier or 'default'!r} valid on {day} was known; add an "
            f"entry with valid_from: {day} (or tiers: {{{tier or 'default'}: ...}}) to {sheet}."
        )
    if reason == "class_not_priced":
        missing = ", ".join(sorted(set(used) - set(offered))) or "a class used"
        return f"{sheet} has no rate of {model!r} for {missing}; add it to usd_per_mtok (or per_call_usd), 0 if free."
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
