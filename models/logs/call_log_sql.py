"""SQL that reads logs of calls: one row a call, texts as they stand, counts as names and values."""

from collections.abc import Callable, Iterable
from itertools import chain

from models.json_fields import json_field, json_struct
from models.logs.call_log import DURATIONS, INSTANTS, TEXTS, CallLog
from models.logs.dimensions import given_tags
from models.records import bad_quantities, hashed, instant, money, number, text, tried

ITEMS = ("web_search", "file_search", "code_interpreter", "image_generation")
"""Meters that an answer of OpenAI's Responses tells by its items: a page that is opened is no search, and of containers
it tells one at least."""
_GROUNDED = "groundingMetadata"
SINGLE = "="
"""Start of the names of counts that stand in a field of their own."""
_PART = "part"


def log_columns(log: CallLog) -> list[str]:
    """Return the top-level fields that are read."""
    tops = [_split(place)[0] for place in _places(log)]
    return [top for top in dict.fromkeys([*tops, *log.own_columns]) if top != _PART or log.parts is None]


def log_select(log: CallLog) -> str:
    """Return the SELECT over `records` whose rows models/logs/call_logs.py completes."""
    names = log_columns(log)
    inside = [_split(place) for place in _scalars(log)]
    paths = {
        top: list(dict.fromkeys(path for other, path in inside if other == top and path))
        for top in [*names, *([_PART] if log.parts is not None else [])]
    }
    structs = {top: f"struct_{place}" for place, top in enumerate(top for top in paths if paths[top])}
    parsed = "".join(f", {json_struct(_quoted(top), paths[top])} AS {name}" for top, name in structs.items())

    def held(places: Iterable[str]) -> str:
        found = []
        for place in places:
            top, path = _split(place)
            found.append(text(json_field(structs[top], path) if path else _quoted(top)))
        return f"coalesce({', '.join(found)}, NULL::VARCHAR)" if found else "NULL::VARCHAR"

    texts = {name: held(log.texts.get(name, ())) for name in dict.fromkeys((*TEXTS, *log.texts))}
    instants = {name: _plain_time(held(log.instants.get(name, ()))) for name in INSTANTS}
    durations = {name: held(log.durations.get(name, ())) for name in DURATIONS}
    content = ", ".join(map(_quoted, names))
    metadata, listed = _whole(log.metadata), _whole(log.tag_list)
    return f"""
WITH calls AS NOT MATERIALIZED ({_calls(log)}),
parsed AS NOT MATERIALIZED (SELECT *{parsed} FROM calls)
SELECT line_number, record_number,
       {", ".join(f"{value} AS {name}" for name, value in texts.items())},
       {", ".join(f"{instant(value)} AS {name}" for name, value in instants.items())},
       {", ".join(f"{value} IS NOT NULL AS has_{name}" for name, value in instants.items())},
       {", ".join(f"{number(value)} AS {name}" for name, value in durations.items())},
       {bad_quantities(durations)} AS bad_durations,
       {"".join(f"{held(places)} AS tag_{name}, " for name, places in log.tags.items())}
       {"".join(f"{number(held(places))} AS meter_{name}, " for name, places in log.meters.items())}
       {_items(log)},
       ({money(held(log.cost))} / {log.cost_scale})::DECIMAL(38, 12) AS provider_reported_cost_usd,
       {hashed(held(log.api_key))} AS api_key_id,
       {_entries(log, held)} AS usage_entries,
       {given_tags(metadata=metadata, tags=listed)} AS tag_entries,
       md5(concat_ws(chr(31), record_number, {content})) AS row_hash
FROM parsed
"""


def _plain_time(value: str) -> str:
    """SQL of a time whose zone Snowflake writes in its own ways: `1787680800.000000000 1440`, `09:00:00.000 -0800`."""
    seconds = f"regexp_replace({value}, '^([0-9]+[.][0-9]+) [0-9]{{4}}$', '\\1')"
    return f"regexp_replace({seconds}, ' ([+-][0-9]{{2}}):?([0-9]{{2}})$', '\\1:\\2')"


