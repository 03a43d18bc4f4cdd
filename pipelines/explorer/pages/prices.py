"""Prices: what each model and chip costs, since when, and how long ago that was last read."""

from pipelines.explorer.charts import rates_over_time
from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.reports.view import ViewColumn

_TABLE, _GPU = "ref.token_prices", "ref.gpu_prices"
_METERS = ("input_uncached", "cache_read", "cache_write_5m", "output_text")
_HEADINGS = {
    "input_uncached": "Input per M", "cache_read": "Cache read per M", "cache_write_5m": "Cache write per M",
    "output_text": "Output per M",
}  # fmt: skip


def build(asked: PageContext) -> Content:
    """Show prices in force on the last day, the history of a model, and GPU rates."""
    return Content(
        "Prices of the models that were used in the period, as in force on its last day; a name leads to its history. "
        "Rates of contracts stand beside those of lists.",
        (_in_force(asked), *([_history(asked)] if _chosen(asked) else []), _gpus(asked)),
    )


def _used(asked: PageContext) -> str:
    return (
        "(provider, model) IN (SELECT (provider, model) FROM mart.spend_daily\n"
        f"    WHERE accrued_on BETWEEN DATE '{asked.state.first}' AND DATE '{asked.state.last}')"
    )


def _rates() -> str:
    return ",\n".join(
        f"  (max(rate_per_mtok) FILTER (meter = '{meter}'))::DOUBLE AS {meter}_per_mtok" for meter in _METERS
    )


def _in_force(asked: PageContext) -> Figure:
    state = asked.state
    day = f"TIMESTAMPTZ '{state.last} 00:00:00+00'"
    where = "\n  AND ".join(
        [
            f"valid_from <= {day} AND (valid_to IS NULL OR valid_to > {day})", "known_to IS NULL",
            "above_input_tokens IS NULL AND schedule IS NULL", _used(asked), *state.conditions(_TABLE),
        ]
    )  # fmt: skip
    return ask(
        asked.opened, "in_force", f"In force on {state.last}",
        "SELECT provider, model, coalesce(region, 'any') AS region, service_tier, layer, coalesce(currency, 'USD') AS currency,\n"
        f"{_rates()},\n  min(valid_from)::DATE AS since_on, max(read_on) AS read_on,\n"
        f"  DATE '{state.last}' - max(read_on) AS age_days, any_value(source_url) AS source_url\n"
        f"FROM {_TABLE}\nWHERE {where}\nGROUP BY 1, 2, 3, 4, 5, 6\nORDER BY 1, 2, 3, 4, 5",
        [
            ViewColumn("provider", "Provider"), ViewColumn("model", "Model"), ViewColumn("region", "Region"),
            ViewColumn("service_tier", "Tier"), ViewColumn("layer", "Price of"), ViewColumn("currency", "Currency"),
            *(ViewColumn(f"{meter}_per_mtok", _HEADINGS[meter], "rate") for meter in _METERS),
            ViewColumn("since_on", "Since"), ViewColumn("read_on", "Last read"), ViewColumn("age_days", "Days before", "count"),
            ViewColumn("source_url", "Where it was published"),
        ],
        coverage="Models that were used and that a sheet prices; Coverage lists those without a price.",
        notes=state.unheard(_TABLE),
        links={"model": lambda row: state.url(provider=row["provider"], model=row["model"])},
        none="No sheet prices a model that was used in this period.",
    )  # fmt: skip


def _chosen(asked: PageContext) -> bool:
    return bool({name for name, _ in asked.state.filters} & {"model", "model_family", "provider"})


def _history(asked: PageContext) -> Figure:
    state = asked.state
    where = "\n  AND ".join(state.conditions(_TABLE))
    return ask(
        asked.opened, "history", "History",
        "SELECT provider, model, coalesce(region, 'any') AS region, service_tier, layer, coalesce(currency, 'USD') AS currency,\n"
        "  valid_from, valid_to, known_from, known_to, above_input_tokens,\n"
        f"{_rates()},\n  any_value(sheet_path) AS sheet_path, any_value(sheet_version) AS sheet_version\n"
        f"FROM {_TABLE}\nWHERE {where}\nGROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
        "ORDER BY provider, model, region, service_tier, layer, valid_from DESC, known_from DESC, above_input_tokens NULLS FIRST",
        [
            ViewColumn("provider", "Provider"), ViewColumn("model", "Model"), ViewColumn("region", "Region"),
            ViewColumn("service_tier", "Tier"), ViewColumn("layer", "Price of"), ViewColumn("currency", "Currency"),
            *(ViewColumn(f"{meter}_per_mtok", _HEADINGS[meter], "rate") for meter in _METERS),
            ViewColumn("above_input_tokens", "Above input tokens", "count"),
            ViewColumn("valid_from", "Valid from"), ViewColumn("valid_to", "To"), ViewColumn("known_from", "Known from"),
            ViewColumn("known_to", "Corrected"), ViewColumn("sheet_path", "Sheet"),
        ],
        coverage="Every price that was ever in the sheets, corrected ones too.",
        notes=["The chart is of one model with more than one price: as known now, of its usual tier and region."],
        links={"model": lambda row: state.url(provider=row["provider"], model=row["model"])},
        chart=lambda rows: rates_over_time(
            rows, rates={f"{meter}_per_mtok": _HEADINGS[meter] for meter in _METERS}, until=state.last,
            label="Rates over time",
        ),
    )  # fmt: skip


def _gpus(asked: PageContext) -> Figure:
    state = asked.state
    where = " AND ".join(
        [
            (
                "EXISTS (FROM mart.gpu_bill_daily b WHERE b.provider = p.provider AND b.chip = p.chip\n"
                "    AND b.region = coalesce(p.region, b.region)\n"
                f"    AND b.accrued_on BETWEEN DATE '{state.first}' AND DATE '{state.last}')"
            ),
            *state.conditions(_GPU),
        ]
    )
    return ask(
        asked.opened, "gpus", "GPU-hours of the pools that were billed",
        "SELECT provider, chip, coalesce(region, 'any') AS region, commitment, usd_per_gpu_hour::DOUBLE AS usd_per_gpu_hour,\n"
        "  valid_from, valid_to, known_from, known_to, granularity_seconds, minimum_seconds, sheet_path, source_url\n"
        f"FROM {_GPU} p\nWHERE {where}\nORDER BY provider, chip, region, commitment, valid_from DESC, known_from DESC",
        [
            ViewColumn("provider", "Vendor"), ViewColumn("chip", "Chip"), ViewColumn("region", "Region"),
            ViewColumn("commitment", "Commitment"), ViewColumn("usd_per_gpu_hour", "Per GPU-hour", "rate"),
            ViewColumn("valid_from", "Valid from"), ViewColumn("valid_to", "To"), ViewColumn("known_from", "Known from"),
            ViewColumn("known_to", "Corrected"), ViewColumn("granularity_seconds", "Billed by", "seconds"),
            ViewColumn("minimum_seconds", "At least", "seconds"), ViewColumn("sheet_path", "Sheet"),
            ViewColumn("source_url", "Where it was published"),
        ],
        coverage="Of vendors, chips and regions that were billed in the period.",
        notes=state.unheard(_GPU),
        none=f"No pool was billed in this period{'' if not state.filters else ' with these filters'}.",
    )  # fmt: skip


PAGE = Page("/prices", "Prices", 80, build, table=_TABLE, has_verdict=False)
