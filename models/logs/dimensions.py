"""Who asked: tenant, team, user and class of work, from the tags and attributes that callers give.

A column that the format fills by itself stays; else the first tag of its list that the record has fills it. A project
may name other tags in nanodollar.toml, which come before all else.
"""

from collections.abc import Mapping

import polars as pl

from models.records import tried

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
SAME_TAGS: dict[str, tuple[str, ...]] = {
    "environment": (
        "environment", "deployment.environment.name", "deployment.environment", "langfuse.environment", "env",
    ),
    "feature": ("feature", "feature.name", "feature_name"),
}  # fmt: skip
"""A tag that has one name in marts, and the names that logs give it."""


def tag_of(names: tuple[str, ...], entries: str = "tag_entries") -> pl.Expr:
    """Return the text of the first of some tags that a list of `key` and `value` has."""
    key, value = pl.element().struct.field("key"), pl.element().struct.field("value")
    found = pl.coalesce(
        pl.col(entries).list.eval(value.filter((key == name) & (value != ""))).list.first() for name in names
    )
    return pl.when(pl.col(entries).list.len() > 0).then(found)


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
    known = ", ".join(f"'{name}'" for name in sorted(KNOWN))
    is_known = f"e.key IN ({known}) OR coalesce(contains(',' || {WANTED} || ',', ',' || e.key || ','), false)"
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
        dimensions: column -> names of tags, of which the first that a row has counts.
    """
    schema = frame.collect_schema()
    if not dimensions or "tags" not in schema:
        return frame
    entries = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))
    tagged = frame.with_columns(pl.col("tags").cast(entries).alias("all_tags"))
    filled = (
        pl.coalesce(tag_of(names, "all_tags"), *([name] if name in schema else [])).alias(name)
        for name, names in dimensions.items()
    )
    return tagged.with_columns(filled).drop("all_tags")
