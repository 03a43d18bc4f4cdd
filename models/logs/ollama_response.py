"""Responses of an Ollama server: counts and nanoseconds beside the answer; `created_at` is the end.

Source: ollama's docs/api.md.
"""

from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer

IMPORTER = response_importer(
    ResponseFormat(
        kind="ollama_response",
        provider="self_hosted",
        fields={"model": ("$.model",), "created": ("$.created_at",)},
        counts={"prompt": ("$.prompt_eval_count",), "completion": ("$.eval_count",)},
        own_counts=("$", r"_count$"),
        seconds={
            "load": ("$.load_duration",),
            "prefill": ("$.prompt_eval_duration",),
            "total": ("$.total_duration",),
        },
        seconds_scale=1e9,
        first_token_after=("load", "prefill"),
        finished_after=("total",),
        created_at_end=True,
        bare_when="done",
        signature=(frozenset({"prompt_eval_count", "done"}), frozenset({"eval_count", "done"})),
        rank=54,
    )
)
