"""Who asked, by a LiteLLM row: tags first, then its columns, then what the metadata knows of the key."""

import json

from tests.models.logs.reading import read_records

ROW = {
    "call_type": "acompletion", "startTime": "2026-11-02T10:00:00Z", "endTime": "2026-11-02T10:00:02Z",
    "model": "gpt-4o", "custom_llm_provider": "openai", "spend": 0.1, "prompt_tokens": 10, "completion_tokens": 2,
    "total_tokens": 12,
}  # fmt: skip
KEY = {"user_api_key_team_id": "kt", "user_api_key_user_id": "ku", "user_api_key_org_id": "ko"}


def test_what_a_row_leaves_empty_the_metadata_of_its_key_tells() -> None:
    rows = [
        {"request_id": "columns", "team_id": "t", "user": "u", "organization_id": "o", "metadata": KEY},
        {"request_id": "key", "team_id": "", "user": "", "metadata": KEY},
        {"request_id": "text", "metadata": json.dumps(KEY | {"user_api_key_user_id": None,
                                                             "user_api_key_end_user_id": "ke"})},
        {"request_id": "tags", "request_tags": '["team:x", "customer:acme"]', "metadata": KEY},
    ]  # fmt: skip
    found = read_records("litellm_spend_logs", [ROW | row for row in rows])
    assert found.select("request_id", "tenant", "team", "user_id").rows() == [
        ("columns", "o", "t", "u"),
        ("key", "ko", "kt", "ku"),
        ("text", "ko", "kt", "ke"),
        ("tags", "acme", "x", "ku"),
    ]
