"""What a name inside a usage object counts, under any spelling.

SDKs, gateways and frameworks spell the same count in a hundred ways: `cache_read_input_tokens`,
`prompt_tokens_details.cached_tokens`, `cachedContentTokenCount`, `input_tokens.cached`, `cacheWriteInputTokens`. A name
is cut into words, words that say the same become one, and the set of words tells the count, so that the order of words
and the way they are joined do not matter. A name that no rule knows is None: it is shown as not read.

Source: OpenTelemetry gen_ai, OpenInference, openllmetry, Vercel AI SDK, Pydantic AI, LangSmith, Sentry, OpenLIT,
MLflow, Langfuse; usage objects of OpenAI, Anthropic, Gemini, Bedrock, DeepSeek, Cohere.
"""

import re
from functools import cache

COUNTS = (
    "prompt",
    "completion",
    "total",
    "cache_read",
    "written",
    "cache_write_5m",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
    "video_input",
    "cache_read_audio",
    "cache_read_image",
    "tool_input",
    "text_input",
    "text_output",
    "accepted",
    "rejected",
    "fresh",
    "web_search",
)
"""What a name can count. `written` is cache writes of any lifetime, `tool_input` is what tools add to the
prompt, `fresh` is input that was neither read from nor written to a cache."""
KNOWN = "known"
"""A name that is understood and adds nothing: a cost, a part of a count that is read already."""

_WORD = re.compile(r"\d+[a-z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_NOISE = frozenset(
    {
        "tokens",
        "token",
        "count",
        "counts",
        "usage",
        "details",
        "detail",
        "num",
        "ephemeral",
        "content",
        "experimental",
    }
)
_SAME = {
    "prompt": ("input",),
    "in": ("input",),
    "out": ("output",),
    "completion": ("output",),
    "candidates": ("output",),
    "candidate": ("output",),
    "generated": ("output",),
    "generation": ("output",),
    "response": ("output",),
    "thoughts": ("reasoning",),
    "thought": ("reasoning",),
    "thinking": ("reasoning",),
    "cached": ("cache", "read"),
    "hit": ("read",),
    "creation": ("write",),
    "created": ("write",),
    "create": ("write",),
    "written": ("write",),
    "writes": ("write",),
    "reads": ("read",),
    "images": ("image",),
    "vision": ("image",),
    "uncached": ("miss",),
    "no": ("miss",),
    "non": ("miss",),
}  # fmt: skip
_COST = frozenset({"cost", "costs", "price", "usd", "dollars"})
_PLAIN = {
    frozenset({"input"}): "prompt",
    frozenset({"output"}): "completion",
    frozenset({"total"}): "total",
    frozenset({"total", "provider"}): KNOWN,
    frozenset({"total", "input"}): "prompt",
    frozenset({"total", "output"}): "completion",
    frozenset({"reasoning"}): "reasoning",
    frozenset({"reasoning", "output"}): "reasoning",
    frozenset({"audio", "input"}): "audio_input",
    frozenset({"audio", "output"}): "audio_output",
    frozenset({"image", "input"}): "image_input",
    frozenset({"image", "output"}): "image_output",
    frozenset({"video", "input"}): "video_input",
    frozenset({"text", "input"}): "text_input",
    frozenset({"text", "output"}): "text_output",
    frozenset({"tool", "use", "input"}): "tool_input",
    frozenset({"tool", "input"}): "tool_input",
    frozenset({"tool", "use"}): "tool_input",
    frozenset({"web", "search", "requests"}): "web_search",
    frozenset({"server", "tool", "use", "web", "search", "requests"}): "web_search",
    frozenset({"prediction", "accepted"}): "accepted",
    frozenset({"prediction", "accepted", "output"}): "accepted",
    frozenset({"prediction", "rejected"}): "rejected",
    frozenset({"prediction", "rejected", "output"}): "rejected",
}
_LIFETIMES = {"1h": "cache_write_1h", "5m": "cache_write_5m"}


@cache
def words_of(name: str) -> frozenset[str]:
    """Return the words of a name, of which those that say the same are one."""
    words: set[str] = set()
    for word in _WORD.findall(name):
        plain = word.lower()
        words.update(_SAME.get(plain, (plain,)))
    return frozenset(words - _NOISE)


@cache
def counted_by(name: str) -> str | None:
    """Return which of COUNTS a name inside a usage object holds, KNOWN, or None where no rule reads it."""
    words = words_of(name)
    if {"cache", "write"} <= words:
        # `cached_write_tokens` were written, whatever `cached` says by itself.
        words -= {"read"}
    if words & _COST:
        return KNOWN
    if words in _PLAIN:
        return _PLAIN[words]
    if "miss" in words and words <= {"miss", "cache", "input"}:
        return "fresh"
    lifetime = words & set(_LIFETIMES)
    if (
        words <= {"cache", "write", "input", *_LIFETIMES}
        and ("write" in words or lifetime)
        and len(lifetime) <= 1
    ):
        return _LIFETIMES[next(iter(lifetime))] if lifetime else "written"
    if "cache" in words and words <= {"cache", "read", "input", "text", "audio", "image"}:
        media = words & {"audio", "image"}
        # Cached text is a part of what was cached.
        return (
            f"cache_read_{next(iter(media))}"
            if len(media) == 1
            else KNOWN
            if "text" in words
            else "cache_read"
        )
    return None
