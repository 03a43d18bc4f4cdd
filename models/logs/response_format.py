"""What a provider's response object looks like: where it holds what, and what its totals include."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from models.logs.tokens import TokenRule

Paths = Mapping[str, tuple[str, ...]]
"""A field of ours and the JSON paths where a response holds it; the first that is present counts."""


@dataclass(frozen=True, kw_only=True)
class ResponseFormat:
    """One provider's response object.

    Attributes:
        kind: name in nanodollar.toml.
        provider: who answered, where the record does not say; None for a shape that many providers return, of
            which marks and names tell who it was (served_by.py), if anything does.
        fields: paths of `response_id, model, created, ended, tier, state, error_class, object, region`,
            `batch_key` (what names a line of a batch's results), `call_id` (the id of a further call that has one of
            its own), and of what `amend` asks for.
        counts: paths of `prompt, completion, total`, of token parts, and of what `amend` asks for.
        counts_sql: the same as SQL over the fields `m` of the body, where a path cannot tell.
        own_counts: of a response whose counts stand among other fields: the object that holds them (`$` is the
            response), and what they are called beside names of tokens.
        lists: paths that `counts_sql` and `meters_sql` read.
        seconds: paths of durations; `queue` becomes queue_seconds.
        seconds_scale: how many of a duration's unit a second has.
        meters: paths of what is counted beside tokens.
        meters_sql: the same as SQL over `m`.
        columns_sql: SQL over `events` and `m`, for `amend`.
        tags: paths of what is kept as a tag.
        rule: what the totals include.
        signature: what tells the format.
        rank: place in the order of detection.
        beside: more top-level fields that paths may name in an envelope too.
        calls_sql: SQL over the JSON `body` of what to patch into it for each call that an answer consists of, with
            `usage` in it where that call has tokens; NULL where it is one call.
        nested: top-level fields that hold the response, each with the path inside it.
        bare_when: top-level field whose presence says that the record is the response itself.
        tiers: the provider's words for service tiers.
        operations: `object` -> operation; others are `operation`.
        operation: what a response of no listed object is.
        id_pattern: what an id looks like that no two responses share.
        first_token_after: durations that pass before the first token.
        finished_after: durations that pass before the end.
        created_at_end: whether `created` is the end, not the start.
        amend: a last word on the selected columns, before tokens are made disjoint.
    """

    kind: str
    provider: str | None
    fields: Paths
    counts: Paths
    signature: tuple[frozenset[str], ...]
    rank: int
    counts_sql: Mapping[str, str] = field(default_factory=dict)
    own_counts: tuple[str, str] | None = None
    lists: tuple[str, ...] = ()
    seconds: Paths = field(default_factory=dict)
    seconds_scale: float = 1
    meters: Paths = field(default_factory=dict)
    meters_sql: Mapping[str, str] = field(default_factory=dict)
    columns_sql: Mapping[str, str] = field(default_factory=dict)
    tags: Paths = field(default_factory=dict)
    rule: TokenRule = field(default_factory=TokenRule)
    beside: tuple[str, ...] = ()
    calls_sql: str | None = None
    nested: Mapping[str, str] = field(default_factory=lambda: {"response": "$"})
    bare_when: str | None = None
    tiers: Mapping[str, str] = field(default_factory=dict)
    operations: Mapping[str, str] = field(default_factory=dict)
    operation: str = "chat"
    id_pattern: str = "."
    first_token_after: tuple[str, ...] = ()
    finished_after: tuple[str, ...] = ()
    created_at_end: bool = False
    amend: Callable[[pl.LazyFrame], pl.LazyFrame] = lambda frame: frame
