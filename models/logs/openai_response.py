"""OpenAI's response objects: chat, completions, Responses, embeddings, images, transcriptions; batch output lines.

The start is `created` (`created_at` of the Responses API), in Unix seconds; embeddings have none and need a
`started_at` beside. A batch output line gives `custom_id` and the tier `batch`. A response with
`prompt_filter_results` came from Azure.
Source: openai/openai-openapi 2.3.0.
"""

from models.logs.openai_shape import CHAT, COUNTS, FIELDS, openai_shaped
from models.logs.responses import response_importer

IMPORTER = response_importer(
    openai_shaped(
        "openai_response",
        "openai",
        fields={
            "created": (*FIELDS["created"], "$.created_at"),
            "ended": ("$.completed_at",),
            "state": ("$.status",),
            "error_class": ("$.error.code",),
        },
        counts={
            "prompt": (*COUNTS["prompt"], "$.usage.input_tokens"),
            "completion": (*COUNTS["completion"], "$.usage.output_tokens"),
            "cache_read": (*COUNTS["cache_read"], "$.usage.input_tokens_details.cached_tokens"),
            "cache_write_5m": (*COUNTS["cache_write_5m"], "$.usage.input_tokens_details.cache_write_tokens"),
            "audio_input": (
                *COUNTS["audio_input"],
                "$.usage.input_tokens_details.audio_tokens",
                "$.usage.input_token_details.audio_tokens",
            ),
            "image_input": (*COUNTS["image_input"], "$.usage.input_tokens_details.image_tokens"),
            "reasoning": (*COUNTS["reasoning"], "$.usage.output_tokens_details.reasoning_tokens"),
            "image_output": (
                "$.usage.completion_tokens_details.image_tokens",
                "$.usage.output_tokens_details.image_tokens",
            ),
        },
        meters={
            "accepted_prediction": ("$.usage.completion_tokens_details.accepted_prediction_tokens",),
            "rejected_prediction": ("$.usage.completion_tokens_details.rejected_prediction_tokens",),
            "audio_seconds": ("$.usage.seconds",),
        },
        provider_signs={"prompt_filter_results": "azure.ai.openai"},
        operations={"response": "chat"},
        signature=(
            CHAT,
            frozenset({"object=text_completion", "choices"}),
            frozenset({"id=resp_", "object=response"}),
            frozenset({"object=list", "data[0].object=embedding", "usage"}),
            frozenset({"custom_id", "response"}),
        ),
        rank=56,
    )
)
