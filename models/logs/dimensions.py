"""Who asked: tenant, team, user and class of work, from the tags and attributes that callers give.

A column that the format fills by itself stays; else the first tag of its list that the record has fills it. A project
may name other tags in nanodollar.toml, which come before all else.
"""

from collections.abc import Mapping

import polars as pl

from models.logs.picking import Place, picked
from models.records import tried, with_map
from models.schemas.vocabulary import SAME_TAGS, TAGGED

_LONGEST = 200
"""A longer text is no tag."""
TAGS: dict[str, tuple[str, ...]] = {
    "tenant": (
        "tenant", "tenant_id", "tenantId", "tenant.id", "organization", "organization_id", "organization.id", "org",
        "org_id", "org.id", "customer", "customer_id", "customerId", "customer.id", "account_id", "account.id",
        "user_api_key_org_id",
    ),
    "team": ("team", "team_id", "teamId", "team.id", "team_alias", "user_api_key_team_id",
        "user_api_key_team_alias"),
    "user_id": (
        "user", "user_id", "userId", "user.email", "user.account_uuid", "user.account_id", "user.id", "enduser.id",
        "langfuse.user.id", "end_user", "end_user_id", "user_api_key_user_id",
    ),
    "session_id": ("session_id", "sessionId", "conversation_id", "thread_id", "chat_id"),
    "task_class": ("task_class", "taskClass"),
}  # fmt: skip
"""Column -> the tags that fill it, the first before the others. Feature and environment stay tags."""


_PLACES = {
    name.lower(): (f"tag_{column}", rank)
    for column, names in (TAGS | SAME_TAGS).items()
    for rank, name in enumerate(names)
}
_FIELDS = tuple(f"tag_{column}" for column in TAGS | SAME_TAGS)


def with_tag_columns(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Add a text column `tag_*` for each column of TAGS and SAME_TAGS: what the record's tags say of it.

    Args:
        frame: column `tag_entries`, lists of `key` and `value`.
    """
    schema = pl.Schema([*frame.collect_schema().items(), *((name, pl.String()) for name in _FIELDS)])
    return frame.map_batches(
        lambda rows: rows.with_columns(_said(rows["tag_entries"], _PLACES, _FIELDS)),
        predicate_pushdown=False,
        projection_pushdown=False,
        schema=schema,
    )


def _said(tags: pl.Series, places: Mapping[str, Place], fields: tuple[str, ...]) -> list[pl.Series]:
    rows = pl.DataFrame({"entry": tags}).with_row_index("row").filter(pl.col("entry").list.len() > 0)
    entries = (
        rows.explode("entry").unnest("entry").select("row", k=pl.col("key").str.to_lowercase(), v="value")
    )
    entries = entries.filter(pl.col("k").is_in(list(places)) & (pl.col("v") != ""))
    *columns, _ = picked(entries, places, fields, (), len(tags))
    return columns


KNOWN = frozenset(
    {
        *(name for names in (*TAGS.values(), *SAME_TAGS.values()) for name in names),
        "project", "project_id", "project_name", "project.id", "cost_center", "cost_centre", "department", "app",
        "application", "service", "agent", "agent_name", "workflow", "department_id", "business_unit",
    }
)  # fmt: skip
"""Names of tags that are kept of metadata, which may hold anything; a project names more of them."""
WANTED = "getvariable('tag_names')::VARCHAR"
"""SQL of the names that the project wants beside, comma-separated; NULL where it wants none."""


def given_tags(*, metadata: str, tags: str) -> str:
    """SQL of a list of `key` and `value`: known texts of a metadata object, and a list of tags such as `team:x`.

    Args:
        metadata: SQL of a JSON object as text.
        tags: SQL of a JSON list of texts; a tag without a value has the value `true`.
    """
    held = tried(metadata, """from_json({}, '"MAP(VARCHAR, VARCHAR)"')""")
    known = ", ".join(f"'{name}'" for name in sorted({name.lower() for name in KNOWN}))
    is_known = (
        f"lower(e.key) IN ({known}) OR coalesce(contains(',' || {WANTED} || ',', ',' || e.key || ','), false)"
    )
    short = f"length(e.value) BETWEEN 1 AND {_LONGEST} AND NOT starts_with(e.value, '{{') AND ({is_known})"
    entries = f"list_filter(map_entries({held}), lambda e: coalesce({short}, false))"
    listed = tried(tags, """from_json({}, '["VARCHAR"]')""")
    some = f"list_filter({listed}, lambda t: length(t) BETWEEN 1 AND {_LONGEST} AND t NOT LIKE 'User-Agent%')"
    pairs = (
        f"list_transform({some}, lambda t: {{'key': split_part(t, ':', 1), "
        "'value': CASE WHEN contains(t, ':') THEN trim(substr(t, instr(t, ':') + 1)) ELSE 'true' END})"
    )
    return f"list_concat({pairs}, {entries})"


def with_dimensions(frame: pl.LazyFrame, dimensions: Mapping[str, tuple[str, ...]]) -> pl.LazyFrame:
    """Fill columns by the tags that the project names, before what the format fills by itself.

    Args:
        frame: canonical rows, `tags` among them.
        dimensions: column -> names of tags, of which the first that a row has counts. What is kept as a tag (TAGGED)
            is then the tag of that name.
    """
    schema = frame.collect_schema()
    if not dimensions or "tags" not in schema:
        return frame
    pairs = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))
    places = {
        name.lower(): (column, rank)
        for column, names in dimensions.items()
        for rank, name in enumerate(names)
    }

    def fill(rows: pl.DataFrame) -> pl.DataFrame:
        columns = _said(rows["tags"].cast(pairs), places, tuple(dimensions))
        return rows.with_columns(
            pl.coalesce(column, *([column.name] if column.name in schema else [])).alias(column.name)
            for column in columns
        )

    more = {name: pl.String() for name in dimensions if name not in schema}
    filled = frame.map_batches(
        fill,
        predicate_pushdown=False,
        projection_pushdown=False,
        schema=pl.Schema([*schema.items(), *more.items()]),
    )
    kept = [name for name in TAGGED if name in dimensions]
    if not kept:
        return filled
    held = filled.with_columns(held_tags=pl.col("tags").cast(pairs))
    return with_map(held, "tags", {name: pl.col(name) for name in kept}, pl.String, more="held_tags").drop(
        "held_tags", *kept
    )
