"""A usage API on the loopback: its buckets come page by page, and one that has grown replaces what it was."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines.landing.drive import land
from pipelines.steps import ops_completeness
from pipelines.steps.base import Window
from pipelines.steps.inputs import Inputs
from tests.pipelines.landing.lake import lake, query
from tests.pipelines.loopback import Silent, serving

NINE = 1_793_610_000
SOURCE = """
[[sources]]
name = "usage"
kind = "openai_usage_api"
url = "{url}/v1/organization/usage/completions"
allow_private_addresses = true
[sources.api]
token = {{ env = "NANODOLLAR_TEST_TOKEN" }}
params = {{ start_time = 1793577600, bucket_width = "1h", "group_by[]" = ["model", "project_id"] }}
records = "data"
page_param = "page"
next_page = "next_page"
since_param = "start_time"
since_format = "unix"
time_field = "start_time"
requests_per_minute = 60000
"""


@dataclass
class Usage:
    """Calls by hour since nine, two buckets a page."""

    url: str = ""
    calls: list[int] = field(default_factory=lambda: [3, 5, 8, 1, 2])
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def page(self, asked: dict[str, list[str]]) -> str:
        (since,) = asked["start_time"]
        (at_text,) = asked.get("page", ["page-0"])
        at = int(at_text.removeprefix("page-"))
        buckets = [
            {"object": "bucket", "start_time": NINE + 3600 * hour, "end_time": NINE + 3600 * (hour + 1),
             "results": [{"object": "organization.usage.completions.result", "model": "gpt-4o-mini",
                          "input_tokens": 10 * calls, "input_cached_tokens": 0, "output_tokens": calls,
                          "num_model_requests": calls, "api_key_id": None}]}
            for hour, calls in enumerate(self.calls) if NINE + 3600 * hour >= int(since)
        ]  # fmt: skip
        more = at + 2 < len(buckets)
        following = f"page-{at + 2}" if more else None
        return json.dumps(
            {"object": "page", "data": buckets[at : at + 2], "has_more": more, "next_page": following}
        )


@pytest.fixture
def usage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Usage]:
    monkeypatch.setenv("NANODOLLAR_TEST_TOKEN", "secret-token")
    api = Usage()

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            api.asked.append(asked)
            body = api.page(asked).encode()
            self.send_response(200 if self.headers["Authorization"] == "Bearer secret-token" else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as url:
        api.url = url
        yield api


def test_buckets_of_all_pages_count_once_and_one_that_grew_replaces_what_it_was(
    tmp_path: Path, usage: Usage
) -> None:
    warehouse = lake(tmp_path, more=SOURCE.format(url=usage.url))
    (source,) = [item for item in warehouse.project.sources if item.name == "usage"]
    midnight = datetime(2026, 11, 2, tzinfo=UTC)

    def counted() -> list[int]:
        with warehouse.reading() as con:
            later = midnight + timedelta(days=1)
            window = Window(midnight, later, later, "UTC")
            rows = ops_completeness.compute(Inputs(con, warehouse.project), window)["ops.completeness"]
        return rows.sort("bucket_hour")["counted_count"].to_list()

    land(warehouse, source, run_id="test")
    assert counted() == [3, 5, 8, 1, 2]
    assert [one.get("page") for one in usage.asked] == [None, ["page-2"], ["page-4"]]
    assert [one["group_by[]"] for one in usage.asked] == [["model", "project_id"]] * 3

    # The last hour was still running; the next pull asks again from three hours before it.
    usage.asked.clear()
    usage.calls[4:] = [7, 9]
    land(warehouse, source, run_id="test")

    assert counted() == [3, 5, 8, 1, 7, 9]
    assert usage.asked[0]["start_time"] == [str(NINE + 3600)]
    landed = "SELECT count(*), count(DISTINCT dedupe_key) FROM raw.usage_counters"
    assert query(warehouse, landed) == [(7, 6)]
