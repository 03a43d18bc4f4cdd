"""SQL that turns the stream events of one response into one object. Text of the answer is passed over.

A stream is a JSON list of events, or text: server-sent events (`data: {...}` lines) or one JSON object a line.
"""

_EVENT_LINE = r"(?m)^(?:data: ?)?(\{.*\})\s*$"
_COUNTS = (
    r'"(usage|usage_?[mM]etadata)"\s*:\s*\{|oken_?[cC]ount|nvocationMetrics|eval_count|billed_units|"generated_tokens"'
    r'|"status"\s*:'
)


def events_of(text: str) -> str:
    """SQL of the events in a field, as a list of JSON; NULL when it holds none."""
    lines = (
        f"list_transform(list_filter(regexp_extract_all({text}, '{_EVENT_LINE}', 1), lambda e: json_valid(e)), "
        f"lambda e: e::JSON)"
    )
    listed = f"""TRY(from_json({text}, '["JSON"]'))"""
    return f"CASE WHEN TRY(json_type({text})) = 'ARRAY' THEN {listed} ELSE {lines} END"


def merged(events: str) -> str:
    """SQL of one object from a list of events: the first, then those that count something, later ones winning.

    What an event nests under `response`, `message` or `delta` comes to the top, and so does the usage that Moonshot's
    last event has inside its choice; `first_event` is kept beside.
    """
    counting = (
        f"list_filter({events}, lambda e, i: TRY(json_type(e)) = 'OBJECT' "
        f"AND (i = 1 OR regexp_matches(e::VARCHAR, '{_COUNTS}')))"
    )
    patched = f"list_reduce({counting}, lambda a, b: json_merge_patch(a, b))"
    nested = ", ".join(
        f"CASE WHEN json_type(o, '$.{name}') = 'OBJECT' THEN json_extract(o, '$.{name}') END"
        for name in ("response", "message", "delta")
    )
    first = f"json_object('first_event', {events}[1])"
    chosen = (
        "CASE WHEN json_type(o, '$.usage') IS DISTINCT FROM 'OBJECT' AND json_type(o, '$.choices[0].usage') = 'OBJECT' "
        "THEN json_object('usage', json_extract(o, '$.choices[0].usage')) END"
    )
    return (
        f"CASE WHEN len({counting}) > 0 THEN list_transform([{patched}], "
        f"lambda o: json_merge_patch({first}, coalesce({nested}, '{{}}'::JSON), o, "
        f"coalesce({chosen}, '{{}}'::JSON)))[1] END"
    )
