"""The response object that OpenAI made and many providers return: chat, completions, embeddings.

`prompt_tokens` includes cached, written, audio and image tokens; `completion_tokens` includes reasoning and audio.
Source: openai/openai-openapi 2.3.0.
"""

from collections.abc import Mapping
from typing import Any

from models.logs.response_format import Paths, ResponseFormat

FIELDS: Paths = {
    "response_id": ("$.id",),
    "model": ("$.model",),
    "created": ("$.created",),
    "tier": ("$.service_tier",),
    "object": ("$.object",),
}
COUNTS: Paths = {
    "prompt": ("$.usage.prompt_tokens",),
    "completion": ("$.usage.completion_tokens",),
    "total": ("$.usage.total_tokens",),
    "cache_read": ("$.usage.prompt_tokens_details.cached_tokens",),
    "cache_write_5m": ("$.usage.prompt_tokens_details.cache_write_tokens",),
    "audio_input": ("$.usage.prompt_tokens_details.audio_tokens",),
    "image_input": ("$.usage.prompt_tokens_details.image_tokens",),
    "reasoning": ("$.usage.completion_tokens_details.reasoning_tokens",),
    "audio_output": ("$.usage.completion_tokens_details.audio_tokens",),
}
OPERATIONS = {
    "chat.completion": "chat",
    "chat.completion.chunk": "chat",
    "text_completion": "completion",
    "list": "embedding",
}
CHAT = frozenset({"object=chat.completion", "choices", "usage"})


def openai_shaped(kind: str, provider: str, **more: Any) -> ResponseFormat:
    """Return a format of OpenAI's shape; mappings in `more` are added to the shape's own."""
    own: dict[str, Any] = {"fields": FIELDS, "counts": COUNTS, "operations": OPERATIONS}
    merged = {
        name: {**value, **more.get(name, {})} for name, value in own.items() if isinstance(value, Mapping)
    }
    return ResponseFormat(kind=kind, provider=provider, **(more | merged))
