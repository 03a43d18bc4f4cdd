"""Groq's response objects: OpenAI's shape with durations inside `usage` (in `x_groq.usage` of a stream).

`total_time` is prompt plus completion time, without `queue_time`. A compound system breaks its usage down by model
(`usage_breakdown`): each model is a call with its own price, the first under the answer's id, further ones with `#2`
and so on; the tools that it ran (`executed_tools`) are a last call without tokens, so that a fee that no sheet states
leaves the models priced.
Source: groq Python SDK 1.7.0, console.groq.com/docs/compound.
"""

from models.logs.openai_shape import COUNTS, openai_shaped
from models.logs.responses import response_importer
from models.records import tried


def _both(*paths: str) -> tuple[str, ...]:
    return (*paths, *(path.replace("$.usage", "$.x_groq.usage") for path in paths))


_TOOLS = {
    "web_search": ("search", "web_search", "browser_search", "browser.search"),
    "visit_website": ("visit", "visit_website", "browser.open"),
    "code_interpreter": ("python", "code_interpreter", "code_execution"),
    "browser_automation": ("browser_automation",),
}
"""Meters and the names under which an answer lists tools that Groq ran and bills for."""


def _ran(*tools: str) -> str:
    """SQL of how often tools of these names ran; NULL for never."""
    named = " OR ".join(f"""e."type" = '{tool}'""" for tool in tools)
    every = 'flatten(list_transform(m."choices", lambda c: coalesce(c."message"."executed_tools", [])))'
    return f"nullif(len(list_filter({every}, lambda e: {named})), 0)::VARCHAR"


_MODELS = tried("body", """from_json(json_extract({}, '$.usage_breakdown.models'), '["JSON"]')""")
_CALLS = f"""CASE WHEN len({_MODELS}) > 0 THEN list_concat(
  list_transform({_MODELS}, lambda c: json_object('model', json_extract(c, '$.model'), 'usage',
    json_extract(c, '$.usage'), 'choices', NULL)),
  CASE WHEN len(json_extract(body, '$.choices[*].message.executed_tools[0]')) > 0
    THEN [json_object('model', json_extract(body, '$.model'))] ELSE [] END) END"""


IMPORTER = response_importer(
    openai_shaped(
        "groq_response",
        "groq",
        counts={name: _both(*paths) for name, paths in COUNTS.items()},
        seconds={
            "queue": _both("$.usage.queue_time"),
            "prefill": _both("$.usage.prompt_time"),
            "total": _both("$.usage.total_time"),
        },
        first_token_after=("queue", "prefill"),
        finished_after=("queue", "total"),
        calls_sql=_CALLS,
        lists=("$.usage_breakdown.models", "$.choices[0].message.executed_tools[0].type"),
        meters_sql={meter: _ran(*tools) for meter, tools in _TOOLS.items()},
        tags={"provider_request_id": ("$.x_groq.id",)},
        tiers={"on_demand": "default", "auto": "default"},
        signature=(
            frozenset({"x_groq"}),
            frozenset({"usage.queue_time"}),
            frozenset({"usage_breakdown.models"}),
            frozenset({"custom_id", "response.body.x_groq"}),
        ),
        rank=51,
    )
)
