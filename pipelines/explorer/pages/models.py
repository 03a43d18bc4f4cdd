"""Models and chips: what a token costs, on both bases, by anything that tells tokens apart."""

from pipelines.explorer.charts import bars_over_time
from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.explorer.state import DIMENSIONS
from pipelines.reports.view import ViewColumn

_TABLE = "mart.cost_per_token_daily"
_SUMS = """\
  1e6 * sum(available_usd)::DOUBLE / nullif(sum(total_tokens - unpriced_tokens), 0)::DOUBLE AS available_usd_per_mtok,
  1e6 * sum(usage_usd)::DOUBLE / nullif(sum(total_tokens - unpriced_tokens), 0)::DOUBLE AS usage_usd_per_mtok,
  1e6 * sum(input_usd)::DOUBLE / nullif(sum(priced_input_tokens), 0)::DOUBLE AS input_usd_per_mtok,
  1e6 * sum(output_usd)::DOUBLE / nullif(sum(priced_output_tokens), 0)::DOUBLE AS output_usd_per_mtok,
  sum(available_usd)::DECIMAL(38,12) AS available_usd, sum(usage_usd)::DECIMAL(38,12) AS usage_usd,
  sum(attempt_count)::BIGINT AS attempts, sum(error_count)::BIGINT AS errors,
  sum(total_tokens)::BIGINT AS tokens, sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
  sum(unpriced_tokens)::BIGINT AS unpriced_tokens"""
_COLUMNS = (
    ViewColumn("available_usd_per_mtok", "Available per M", "rate"),
    ViewColumn("usage_usd_per_mtok", "Usage per M", "rate"),
    ViewColumn("input_usd_per_mtok", "Input per M", "rate"),
    ViewColumn("output_usd_per_mtok", "Output per M", "rate"),
    ViewColumn("available_usd", "Available", "usd", is_summed=True),
    ViewColumn("usage_usd", "Usage", "usd", is_summed=True),
    ViewColumn("attempts", "Attempts", "count", is_summed=True),
    ViewColumn("errors", "Failed", "count", is_summed=True),
    ViewColumn("tokens", "Tokens", "count", is_summed=True),
    ViewColumn("cache_read_tokens", "From a cache", "count", is_summed=True),
    ViewColumn("unpriced_tokens", "Without a price", "count", is_summed=True),
)
_LEAD = (
    "Dollars of priced attempts over their tokens, cache reads included. Usage is what was bought by the token, and "
    "GPU time that served; available adds what it took to have the GPUs ready. Compare an API with available."
)


def build(asked: PageContext) -> Content:
    """Show cost per token by the chosen dimension, and the tokens over time."""
    return Content(_LEAD, (_total(asked), _parts(asked), _over_time(asked), _chips(asked)))


def _total(asked: PageContext) -> Figure:
    return ask(
        asked.opened,
        "total",
        "All together",
        f"SELECT\n{_SUMS}\nFROM {_TABLE}\nWHERE {asked.state.where(_TABLE)}",
        [_COLUMNS[place] for place in (0, 1, 4, 5, 8, 10)],
        notes=asked.state.unheard(_TABLE),
        form="tiles",
    )


def _parts(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened,
        "parts",
        f"By {DIMENSIONS[state.by].lower()}",
        f"SELECT coalesce({state.by}, '(none)') AS name,\n{_SUMS}\nFROM {_TABLE}\nWHERE {state.where(_TABLE)}\n"
        "GROUP BY 1\nORDER BY available_usd DESC NULLS LAST, tokens DESC, name",
        [ViewColumn("name", DIMENSIONS[state.by]), *_COLUMNS],
        links={"name": lambda row: state.url(by=state.next_of(PAGE.offered), **{state.by: row["name"]})},
        notes=[
            *state.unheard(_TABLE),
            "Tokens that a provider reads from a cache are in the tokens, so a rate falls as more of them are cached.",
        ],
    )


def _over_time(asked: PageContext) -> Figure:
    state = asked.state
    on = "accrued_on" if state.grain == "day" else f"date_trunc('{state.grain}', accrued_on)::DATE"
    return ask(
        asked.opened,
        "over_time",
        f"Tokens over time, by {DIMENSIONS[state.by].lower()}",
        f"SELECT {on} AS from_on, coalesce({state.by}, '(none)') AS name,\n{_SUMS}\nFROM {_TABLE}\n"
        f"WHERE {state.where(_TABLE)}\nGROUP BY 1, 2\nORDER BY 1, tokens DESC, name",
        [ViewColumn("from_on", "From"), ViewColumn("name", DIMENSIONS[state.by]), *_COLUMNS],
        notes=state.unheard(_TABLE),
        chart=lambda rows: bars_over_time(
            rows,
            value="tokens",
            grain=state.grain,
            label="Tokens over time",
            link=lambda name, on: state.url(
                first=on,
                last=on if state.grain == "day" else state.last,
                **({state.by: name} if name else {}),
            ),
        ),
        form="data",
    )


def _chips(asked: PageContext) -> Figure:
    state, table = asked.state, "mart.cost_by_chip"
    return ask(
        asked.opened,
        "chips",
        "The same model across chips",
        "SELECT coalesce(model_family, '(none)') AS model_family, chip, coalesce(provider, '(none)') AS provider, "
        "cost_basis,\n"
        "  1e6 * sum(available_usd)::DOUBLE / nullif(sum(input_tokens + output_tokens), 0)::DOUBLE "
        "AS available_usd_per_mtok,\n"
        "  1e6 * sum(usage_usd)::DOUBLE / nullif(sum(input_tokens + output_tokens), 0)::DOUBLE AS usage_usd_per_mtok,\n"
        "  sum(available_usd)::DECIMAL(38,12) AS available_usd,\n"
        "  sum(input_tokens + output_tokens)::BIGINT AS priced_tokens,\n"
        "  sum(billed_gpu_seconds)::DOUBLE / 3600 AS gpu_hours\n"
        f"FROM {table}\nWHERE {state.where(table)}\nGROUP BY 1, 2, 3, 4\n"
        "ORDER BY model_family, available_usd_per_mtok NULLS LAST, chip, provider",
        [
            ViewColumn("model_family", "Model family"),
            ViewColumn("chip", "Chip"),
            ViewColumn("provider", "Provider"),
            ViewColumn("cost_basis", "Priced by"),
            ViewColumn("available_usd_per_mtok", "Available per M", "rate"),
            ViewColumn("usage_usd_per_mtok", "Usage per M", "rate"),
            ViewColumn("available_usd", "Available", "usd", is_summed=True),
            ViewColumn("priced_tokens", "Priced tokens", "count", is_summed=True),
        ],
        coverage="Priced tokens only, of owned pools and of providers whose chip is known.",
        notes=state.unheard(table),
    )


PAGE = Page(
    "/models", "Models and chips", 30, build, table=_TABLE,
    offered=("model", "chip", "provider", "route", "region", "tenant"),
    has_grain=True,
)  # fmt: skip
