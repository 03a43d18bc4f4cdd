"""SQL that reads response objects, bare or in an envelope: one row a record, text of the answer passed over."""

import re
from itertools import chain

from models.json_fields import json_field, json_struct
from models.logs.response_format import Paths, ResponseFormat
from models.logs.served_by import mark_paths, mark_sql
from models.logs.streams import events_of, merged
from models.logs.tokens import PARTS
from models.records import (
    LONGEST_SECONDS,
    bad_numbers,
    bad_quantities,
    hashed,
    instant,
    integer,
    number,
    text,
)

BESIDE_TEXTS = (
    "request_id",
    "logical_request_id",
    "provider",
    "region",
    "route",
    "requested_model",
    "routed_model",
    "served_model",
    "replica_id",
    "service_tier",
    "batch_id",
    "tenant",
    "team",
    "user_id",
    "task_class",
    "session_id",
    "trace_id",
    "prefix_hash",
    "fallback_cause",
    "retry_of",
)
WHOLE = "$"
USAGE_TEXT = "usage_text_"
"""Start of the columns that hold objects of counts as text, numbered as `usage_objects` lists them."""
_COUNTED = re.compile(r"^usage|billed|^tokens$|invocationMetrics$", re.IGNORECASE)
"""Names of objects that hold counts: every number in them is read or shown."""
_PART = re.compile(r'"[^"]+"|[^."]+')
BESIDE_INSTANTS = ("started_at", "first_token_at", "finished_at")
_BESIDE = (*BESIDE_TEXTS, *BESIDE_INSTANTS, "attempt_no", "api_key_id", "is_fallback", "queue_seconds")
_ENVELOPE = ("response", "custom_id", "status_code", "error")
_FIELDS = (
    "response_id",
    "model",
    "created",
    "ended",
    "tier",
    "state",
    "error_class",
    "object",
    "region",
    "batch_key",
    "call_id",
)


def _paths(form: ResponseFormat) -> list[str]:
    groups = (form.fields, form.counts, form.seconds, form.meters, form.tags)
    named = chain.from_iterable(chain.from_iterable(group.values() for group in groups))
    marks = mark_paths() if form.provider is None else ()
    return list(dict.fromkeys([*named, *form.lists, *marks]))


def _top(path: str) -> str:
    return path.removeprefix("$.").split(".")[0].split("[")[0].strip('"')


def usage_objects(form: ResponseFormat) -> dict[str, frozenset[str]]:
    """Return the paths of objects of counts, each with the paths inside it that are read."""
    found: dict[str, set[str]] = {}
    for path in _paths(form):
        parts = _PART.findall(path.removeprefix("$."))
        for depth in range(1, len(parts)):
            container = ".".join(parts[:depth])
            if "[" in container:
                break
            if _COUNTED.search(parts[depth - 1].strip('"')):
                found.setdefault(container, set()).add(".".join(parts[depth:]))
                break
    if form.own_counts is not None:
        container = form.own_counts[0]
        inside = {
            path.removeprefix(f"{container}.") for path in _paths(form) if path.startswith(f"{container}.")
        }
        found[container.removeprefix("$.")] = inside
    return {container: frozenset(inside) for container, inside in found.items()}


def _usage_text(container: str) -> str:
    """SQL of an object of counts as text; the response itself where it is held by an envelope."""
    if container == WHOLE:
        return "CASE WHEN held IS NOT NULL THEN body::VARCHAR END"
    if container.endswith("]"):
        top, _, rest = container.partition("[")
        bare = f"TRY(json_extract(\"{top}\", '$[{rest}'))::VARCHAR"
        return (
            f"CASE WHEN held IS NULL THEN {bare} ELSE TRY(json_extract(body, '$.{container}'))::VARCHAR END"
        )
    top, _, rest = container.partition(".") if container[0] != '"' else (container.strip('"'), "", "")
    bare = f'"{top}"' if not rest else f"TRY(json_extract(\"{top}\", '$.{rest}'))::VARCHAR"
    return f"CASE WHEN held IS NULL THEN {bare} ELSE TRY(json_extract(body, '$.{container}'))::VARCHAR END"


def _containers(paths: list[str]) -> list[str]:
    """Return the objects that paths lead through."""
    found: dict[str, None] = {}
    for path in paths:
        parts = path.split(".")
        for depth in range(2, len(parts)):
            parent = ".".join(parts[:depth])
            # An error may be a mere text.
            if "[" not in parent and '"' not in parent and parent != "$.error":
                found[parent] = None
    return list(found)


def _tops(form: ResponseFormat) -> list[str]:
    return sorted({_top(path) for path in _paths(form)} | set(form.beside))


