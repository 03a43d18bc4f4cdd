"""What Claude counts by iteration: compaction and advisors beside the answer, each with its own counts.

`usage.iterations` lists the samplings of one answer. Those of the type `message` are the answer: its own totals may
name the input of the first alone, so that the sum of these is read where it is more. Others (`compaction`,
`advisor_message`, which has a model of its own) are in no total and billed beside it: each is a call of its own.
Source: platform.claude.com/docs (build-with-claude/compaction, agents-and-tools/tool-use/advisor-tool).
"""

from models.json_fields import json_field
from models.records import tried

_CARRIED = ("service_tier", "inference_geo", "speed")


def iteration_calls(message: str) -> str:
    """SQL of what to patch into a message for each of its calls, itself first; NULL where it is the only one.

    Args:
        message: SQL of the message as JSON.
    """
    listed = tried(message, """from_json(json_extract({}, '$.usage.iterations'), '["JSON"]')""")
    beside = f"list_filter({listed}, lambda e: json_extract_string(e, '$.type') <> 'message')"
    carried = ", ".join(f"'{name}', json_extract({message}, '$.usage.{name}')" for name in _CARRIED)
    own = """CASE WHEN json_extract_string(e, '$.model') IS NOT NULL THEN json_merge_patch(e, '{"speed": null}'::JSON)
        ELSE e END"""
    further = (
        f"json_object('model', coalesce(json_extract(e, '$.model'), json_extract({message}, '$.model')), "
        f"'usage', json_merge_patch(json_object({carried}), {own}))"
    )
    return f"""CASE WHEN len({beside}) > 0 THEN list_concat(
      [json_object('usage', json_extract({message}, '$.usage'))], list_transform({beside}, lambda e: {further})) END"""


def answered(path: str, *, iterations: str) -> str:
    """SQL of a count of a message as text: its own, or the sum over its iterations where that is more.

    Args:
        path: where the fields `m` of a message hold its own count.
        iterations: where they hold the list of iterations.
    """
    own = json_field("m", path)
    name = path.rsplit(".", 1)[1]
    # An iteration that lacks a count has none of it; what is no number is for the whole record to tell.
    listed = tried(
        json_field("m", iterations),
        f"""from_json({{}}, '[{{{{"type": "VARCHAR", "{name}": "VARCHAR"}}}}]')""",
    )
    answers = f"list_filter({listed}, lambda e: e.\"type\" = 'message')"
    summed = f'list_sum(list_transform({answers}, lambda e: TRY_CAST(e."{name}" AS BIGINT)))::VARCHAR'
    return (
        f"CASE WHEN {json_field('m', iterations)} IS NULL THEN {own} "
        f"WHEN {own} IS NULL OR TRY_CAST({own} AS BIGINT) < TRY_CAST({summed} AS BIGINT) THEN {summed} ELSE {own} END"
    )
