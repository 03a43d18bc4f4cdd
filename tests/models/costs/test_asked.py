from datetime import UTC, datetime

from models.costs.asked import with_asked
from models.schemas import table

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)


def test_tags_say_who_asked_and_an_end_before_the_start_is_not_known() -> None:
    rows = [
        {"started_at": AT, "first_token_at": AT.replace(second=2), "finished_at": AT.replace(minute=1)},
        {"started_at": AT, "finished_at": AT.replace(hour=8)},
    ]
    plain = with_asked(table("core.requests").frame(rows))
    tagged = with_asked(
        table("core.requests").frame(
            [{"started_at": AT, "tags": {"env": "staging", "feature": "", "agent": "planner"}}, rows[1]]
        )
    )

    assert plain.select("feature", "first_token_seconds", "duration_seconds").rows() == [
        (None, 2.0, 60.0),
        (None, None, None),
    ]
    assert tagged.select("environment", "feature", "agent").rows() == [
        ("staging", None, "planner"),
        (None, None, None),
    ]