def response_columns(form: ResponseFormat) -> list[str]:
    """Return the top-level fields that are read: of the response, of the envelope, and canonical ones beside."""
    markers = [form.bare_when] if form.bare_when is not None else []
    return list(dict.fromkeys([*_tops(form), *_BESIDE, *_ENVELOPE, *form.nested, *markers]))


def _inside(column: str, path: str) -> str:
    if path == "$":
        return f'"{column}"'
    found = f"TRY(json_extract(\"{column}\", '{path}'))::VARCHAR"
    return f"CASE WHEN TRY(json_type(\"{column}\")) = 'OBJECT' THEN {found} END"


def _as_json(column: str) -> str:
    """SQL of a field as JSON; of a text that is none, the text."""
    return f'CASE WHEN json_valid("{column}") THEN "{column}"::JSON ELSE to_json("{column}") END'


def response_select(form: ResponseFormat) -> str:
    """Return the SELECT over `records` whose rows `_canonical` of models/logs/responses.py completes."""
    paths, tops = _paths(form), _tops(form)
    containers = _containers(paths)

    def values(group: Paths, name: str) -> str:
        found = [json_field("m", path) for path in group.get(name, ())]
        return f"coalesce({', '.join(found)})" if found else "NULL::VARCHAR"

    nested = [_inside(column, path) for column, path in form.nested.items()]
    held = f"coalesce({', '.join(nested)})"
    if form.bare_when is not None:
        held = f'CASE WHEN "{form.bare_when}" IS NULL THEN {held} END'
    bare = ", ".join(f"'{top}', {_as_json(top)}" for top in tops)
    beside = ", ".join(f"'{name}', {_as_json(name)}" for name in form.beside)
    # An event of a stream may stand alone: it holds the answer.
    event = (
        "CASE WHEN starts_with(json_extract_string(held, '$.type'), 'response.') "
        "THEN json_extract(held, '$.response') END"
    )
    inside = f"coalesce(TRY(json_extract(held, '$.body')), {event}, held::JSON)"
    answer = (
        f"CASE WHEN held IS NULL THEN json_object({bare}) WHEN TRY(json_type(held)) = 'OBJECT' THEN {inside} "
        f"WHEN TRY(json_type(held)) NOT IN ('ARRAY') THEN NULL ELSE {merged('events')} END"
    )
    body = f"CASE WHEN held IS NULL THEN answer ELSE json_merge_patch(answer, json_object({beside})) END"
    counts = {name: _count(form.counts[name]) for name in form.counts} | dict(form.counts_sql)
    differing = [
        f"CASE WHEN {_differ(paths)} THEN '{name}' END"
        for name, paths in form.counts.items()
        if name in PARTS and len(paths) > 1
    ]
    durations = {f"seconds_{name}": values(form.seconds, name) for name in form.seconds}
    meters = {f"meter_{name}": values(form.meters, name) for name in form.meters}
    meters |= {f"meter_{name}": sql for name, sql in form.meters_sql.items()}
    # Texts first, in a step of their own: what follows reads each several times.
    texts = {f"text_{name}": value for name, value in (counts | meters).items()}
    counts = {name: f"text_{name}" for name in counts}
    meters = {name: f"text_{name}" for name in meters}
    fields = {name: values(form.fields, name) for name in dict.fromkeys((*_FIELDS, *form.fields))}
    instants = ("created", "ended")
    content = ", ".join(f'"{name}"' for name in _BESIDE)
    row_hash = f"md5(concat_ws(chr(31), to_json(m), {content}))"
    if form.id_pattern == ".":
        # Only a record without an id is known by its content.
        row_hash = f"CASE WHEN {text(fields['response_id'])} IS NULL THEN {row_hash} END"
    lists = f"[{', '.join(_quoted(path) for path in containers)}]::VARCHAR[]"
    return f"""
WITH holding AS NOT MATERIALIZED (SELECT *, {held} AS held FROM records),
listed AS NOT MATERIALIZED (SELECT *, {events_of("held")} AS events FROM holding),
answers AS NOT MATERIALIZED (SELECT *, {answer} AS answer FROM listed),
bodies AS NOT MATERIALIZED (SELECT *, {body} AS body FROM answers),
split AS NOT MATERIALIZED ({_split(form)}),
typed AS NOT MATERIALIZED (SELECT *, TRY(json_type(body, {lists})) AS types FROM split),
parsed AS NOT MATERIALIZED (
  SELECT *, {json_struct("body", paths)} AS m,
         list_filter({lists}, lambda c, i: types[i] NOT IN ('OBJECT', 'NULL')) AS odd
  FROM typed
),
found AS NOT MATERIALIZED (SELECT *, {", ".join(f"{value} AS {name}" for name, value in texts.items())} FROM parsed)
SELECT line_number, record_number, held IS NOT NULL AS is_held, body IS NOT NULL AS is_readable,
       {", ".join(f"{text(name)} AS beside_{name}" for name in BESIDE_TEXTS)},
       {", ".join(f"{instant(name)} AS beside_{name}" for name in BESIDE_INSTANTS)},
       {", ".join(f"{text(name)} IS NOT NULL AS has_{name}" for name in BESIDE_INSTANTS)},
       {integer("attempt_no")} AS beside_attempt_no, TRY_CAST(is_fallback AS BOOLEAN) AS beside_is_fallback,
       {number("queue_seconds")} AS beside_queue_seconds,
       {hashed(text("api_key_id"))} AS api_key_id,
       {text("custom_id")} AS custom_id, {integer("status_code")} AS outer_status_code,
       CASE WHEN TRY(json_type(response)) = 'OBJECT' THEN TRY(json_extract_string(response, '$.status_code')) END
         AS inner_status_code,
       CASE WHEN "error" = 'false' THEN NULL WHEN TRY(json_type("error")) = 'OBJECT' THEN
         coalesce(json_extract_string("error", '$.code'), json_extract_string("error", '$.type'), 'error')
         WHEN "error" IS NOT NULL THEN 'error' END AS outer_error,
       {mark_sql() if form.provider is None else "NULL::VARCHAR"} AS sign_provider,
       {", ".join(f"{(instant if name in instants else text)(value)} AS {name}" for name, value in fields.items())},
       {", ".join(f"{text(fields[name])} IS NOT NULL AS has_{name}" for name in instants)},
       {", ".join(f"{integer(value)} AS {name}" for name, value in counts.items())},
       {"".join(f"{number(value)} AS {name}, " for name, value in (durations | meters).items())}
       {"".join(f"{text(values(form.tags, name))} AS tag_{name}, " for name in form.tags)}
       {"".join(f"{sql} AS {name}, " for name, sql in form.columns_sql.items())}
       {"".join(f"{_usage_text(path)} AS {USAGE_TEXT}{number}, " for number, path in enumerate(usage_objects(form)))}
       coalesce({", ".join(json_field("m", path) for path in paths)}) IS NOT NULL OR "error" IS NOT NULL
         OR status_code IS NOT NULL OR custom_id IS NOT NULL AS is_known,
       {f"nullif(concat_ws(',', {', '.join(differing)}), '')" if differing else "NULL::VARCHAR"}
         AS differing_counts,
       nullif(array_to_string(list_transform(odd, lambda c: c[3:]), ','), '') AS odd_parts,
       {bad_numbers({"attempt_no": "attempt_no", "status_code": "status_code"} | counts)} AS bad_counts,
       {bad_quantities(meters)} AS bad_meters,
       {bad_quantities(durations, at_most=LONGEST_SECONDS * form.seconds_scale)} AS bad_durations,
       {bad_quantities({"queue_seconds": "queue_seconds"}, at_most=LONGEST_SECONDS)} AS bad_queue,
       {row_hash} AS row_hash
FROM found
"""


