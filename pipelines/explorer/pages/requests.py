"""Requests: the dearest of a few days, where a figure has been followed down to them."""

from dataclasses import replace

from pipelines.explorer.figure import ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.explorer.sessions import dearest_sessions
from pipelines.reports.view import ViewColumn

_TABLE = "core.request_costs"
_MOST = 200


def build(asked: PageContext) -> Content:
    """List the dearest attempts, each of which leads to its explanation."""
    state = asked.state
    by_component = {"tokens": "cost_basis = 'token'", "gpu_serving": "cost_basis = 'gpu'"}
    component = dict(state.filters).get("component")
    where = state.where(_TABLE)
    others = tuple(pair for pair in state.filters if pair[0] != "component")
    notes = replace(state, filters=others).unheard(_TABLE)
    if component in by_component:
        where += f" AND {by_component[component]}"
    elif component is not None:
        where += " AND false"
        notes.append(f"No request is behind {component}: it is billed for what stands ready, or without one.")
    figure = ask(
        asked.opened,
        "dearest",
        f"The {_MOST} dearest attempts",
        "SELECT request_id, source, started_at, provider, model, route, tenant, status, price_state,\n"
        "  sum(effective_usd)::DECIMAL(38,12) AS usd,\n"
        "  sum(input_uncached_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens "
        "+ audio_input_tokens\n"
        "    + image_input_tokens + video_input_tokens + cache_read_audio_tokens + cache_read_image_tokens "
        "+ other_input_tokens)::BIGINT AS input_tokens,\n"
        "  sum(output_text_tokens + reasoning_tokens + audio_output_tokens + image_output_tokens + other_output_tokens)"
        "::BIGINT AS output_tokens\n"
        f"FROM {_TABLE}\nWHERE {where}\nGROUP BY ALL\nORDER BY usd DESC NULLS LAST, started_at, request_id, source\n"
        f"LIMIT {_MOST}",
        [
            ViewColumn("request_id", "Attempt"),
            ViewColumn("started_at", "Started, UTC"),
            ViewColumn("provider", "Provider"),
            ViewColumn("model", "Model"),
            ViewColumn("route", "Route"),
            ViewColumn("tenant", "Tenant"),
            ViewColumn("status", "Status"),
            ViewColumn("usd", "USD", "usd", is_summed=True),
            ViewColumn("input_tokens", "Input tokens", "count", is_summed=True),
            ViewColumn("output_tokens", "Output tokens", "count", is_summed=True),
            ViewColumn("price_state", "Price"),
        ],
        coverage="Of the pool, GPU requests carry their share of serving time; idle and starts are no request's.",
        links={"request_id": lambda row: state.url("/request", id=row["request_id"])},
        notes=notes,
    )
    sessions = (dearest_sessions(asked),) if asked.audience.is_person else ()
    return Content("What the attempts of this period cost, dearest first.", (figure, *sessions))


PAGE = Page("/requests", "Requests", 90, build, table=_TABLE, usual_days=1)
