"""Native answers of a TGI server (`/generate`, `/generate_stream`), with the response headers beside as `headers`.

The answer itself counts what was generated, and the prompt only where its tokens were asked for
(`decoder_input_details`) or at the end of a stream; the headers count both and tell the times in milliseconds. An
answer names no model: write `served_model` beside it. Its Messages API answers in OpenAI's shape (`openai_response`).
Source: text-generation-inference, `router/src/server.rs` and `lib.rs`, read 2026-11-29.
"""

from models.json_fields import json_field
from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer

_HEADER = '$.headers."x-{}"'
_PREFILL = "$.details.prefill"
_PROMPT = f"nullif(TRY(json_array_length({json_field('m', _PREFILL)}))::VARCHAR, '0')"

IMPORTER = response_importer(
    ResponseFormat(
        kind="tgi_response",
        provider="self_hosted",
        fields={"model": (_HEADER.format("model-id"),)},
        own_counts=("$.details", r"_tokens$"),
        counts={
            "completion": ("$.details.generated_tokens", _HEADER.format("generated-tokens")),
            "told_prompt": (_HEADER.format("prompt-tokens"), "$.details.input_length"),
        },
        counts_sql={
            "prompt": f"coalesce({json_field('m', _HEADER.format('prompt-tokens'))}, "
            f"{json_field('m', '$.details.input_length')}, {_PROMPT})"
        },
        lists=(_PREFILL,),
        seconds={"queue": (_HEADER.format("queue-time"),), "total": (_HEADER.format("total-time"),)},
        seconds_scale=1000,
        finished_after=("total",),
        operation="completion",
        beside=("headers",),
        signature=(
            frozenset({"details.generated_tokens", "generated_text"}),
            frozenset({"headers.x-generated-tokens", "response"}),
        ),
        rank=54,
    )
)