def _split(form: ResponseFormat) -> str:
    """SQL of a row a call: an answer may consist of several."""
    if form.calls_sql is None:
        return "SELECT *, 1::INTEGER AS record_number FROM bodies"
    calls = (
        "list_transform(calls, lambda call, i: {'number': i::INTEGER, "
        "'body': json_merge_patch(body, '{\"usage\": null}'::JSON, call)})"
    )
    whole = "[{'number': 1::INTEGER, 'body': body::JSON}]"
    return f"""
  SELECT * EXCLUDE (calls, part) REPLACE (part.body AS body), part.number AS record_number
  FROM (SELECT *, unnest(CASE WHEN len(calls) > 0 THEN {calls} ELSE {whole} END) AS part
        FROM (SELECT *, {form.calls_sql} AS calls FROM bodies))"""


def _count(paths: tuple[str, ...]) -> str:
    """SQL of a count that stands in one of several places: a 0 in one hides no count in another."""
    found = [json_field("m", path) for path in paths]
    if not found:
        return "NULL::VARCHAR"
    above = [f"nullif({field}, '0')" for field in found] if len(found) > 1 else []
    return f"coalesce({', '.join([*above, *found])})"


def _differ(paths: tuple[str, ...]) -> str:
    """SQL of whether places that mean the same hold two counts above 0."""
    found = [f"nullif({json_field('m', path)}, '0')" for path in paths]
    return f"least({', '.join(found)}) <> greatest({', '.join(found)})"


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "''") + "'"
