"""Scoreboard: each model beside a proprietary reference on the same traffic: availability, latency and cost."""

from dataclasses import replace

from pipelines.explorer.figure import ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.reports.view import ViewColumn

_TABLE = "mart.scoreboard"


def build(asked: PageContext) -> Content:
    """Compare models route by route over the period."""
    state = asked.state
    figure = ask(
        asked.opened, "scoreboard", "By route and model",
        "SELECT coalesce(route, '(none)') AS route, coalesce(task_class, '(none)') AS task_class,\n"
        "  coalesce(provider, '(none)') AS provider, coalesce(model, '(none)') AS model,\n"
        "  CASE is_open_weights WHEN true THEN 'open' WHEN false THEN 'proprietary' ELSE 'not known' END AS weights,\n"
        "  reference_model, sum(attempt_count)::BIGINT AS attempts, sum(total_tokens)::BIGINT AS tokens,\n"
        "  sum(total_tokens - priced_tokens)::BIGINT AS unpriced_tokens,\n"
        "  sum(ok_count) / nullif(sum(ok_count + error_count), 0)::DOUBLE AS answered_ratio,\n"
        "  sum(available_minute_count) / nullif(sum(active_minute_count), 0)::DOUBLE AS minutes_ratio,\n"
        "  max(p95_seconds) AS p95_seconds, max(reference_p95_seconds) AS reference_p95_seconds,\n"
        "  sum(available_usd)::DECIMAL(38,12) AS available_usd, bool_or(is_converted) AS is_converted,\n"
        "  250 * max(tokens_ratio) * sum(available_usd)::DOUBLE / nullif(sum(priced_tokens), 0) AS usd_per_1k_characters,\n"
        "  (sum(available_usd) FILTER (reference_usd IS NOT NULL))::DOUBLE\n"
        "    / nullif(sum(reference_usd) FILTER (available_usd IS NOT NULL), 0) AS cost_ratio\n"
        f"FROM {_TABLE}\nWHERE {state.where(_TABLE)}\nGROUP BY 1, 2, 3, 4, 5, 6\n"
        "ORDER BY 1, 2, available_usd DESC NULLS LAST, provider, model, reference_model",
        [
            ViewColumn("route", "Route"), ViewColumn("task_class", "Class of work"), ViewColumn("provider", "Provider"),
            ViewColumn("model", "Model"), ViewColumn("attempts", "Attempts", "count", is_summed=True),
            ViewColumn("answered_ratio", "Answered", "ratio"), ViewColumn("p95_seconds", "Slowest day's 95 %", "seconds"),
            ViewColumn("available_usd", "USD", "usd", is_summed=True), ViewColumn("cost_ratio", "Cost against the reference", "ratio"),
            ViewColumn("reference_model", "Reference"), ViewColumn("reference_p95_seconds", "Its slowest day's 95 %", "seconds"),
            ViewColumn("minutes_ratio", "Minutes it answered in", "ratio"),
            ViewColumn("usd_per_1k_characters", "For 1,000 characters", "rate"), ViewColumn("is_converted", "Tokens converted"),
            ViewColumn("weights", "Weights"),
        ],
        links={
            "route": lambda row: state.url(route=row["route"]),
            "model": lambda row: state.url("/models", by="", provider=row["provider"], model=row["model"]),
        },
        notes=state.unheard(_TABLE), none="No model answered in this period.",
    )  # fmt: skip
    known = figure.rows.get_column("usd_per_1k_characters").count()
    if known < figure.rows.height:
        words = f"known of {known:,} of {figure.rows.height:,} rows" if known else "not known"
        sentence = (
            f"What 1,000 characters cost is {words}: quality.yml states no tokens_ratio of the "
            f"{'other ' if known else ''}models, so nobody knows how many tokens their tokenizers make of a text."
        )
        figure = replace(figure, notes=(*figure.notes, sentence))
    return Content(
        "Cost against the reference is what the traffic cost over what the same tokens would cost at the reference's list "
        "price: 50% is half. Tokens are taken one for one unless they were converted.",
        (figure,),
    )


PAGE = Page("/scoreboard", "Scoreboard", 36, build, table=_TABLE)
