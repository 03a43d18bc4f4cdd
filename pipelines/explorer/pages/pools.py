"""Pools: what GPUs were billed for, how much of it waited, and from how many tokens on owning wins."""

from pipelines.explorer.charts import bars_over_time
from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.reports import plots
from pipelines.reports.view import ViewColumn

_TABLE = "mart.gpu_bill_daily"
_PARTS = (
    "serving",
    "idle_headroom",
    "idle_waste",
    "starting",
    "draining",
    "failed",
    "padding",
    "unheld",
    "unused_commitment",
)
_HEADINGS = {
    "serving": "Serving", "idle_headroom": "Idle: headroom", "idle_waste": "Idle: waste", "starting": "Starting",
    "draining": "Draining", "failed": "Failed", "padding": "Minimums", "unheld": "Not held",
    "unused_commitment": "Commitment not used",
}  # fmt: skip
_LEAD = (
    "The bill of each pool from the lifetimes of its machines under the vendor's rule; its parts sum to it. Idle time is "
    "headroom as far as the load needs it at the target, and waste beyond that."
)


def build(asked: PageContext) -> Content:
    """Show the bill by pool and over time, and break-even on the last day."""
    return Content(_LEAD, (_total(asked), _pools(asked), _over_time(asked), _break_even(asked)))


_SUMS = """\
  sum(billed_usd)::DECIMAL(38,12) AS billed_usd,
{parts},
  sum(billed_gpu_seconds)::DOUBLE / 3600 AS gpu_hours,
  sum(billed_usd)::DOUBLE / nullif(sum(billed_gpu_seconds)::DOUBLE / 3600, 0) AS usd_per_gpu_hour,
  (sum(serving_gpu_seconds) / nullif(sum(serving_gpu_seconds + idle_gpu_seconds), 0))::DOUBLE AS busy_ratio,
  sum(unpriced_hour_count)::BIGINT AS unpriced_hours""".format(
    parts=",\n".join(f"  sum({part}_usd)::DECIMAL(38,12) AS {part}_usd" for part in _PARTS)
)


def _priced(asked: PageContext) -> str:
    hours = asked.opened.answer(
        f"SELECT sum(unpriced_hour_count)::BIGINT FROM {_TABLE} WHERE {asked.state.where(_TABLE)}"
    ).item()
    if hours is None:
        return "No pool was billed."
    return (
        f"{hours:,} pool-hours have no price and are in no dollar."
        if hours
        else "Every pool-hour has a price."
    )


def _total(asked: PageContext) -> Figure:
    return ask(
        asked.opened, "total", "All pools", f"SELECT\n{_SUMS}\nFROM {_TABLE}\nWHERE {asked.state.where(_TABLE)}",
        [
            ViewColumn("billed_usd", "Billed", "usd"),
            ViewColumn("serving_usd", "Serving", "usd"),
            ViewColumn("idle_headroom_usd", "Idle: headroom", "usd"),
            ViewColumn("idle_waste_usd", "Idle: waste", "usd"),
            ViewColumn("busy_ratio", "Busy when ready", "ratio"),
            ViewColumn("usd_per_gpu_hour", "Per GPU-hour", "rate"),
        ],
        coverage=_priced(asked), notes=asked.state.unheard(_TABLE), form="tiles",
    )  # fmt: skip


def _pools(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "pools", "By pool",
        f"SELECT deployment, chip, provider, region, commitment,\n{_SUMS}\nFROM {_TABLE}\nWHERE {state.where(_TABLE)}\n"
        "GROUP BY ALL\nORDER BY billed_usd DESC NULLS LAST, deployment, chip, provider, region, commitment",
        [
            ViewColumn("deployment", "Deployment"), ViewColumn("chip", "Chip"), ViewColumn("provider", "Provider"),
            ViewColumn("region", "Region"), ViewColumn("commitment", "Commitment"),
            ViewColumn("billed_usd", "Billed", "usd", is_summed=True),
            *(ViewColumn(f"{part}_usd", _HEADINGS[part], "usd", is_summed=True) for part in _PARTS),
            ViewColumn("busy_ratio", "Busy when ready", "ratio"),
            ViewColumn("usd_per_gpu_hour", "Per GPU-hour", "rate"),
        ],
        coverage=_priced(asked),
        links={"deployment": lambda row: state.url(deployment=row["deployment"])},
    )  # fmt: skip


