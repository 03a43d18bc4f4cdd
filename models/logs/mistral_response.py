"""Mistral's response objects: OpenAI's shape; embeddings have an id and no time; OCR is billed by the page.

Source: mistralai SDK 1.9.
"""

from models.json_fields import json_field
from models.logs.openai_shape import COUNTS, openai_shaped
from models.logs.responses import response_importer

_ANNOTATION = "$.document_annotation"
_PAGES = json_field("m", "$.usage_info.pages_processed")

IMPORTER = response_importer(
    openai_shaped(
        "mistral_response",
        "mistral_ai",
        counts={"cache_read": (*COUNTS["cache_read"], "$.usage.prompt_token_details.cached_tokens")},
        meters={
            "audio_seconds": ("$.usage.prompt_audio_seconds",),
        },
        lists=("$.usage_info.pages_processed", _ANNOTATION),
        meters_sql={
            "pages": f"CASE WHEN {json_field('m', _ANNOTATION)} IS NULL THEN {_PAGES} END",
            "annotated_pages": f"CASE WHEN {json_field('m', _ANNOTATION)} IS NOT NULL THEN {_PAGES} END",
        },
        signature=(
            frozenset({"usage.prompt_audio_seconds"}),
            frozenset({"pages", "usage_info.pages_processed"}),
        ),
        rank=54,
    )
)
