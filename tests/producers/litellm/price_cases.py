"""Price usage by LiteLLM's own arithmetic on price maps of other days.

Runs in LiteLLM's environment. Standard input: {"maps": {day: path}, "cases": [[day, model, provider, tier, usage]]}.
The last line of standard output is a list: each cost in dollars as LiteLLM has it, or null where it refuses.
"""

import gzip
import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
import litellm.utils
from litellm.types.utils import CompletionTokensDetailsWrapper, PromptTokensDetailsWrapper, Usage


def forget() -> None:
    """Clear what LiteLLM remembers of the map before."""
    for name in dir(litellm.utils):
        function = getattr(litellm.utils, name)
        if callable(getattr(function, "cache_clear", None)):
            function.cache_clear()
    litellm.utils._invalidate_model_cost_lowercase_map()


def usage_of(counts: dict) -> Usage:
    written = {"ephemeral_5m_input_tokens": counts.get("cache_write_5m", 0)}
    written["ephemeral_1h_input_tokens"] = counts.get("cache_write_1h", 0)
    made = counts.get("cache_write_5m", 0) + counts.get("cache_write_1h", 0)
    prompt = PromptTokensDetailsWrapper(
        cached_tokens=counts.get("cache_read", 0),
        audio_tokens=counts.get("audio_input", 0),
        **({"cache_creation_tokens": made, "cache_creation_token_details": written} if made else {}),
    )
    completion = CompletionTokensDetailsWrapper(
        reasoning_tokens=counts.get("reasoning", 0), audio_tokens=counts.get("audio_output", 0)
    )
    inputs = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input")
    total_in = sum(counts.get(name, 0) for name in inputs)
    total_out = sum(counts.get(name, 0) for name in ("output_text", "reasoning", "audio_output"))
    return Usage(
        prompt_tokens=total_in,
        completion_tokens=total_out,
        total_tokens=total_in + total_out,
        prompt_tokens_details=prompt,
        completion_tokens_details=completion,
        **({"cache_creation_input_tokens": made} if made else {}),
        **({"cache_read_input_tokens": counts["cache_read"]} if counts.get("cache_read") else {}),
    )


def main() -> None:
    asked = json.load(sys.stdin)
    day = None
    costs = []
    for when, model, provider, tier, counts in asked["cases"]:
        if when != day:
            with gzip.open(asked["maps"][when]) as file:
                litellm.model_cost = json.load(file)
            day = when
            forget()
        options = {"call_type": "aretrieve_batch"} if tier == "batch" else {"service_tier": tier}
        try:
            parts = litellm.cost_per_token(
                model=model, custom_llm_provider=provider, usage_object=usage_of(counts), **options
            )
            costs.append(sum(parts))
        except Exception:  # noqa: BLE001 (whatever it is, LiteLLM has no price)
            costs.append(None)
    print(json.dumps(costs))


main()