def _calls(log: CallLog) -> str:
    if log.parts is None:
        return "SELECT *, 1::INTEGER AS record_number FROM records"
    return f"""
  SELECT * EXCLUDE (held, numbered), numbered.number::INTEGER AS record_number, numbered.part AS {_PART}
  FROM (SELECT *, unnest(list_transform(CASE WHEN len(held) > 0 THEN held ELSE [NULL] END,
                                        lambda p, i: {{'number': i, 'part': p::VARCHAR}})) AS numbered
        FROM (SELECT *, {log.parts} AS held FROM records))"""


def _entries(log: CallLog, held: Callable[[Iterable[str]], str]) -> str:
    objects = [
        f"list_transform(map_entries({_map(usage.place)}), "
        f"lambda e: {{'k': '{usage.label}.' || e.\"key\", 'v': e.\"value\"}})"
        for usage in log.usage
    ]
    single = ", ".join(
        f"{{'k': '{SINGLE}{name}', 'v': {held(places)}}}" for name, places in log.counts.items()
    )
    lists = [*objects, *([f"[{single}]"] if single else [])]
    return f"list_concat({', '.join(lists)})" if len(lists) > 1 else lists[0]


def _quoted(top: str) -> str:
    return f'"{top}"'


def _items(log: CallLog) -> str:
    shape = """from_json(json_extract({}, '$.output'), '[{{"type": "VARCHAR", "action": {{"type": "VARCHAR"}}}}]')"""
    listed = ", ".join(tried(_whole(place), shape) for place in log.answers)
    found = f"coalesce({listed}, NULL)" if listed else "NULL"
    ran = {
        name: f"e.\"type\" = '{name}_call'"
        + (" AND coalesce(e.\"action\".\"type\", 'search') = 'search'" if name == "web_search" else "")
        for name in ITEMS
    }
    counts = (
        {name: f"len(list_filter({found}, lambda e: {which}))" for name, which in ran.items()}
        if listed
        else {}
    )
    limited = {
        name: f"({count} > 0)::INTEGER" if name == "code_interpreter" else count
        for name, count in counts.items()
    }
    limited["grounded"] = f"greatest(0, {', '.join(map(_grounded, log.answers))})" if log.answers else "0"
    return ", ".join(
        f"nullif({limited.get(name, '0')}, 0)::BIGINT AS items_{name}" for name in (*ITEMS, "grounded")
    )


def _grounded(place: str) -> str:
    """SQL of the different queries of Google Search in an answer of Gemini, in its own shape or in OpenAI's."""
    listed = [
        tried(
            f"CASE WHEN contains({_whole(place)}, '{_GROUNDED}') THEN json_extract({_whole(place)}, '$.{name}') END",
            f"""from_json({{}}, '[{{{{"{_GROUNDED}": {{{{"webSearchQueries": ["VARCHAR"]}}}}}}}}]')""",
        )
        for name in ("candidates", "choices")
    ]
    queries = f'list_transform(coalesce({", ".join(listed)}), lambda c: c."{_GROUNDED}"."webSearchQueries")'
    return f"list_unique(list_filter(flatten(list_filter({queries}, lambda q: q IS NOT NULL)), lambda q: q <> ''))"


def _map(place: str) -> str:
    return tried(_whole(place), """from_json({}, '"MAP(VARCHAR, VARCHAR)"')""")


def _split(place: str) -> tuple[str, str]:
    top, dollar, path = place.partition("$")
    return top, f"${path}" if dollar else ""


def _whole(place: str | None) -> str:
    """SQL of what a place holds, as text; other places may lead through it."""
    if place is None:
        return "NULL::VARCHAR"
    top, path = _split(place)
    return tried(_quoted(top), f"json_extract_string({{}}, '{path}')") if path else _quoted(top)


def _scalars(log: CallLog) -> list[str]:
    groups = (log.texts, log.instants, log.durations, log.counts, log.tags, log.meters)
    named = chain.from_iterable(chain.from_iterable(group.values()) for group in groups)
    return [*named, *log.cost, *log.api_key]


def _places(log: CallLog) -> list[str]:
    whole = [place for place in (log.metadata, log.tag_list) if place is not None]
    return [*_scalars(log), *whole, *log.answers, *(usage.place for usage in log.usage)]
