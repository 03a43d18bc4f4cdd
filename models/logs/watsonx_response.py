"""IBM watsonx.ai text generation: counts per result; in a stream the input count is in the first event only.

Source: recorded responses of its API.
"""

from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer

IMPORTER = response_importer(
    ResponseFormat(
        kind="watsonx_response",
        provider="ibm.watsonx.ai",
        fields={
            "model": ("$.model_id",),
            "created": ("$.first_event.created_at", "$.created_at"),
        },
        counts={
            "prompt": ("$.first_event.results[0].input_token_count", "$.results[0].input_token_count"),
            "completion": ("$.results[0].generated_token_count",),
        },
        own_counts=("$.results[0]", r"_count$"),
        operation="completion",
        signature=(frozenset({"model_id", "results[0].generated_token_count"}),),
        rank=54,
    )
)
