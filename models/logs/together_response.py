"""Together's response objects: OpenAI's shape. Source: together Python SDK 3.1.1."""

from models.logs.openai_shape import COUNTS, openai_shaped
from models.logs.responses import response_importer

IMPORTER = response_importer(
    openai_shaped(
        "together_response",
        "together",
        counts={"cache_read": (*COUNTS["cache_read"], "$.usage.cached_tokens")},
        signature=(),
        rank=55,
    )
)