def _over_time(asked: PageContext) -> Figure:
    state = asked.state
    on = "accrued_on" if state.grain == "day" else f"date_trunc('{state.grain}', accrued_on)::DATE"
    parts = ", ".join(f'{part}_usd AS "{_HEADINGS[part]}"' for part in _PARTS)
    names = ", ".join(f'"{_HEADINGS[part]}"' for part in _PARTS)
    return ask(
        asked.opened, "over_time", "Over time, by what the GPUs did",
        f"SELECT {on} AS from_on, name, sum(usd)::DECIMAL(38,12) AS usd\nFROM (\n"
        f"  UNPIVOT (SELECT accrued_on, {parts}\n    FROM {_TABLE} WHERE {state.where(_TABLE)})\n"
        f"  ON {names} INTO NAME name VALUE usd\n)\nGROUP BY 1, 2\nORDER BY 1, usd DESC, name",
        [ViewColumn("from_on", "From"), ViewColumn("name", "For"), ViewColumn("usd", "USD", "usd", is_summed=True)],
        coverage=_priced(asked),
        chart=lambda rows: bars_over_time(
            rows, grain=state.grain, label="The bill of GPUs over time",
            link=lambda _, on: state.url(first=on, last=on if state.grain == "day" else state.last),
        ),
        form="data",
    )  # fmt: skip


def _break_even(asked: PageContext) -> Figure:
    state, table = asked.state, "mart.break_even"
    where = " AND ".join(
        [f"accrued_on = DATE '{state.last}'", "api_usd IS NOT NULL", *state.conditions(table)]
    )
    return ask(
        asked.opened, "break_even", f"Owning or buying, on {state.last}",
        "SELECT deployment, chip, provider, region, api_provider, api_model, tokens, billed_usd, overhead_usd, api_usd,\n"
        "  owning_usd_per_mtok, api_usd_per_mtok, break_even_tokens, used_ratio, break_even_ratio, cheaper\n"
        f"FROM {table}\nWHERE {where}\n"
        "QUALIFY row_number() OVER (\n"
        "  PARTITION BY provider, region, chip, deployment, api_provider ORDER BY api_usd, api_model, api_region, price_id\n"
        ") = 1\n"
        "ORDER BY billed_usd DESC NULLS LAST, deployment, chip, api_usd, api_provider",
        [
            ViewColumn("deployment", "Deployment"), ViewColumn("chip", "Chip"), ViewColumn("provider", "Provider"),
            ViewColumn("api_provider", "API"), ViewColumn("api_model", "Its model"),
            ViewColumn("tokens", "Tokens", "count"), ViewColumn("billed_usd", "Billed", "usd"), ViewColumn("api_usd", "At the API", "usd"),
            ViewColumn("owning_usd_per_mtok", "Owning per M", "rate"), ViewColumn("api_usd_per_mtok", "API per M", "rate"),
            ViewColumn("break_even_tokens", "Break-even tokens a day", "count"),
            ViewColumn("used_ratio", "Full to", "ratio"), ViewColumn("break_even_ratio", "Full to by then", "ratio"),
            ViewColumn("cheaper", "Cheaper"),
        ],
        coverage="APIs that serve the same model and have a price for all of the day's token classes.",
        notes=state.unheard(table), none="No owned pool has an API of the same model on this day.",
        chart=lambda rows: plots.break_even(rows.to_dicts()),
    )  # fmt: skip


PAGE = Page("/pools", "Pools", 50, build, table=_TABLE, has_grain=True)
