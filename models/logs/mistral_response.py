"""Mistral's response objects: OpenAI's shape; embeddings have an id and no time. Source: mistralai SDK 1.9."""

from models.logs.openai_shape import COUNTS, openai_shaped
from models.logs.responses import response_importer

IMPORTER = response_importer(
    openai_shaped(
        "mistral_response",
        "mistral_ai",
        counts={"cache_read": (*COUNTS["cache_read"], "$.usage.prompt_token_details.cached_tokens")},
        meters={"audio_seconds": ("$.usage.prompt_audio_seconds",)},
        signature=(frozenset({"usage.prompt_audio_seconds"}),),
        rank=54,
    )
)
