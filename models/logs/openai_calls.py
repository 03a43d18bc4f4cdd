"""What an answer of the Responses API bills beside itself: images drawn by another model, and containers.

`tool_usage.image_gen` counts the tokens of the model that drew (`tools[].model`): a call of its own. Where it is
absent, size and quality of a picture of gpt-image-1 tell its output tokens, an estimate that leaves out the prompt. A
container of the code interpreter is billed once, however many answers name it: a call under the container's own id, so
that the same id in a later answer is a duplicate. Its minutes (billed since 2026-06-02, five at least) no answer tells:
an estimate.
Source: platform.openai.com/docs/guides/tools-image-generation, /guides/tools-code-interpreter, /docs/pricing and
developers.openai.com/api/docs/changelog (2026-06-02).
"""

from models.records import tried

_DEFAULT_IMAGE_MODEL = "gpt-image-1"
_IMAGE_TOKENS = {
    "low": {"1024x1024": 272, "1024x1536": 408, "1536x1024": 400},
    "medium": {"1024x1024": 1056, "1024x1536": 1584, "1536x1024": 1568},
    "high": {"1024x1024": 4160, "1024x1536": 6240, "1536x1024": 6208},
}
"""Output tokens of a picture of gpt-image-1 and its mini, by quality and size."""

_SIGNS = "image_generation_call|code_interpreter_call"
_OUTPUT = tried("body", """from_json(json_extract({}, '$.output'), '["JSON"]')""")
_TOOLS = tried("body", """from_json(json_extract({}, '$.tools'), '["JSON"]')""")


def _string(value: str, path: str) -> str:
    return f"json_extract_string({value}, '{path}')"


def _of_type(listed: str, kind: str) -> str:
    return f"list_filter({listed}, lambda e: {_string('e', '$.type')} = '{kind}')"


_DRAWN = "json_extract(body, '$.tool_usage.image_gen')"
_IS_TOLD = f"coalesce(TRY_CAST({_string(_DRAWN, '$.output_tokens')} AS BIGINT), 0) > 0"
_MODEL = (
    f"coalesce({_string(_of_type(_TOOLS, 'image_generation') + '[1]', '$.model')}, '{_DEFAULT_IMAGE_MODEL}')"
)
_PICTURES = _of_type(_OUTPUT, "image_generation_call")
_CASES = " ".join(
    f"WHEN '{quality} {size}' THEN {tokens}"
    for quality, sizes in _IMAGE_TOKENS.items()
    for size, tokens in sizes.items()
)
_PICTURE_TOKENS = (
    f"list_transform({_PICTURES}, lambda e: CASE {_string('e', '$.quality')} || ' ' || {_string('e', '$.size')} "
    f"{_CASES} END)"
)
_IS_KNOWN = (
    f"len({_PICTURES}) > 0 AND regexp_matches({_MODEL}, '^gpt-image-1(-mini)?$') "
    f"AND len(list_filter({_PICTURE_TOKENS}, lambda t: t IS NULL)) = 0"
)
_CONTAINERS = (
    f"CASE WHEN json_extract(body, '$.usage.server_side_tool_usage_details') IS NULL THEN list_sort(list_distinct("
    f"list_filter(list_transform({_of_type(_OUTPUT, 'code_interpreter_call')}, "
    f"lambda e: {_string('e', '$.container_id')}), lambda c: c <> ''))) ELSE [] END"
)


def _image_call(usage: str, *, is_estimate: bool) -> str:
    return (
        f"json_object('model', {_MODEL}, 'object', 'image', 'usage', {usage}, 'output', NULL, 'tool_usage', NULL, "
        f"'further_call', json_object('is_estimate', {str(is_estimate).lower()}))"
    )


_ESTIMATED = (
    f"json_object('input_tokens', 0, 'output_tokens', list_sum({_PICTURE_TOKENS})::BIGINT, "
    f"'total_tokens', list_sum({_PICTURE_TOKENS})::BIGINT)"
)
_IMAGE_CALLS = (
    f"CASE WHEN {_IS_TOLD} THEN [{_image_call(_DRAWN, is_estimate=False)}] "
    f"WHEN {_IS_KNOWN} THEN [{_image_call(_ESTIMATED, is_estimate=True)}] ELSE [] END"
)
_CONTAINER_CALLS = f"""list_transform({_CONTAINERS}, lambda c: json_object('output', json_array(json_object(
  'type', 'code_interpreter_call')), 'tool_usage', NULL, 'further_call', json_object('id', c, 'is_estimate', true)))"""
_REST = f"""list_filter({_OUTPUT}, lambda e: NOT (
  ({_string("e", "$.type")} = 'image_generation_call' AND ({_IS_TOLD} OR {_IS_KNOWN}))
  OR ({_string("e", "$.type")} = 'code_interpreter_call'
      AND coalesce(list_contains({_CONTAINERS}, {_string("e", "$.container_id")}), false))))"""
_ITSELF = f"""json_object('usage', json_extract(body, '$.usage'), 'output', to_json({_REST}),
  'tool_usage', json_merge_patch(json_extract(body, '$.tool_usage'), '{{"image_gen": null}}'::JSON))"""
CALLS = f"""CASE WHEN regexp_matches(coalesce(json_extract(body, '$.output')::VARCHAR, ''), '{_SIGNS}') OR {_IS_TOLD}
  THEN list_concat([{_ITSELF}], {_IMAGE_CALLS}, {_CONTAINER_CALLS}) END"""
"""SQL over the JSON `body` of what to patch into it for each call that an answer consists of, itself first."""
