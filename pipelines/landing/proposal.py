"""A table of one's own: which of its columns are probably the canonical ones, as the lines of a source to paste."""

import json
import re
from collections.abc import Collection

_SYNONYMS = {
    "requests": {
        "request_id": "request_id id call_id uuid response_id",
        "started_at": "started_at time timestamp ts date datetime created created_at start start_time request_time "
        "event_time",
        "finished_at": "finished_at end end_time ended_at completed_at",
        "provider": "provider vendor llm_provider model_provider custom_llm_provider",
        "region": "region location",
        "route": "route endpoint model_group app application service",
        "served_model": "served_model model model_name model_id llm engine",
        "replica_id": "replica_id pod pod_name worker worker_id",
        "input_uncached_tokens": "input_uncached_tokens prompt_tokens input_tokens tokens_in tokens_prompt "
        "prompt_token_count input_token_count num_prompt_tokens",
        "cache_read_tokens": "cache_read_tokens cached_tokens cache_read_input_tokens cached_input_tokens",
        "output_text_tokens": "output_text_tokens completion_tokens output_tokens tokens_out tokens_completion "
        "completion_token_count output_token_count candidates_token_count generated_tokens num_generation_tokens",
        "tenant": "tenant tenant_id customer customer_id client organization org organization_id account account_id",
        "team": "team team_id squad department",
        "user_id": "user_id user username end_user email",
        "session_id": "session_id session conversation_id thread_id chat_id",
        "status": "status",
        "provider_reported_cost_usd": "provider_reported_cost_usd cost cost_usd price spend total_cost",
    },
    "replica_events": {
        "replica_id": "replica_id replica pod pod_name instance instance_id worker worker_id",
        "event": "event event_type state status phase action",
        "event_at": "event_at time timestamp ts date datetime event_time at",
        "deployment": "deployment service app application model_group",
        "model": "model model_name",
        "chip": "chip gpu gpu_type gpu_model accelerator accelerator_type",
        "chip_count": "chip_count gpus gpu_count num_gpus accelerator_count",
        "provider": "provider vendor cloud",
        "region": "region location zone",
        "cluster": "cluster cluster_name",
        "node": "node node_name host hostname",
        "commitment": "commitment capacity_type purchase_option",
        "reason": "reason",
    },
}
"""Names that canonical columns have elsewhere; the first that a table has counts."""
_NEEDED = {
    "requests": ({"started_at"}, {"input_uncached_tokens", "output_text_tokens"}),
    "replica_events": ({"replica_id"}, {"event"}, {"event_at"}),
}
"""Of each set a table must have one to be taken for the kind."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\(.*\)|usd$", "", name.lower()))


def proposed_columns(names: Collection[str], kind: str) -> dict[str, str]:
    """Return which of a table's columns are probably the canonical ones of a kind; none where it is no such table."""
    theirs = {_plain(name): name for name in reversed(list(names))}
    found = {
        canonical: theirs[_plain(word)]
        for canonical, words in _SYNONYMS.get(kind, {}).items()
        for word in words.split()[::-1]
        if _plain(word) in theirs
    }
    is_such = all(any(name in found for name in one_of) for one_of in _NEEDED.get(kind, ({""},)))
    return found if is_such else {}


def proposed_mapping(names: Collection[str], kind: str) -> str | None:
    """Return the line `columns = {...}` of a source; None where nothing is to be mapped."""
    found = proposed_columns(names, kind)
    parts = [f"{canonical} = {json.dumps(name)}" for canonical, name in found.items() if canonical != name]
    needed = {"requests": "provider", "replica_events": "deployment"}[kind] if parts else None
    if needed is not None and needed not in found:
        parts.append(f'{needed} = {{ value = "..." }}')
    return f"columns = {{ {', '.join(parts)} }}" if parts else None


def proposed_source(names: Collection[str], path: str) -> str | None:
    """Return the lines of a source that would take a table; None where it fits none of the generic kinds."""
    kinds = [kind for kind in _SYNONYMS if proposed_columns(names, kind)]
    if not kinds:
        return None
    kind = max(kinds, key=lambda one: len(proposed_columns(names, one)))
    lines = [
        "[[sources]]",
        f'name = "own_{"calls" if kind == "requests" else "replicas"}"',
        f'kind = "{kind}"',
        f"path = {json.dumps(path)}",
    ]
    if (mapping := proposed_mapping(names, kind)) is not None:
        lines.append(mapping)
    notes = []
    if '"..."' in lines[-1]:
        who = (
            "who serves the calls, such as openai"
            if kind == "requests"
            else "what they serve, as requests name it"
        )
        notes.append(f"write in place of ... {who}")
    if kind == "requests":
        notes.append("input_uncached_tokens are without those read from a cache")
    lines += [f"# {'; '.join(notes)}"] * bool(notes)
    return "\n".join(lines)
