"""What a gateway's or an observer's log of calls looks like: where a record holds what.

A place is a top-level field, or a path inside the JSON of one: `model`, `response$.body.usage`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

Places = Mapping[str, tuple[str, ...]]
"""A field of ours and its places; the first that is present counts."""

TEXTS = (
    "request_id",
    "logical_request_id",
    "response_id",
    "provider",
    "region",
    "route",
    "requested_model",
    "routed_model",
    "served_model",
    "replica_id",
    "tier",
    "tenant",
    "team",
    "user_id",
    "session_id",
    "operation_name",
    "state",
    "code",
    "error_class",
    "cache_state",
    "trace_id",
    "span_id",
    "parent_id",
    "span_kind",
    "attempt",
    "environment",
    "currency",
)
"""Texts that a log may have, beside those that its own `amend` asks for."""
INSTANTS = ("started", "ended", "first_token")
DURATIONS = ("latency", "first_token_after", "queue")
"""From the start to the end; from the start to the first token; before work began."""


@dataclass(frozen=True, kw_only=True)
class UsagePlaces:
    """Where counts lie.

    Attributes:
        place: the place of an object of names and numbers.
        side: `input` or `output` where all its counts are of one side and their names do not say so.
        is_mixed: whether it holds other things too: then names of tokens alone are counts.
    """

    place: str
    side: str = ""
    is_mixed: bool = False

    @property
    def label(self) -> str:
        """What stands before the names of its counts."""
        return self.place.removeprefix("part$.").replace("$", "")


@dataclass(frozen=True, kw_only=True)
class CallLog:
    """One log of calls.

    Attributes:
        kind: name in nanodollar.toml.
        texts: places of TEXTS, and of what `amend` asks for.
        instants: places of INSTANTS.
        durations: places of DURATIONS.
        duration_scale: how many of a duration's unit a second has.
        usage: objects of counts, the first before the others.
        counts: a name as usage objects spell it (`input_tokens`) and the places of that single count; they come after
            what the objects hold.
        answers: places of what a provider answered, whose items tell which of its tools ran.
        cost: places of what the source says that the call cost: its own estimate.
        cost_scale: how many of the cost's unit a dollar has.
        api_key: places of the key, or of its name; only its keyed hash is kept.
        metadata: place of an object of what the caller says of the call.
        tag_list: place of a list of tags such as `team:x`.
        tags: places of what is kept as a tag.
        meters: places of what is counted beside tokens, as a meter of that name.
        parts: SQL over `records` of a list of JSON objects, each a call of which `part` holds what is its own; NULL or
            empty where the record is one call.
        own_columns: more top-level fields that `parts` reads.
        amend: a last word on the selected columns, before tokens are made disjoint. It may set `provider`, `is_hit`
            (the gateway answered from its own cache), `is_error`, `is_cancelled`, `is_ignored` (no call), `is_sum` (it
            sums the calls beneath it), `cache_apart` (the input excludes the cache where nothing proves it).
        signature: what tells the format.
        rank: place in the order of detection.
        formats: file formats.
        ignores_case: whether columns and top-level fields are found whatever the case of their letters.
    """

    kind: str
    texts: Places
    instants: Places
    signature: tuple[frozenset[str], ...]
    rank: int
    durations: Places = field(default_factory=dict)
    duration_scale: float = 1000
    usage: tuple[UsagePlaces, ...] = ()
    counts: Places = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()
    cost_scale: int = 1
    api_key: tuple[str, ...] = ()
    metadata: str | None = None
    tag_list: str | None = None
    tags: Places = field(default_factory=dict)
    meters: Places = field(default_factory=dict)
    parts: str | None = None
    own_columns: tuple[str, ...] = ()
    amend: Callable[[pl.LazyFrame], pl.LazyFrame] = lambda frame: frame
    formats: tuple[str, ...] = ("jsonl", "csv", "parquet")
    ignores_case: bool = False
