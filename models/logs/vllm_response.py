"""Responses of a vLLM server: OpenAI's shape.

`prompt_tokens_details` is null where nothing was cached or the server does not tell; both read as nothing cached.
Source: vLLM's entrypoints/openai/protocol.py.
"""

from models.logs.openai_shape import openai_shaped
from models.logs.responses import response_importer

IMPORTER = response_importer(
    openai_shaped(
        "vllm_response",
        "self_hosted",
        signature=(frozenset({"object=chat.completion", "kv_transfer_params"}),),
        rank=53,
    )
)
