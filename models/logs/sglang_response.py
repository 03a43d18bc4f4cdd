"""Responses of an SGLang server: OpenAI's shape; `reasoning_tokens` stands in two places and counts once.

Source: sglang 0.5.23, entrypoints/openai/protocol.py.
"""

from models.logs.openai_shape import COUNTS, openai_shaped
from models.logs.responses import response_importer

IMPORTER = response_importer(
    openai_shaped(
        "sglang_response",
        "self_hosted",
        counts={"reasoning": (*COUNTS["reasoning"], "$.usage.reasoning_tokens")},
        signature=(frozenset({"object=chat.completion", "choices[0].matched_stop"}),),
        rank=53,
    )
)
