"""An HTTP API on the loopback that pages, stumbles and dawdles: records land once, and no token or prompt is kept."""

import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from models.errors import ConfigurationError, DataError
from pipelines.landing.drive import LandingResult, land
from pipelines.sources import http_api
from pipelines.sources.addresses import reachable_addresses
from pipelines.sources.http_api import Clock, on_same_host
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.lake import call, lake, query
from tests.pipelines.loopback import Silent, serving

PROMPT = "zebra crossing at midnight"
SOURCE = """
[[sources]]
name = "api"
kind = "{kind}"
allow_private_addresses = true
url = "{url}/calls"
[sources.api]
token = {{ env = "NANODOLLAR_TEST_TOKEN" }}
requests_per_minute = {rate}
{more}
"""
CURSOR = 'records = "data"\npage_param = "page"\nnext_page = "next"'


@dataclass
class Server:
    """An API of 25 calls, ten a page, that answers some requests as it is told to."""

    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=lambda: [call(number) for number in range(1, 26)])
    stumbles: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NANODOLLAR_TEST_TOKEN", "secret-token")
    api = Server()

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            api.asked.append(asked)
            api.tokens.add(self.headers.get("Authorization"))
            if api.stumbles:
                api.stumbles.pop(0)(self)
                return
            since = asked.get("since", "")
            rows = [row for row in api.calls if row["started_at"] >= since]
            number = int(asked.get("page", "1"))
            part = rows[10 * (number - 1) : 10 * number]
            more = 10 * number < len(rows)
            answer(self, json.dumps({"data": part, "next": number + 1 if more else None, "has_more": more}))

    with serving(Handler) as url:
        api.url = url
        yield api
        api.released.set()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes only while the client sleeps; the pauses that it takes."""
    taken: list[float] = []
    clock = Clock(now=lambda: sum(taken), sleep=taken.append)
    monkeypatch.setitem(http_api.pull_records.__kwdefaults__, "clock", clock)
    return taken


def answer(handler: BaseHTTPRequestHandler, body: str, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body.encode())


def refusing(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: answer(handler, "no", status, **headers)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [{"request_id": "resp-1')
    handler.close_connection = True


def half(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, '{"data": [{"request_id": "resp-1')


def pulled(warehouse: Warehouse) -> LandingResult:
    (source,) = [item for item in warehouse.project.sources if item.name == "api"]
    return land(warehouse, source, run_id="test")


def project(
    folder: Path, server: Server, more: str = CURSOR, kind: str = "requests", rate: int = 60_000
) -> Warehouse:
    return lake(folder, more=SOURCE.format(url=server.url, more=more, kind=kind, rate=rate))


@pytest.mark.parametrize("more", [CURSOR, 'records = "data"\npage_param = "page"'])
@pytest.mark.usefixtures("pauses")
def test_all_pages_land_once(tmp_path: Path, server: Server, more: str) -> None:
    warehouse = project(tmp_path, server, more)

    first, second = pulled(warehouse).metadata(), pulled(warehouse).metadata()

    assert (first["read"], first["landed"], second["files"]) == (25, 25, 0)
    assert query(warehouse, "SELECT count(DISTINCT request_id) FROM raw.requests") == [(25,)]
    assert server.tokens == {"Bearer secret-token"}


@pytest.mark.usefixtures("pauses")
def test_a_later_pull_asks_from_where_the_last_one_ended(tmp_path: Path, server: Server) -> None:
    more = f'{CURSOR}\nsince_param = "since"\ntime_field = "started_at"'
    warehouse = project(tmp_path, server, more)
    pulled(warehouse)
    server.calls.append(call(7200))
    server.asked.clear()

    again = pulled(warehouse).metadata()

    # 25 seconds past nine, less the longest request and the dedupe window.
    assert server.asked[0] == {"since": "2026-11-02T06:00:25Z"}
    assert again["read"] == 1


def test_it_waits_as_long_as_it_is_asked_to_and_longer_each_time(
    tmp_path: Path, server: Server, pauses: list[float]
) -> None:
    server.stumbles = [refusing(429, Retry_After="17"), refusing(500), refusing(503), cut, half]
    warehouse = project(tmp_path, server)

    assert pulled(warehouse).metadata()["read"] == 25
    assert [pause for pause in pauses if pause >= 1] == [17, 2, 4, 8, 16]


def test_a_date_to_wait_for_is_understood(tmp_path: Path, server: Server, pauses: list[float]) -> None:
    server.stumbles = [refusing(429, Retry_After="Fri, 01 Jan 2099 00:00:00 GMT")]
    warehouse = project(tmp_path, server)

    pulled(warehouse)

    assert max(pauses) == 300


@pytest.mark.usefixtures("pauses")
def test_a_slow_page_is_asked_for_again(tmp_path: Path, server: Server) -> None:
    server.stumbles = [lambda _: server.released.wait() and None]
    warehouse = project(tmp_path, server, f"{CURSOR}\ntimeout_seconds = 0.3")

    assert pulled(warehouse).metadata()["read"] == 25


def test_no_more_is_asked_in_a_minute_than_allowed(
    tmp_path: Path, server: Server, pauses: list[float]
) -> None:
    pulled(project(tmp_path, server, rate=20))

    assert pauses == [3, 3]


@pytest.mark.usefixtures("pauses")
def test_an_api_that_stays_down_is_one_sentence_and_keeps_nothing(tmp_path: Path, server: Server) -> None:
    warehouse = project(tmp_path, server)
    server.stumbles = [lambda handler: answer(handler, '{"data": [{"request_id": "resp-x"}], "next": 2}')]
    server.stumbles += [refusing(502)] * 6

    with pytest.raises(DataError, match=r"cannot be read \(it answers 502, 6 times\)"):
        pulled(warehouse)

    assert [*(tmp_path / "warehouse" / "landed" / "api").iterdir()] == []
    assert pulled(warehouse).metadata()["read"] == 25


def test_a_refused_token_is_one_sentence_without_the_token(tmp_path: Path, server: Server) -> None:
    server.stumbles = [refusing(401)]
    warehouse = project(tmp_path, server)

    with pytest.raises(DataError, match=r"refuses the token \(401\)") as caught:
        pulled(warehouse)

    assert "secret-token" not in str(caught.value)


@pytest.mark.usefixtures("pauses")
def test_a_page_that_names_itself_is_refused(tmp_path: Path, server: Server) -> None:
    server.stumbles = [lambda handler: answer(handler, '{"data": [], "next": 1}')] * 3
    warehouse = project(tmp_path, server)

    with pytest.raises(DataError, match="again and again"):
        pulled(warehouse)


@pytest.mark.usefixtures("pauses")
def test_what_the_format_does_not_read_is_not_kept(tmp_path: Path, server: Server) -> None:
    server.calls = [call(1, prompt=PROMPT, messages=[{"content": PROMPT}])]
    warehouse = project(tmp_path, server)

    pulled(warehouse)

    (extract,) = (tmp_path / "warehouse" / "landed" / "api").iterdir()
    text = gzip.decompress(extract.read_bytes()).decode()
    assert "resp-00000001" in text
    assert PROMPT not in text


@pytest.mark.usefixtures("pauses")
def test_of_fields_that_hold_anything_only_what_is_read_is_kept(tmp_path: Path, server: Server) -> None:
    observation = {
        "id": "o1", "traceId": "t", "type": "GENERATION", "startTime": "2026-11-02T09:00:00Z", "started_at": "",
        "usageDetails": {"input": 10, "output": 5}, "modelParameters": {"service_tier": "flex", "stop": PROMPT},
        "metadata": {"ls_provider": "openai", "note": PROMPT}, "input": PROMPT, "output": PROMPT,
    }  # fmt: skip
    server.calls = [observation]
    warehouse = project(tmp_path, server, kind="langfuse_export")

    pulled(warehouse)

    (extract,) = (tmp_path / "warehouse" / "landed" / "api").iterdir()
    assert PROMPT not in gzip.decompress(extract.read_bytes()).decode()
    landed = query(warehouse, "SELECT provider, service_tier, input_uncached_tokens FROM raw.requests")
    assert landed == [("openai", "flex", 10)]


@pytest.mark.usefixtures("pauses")
def test_series_of_an_answer_land_with_what_the_others_say_of_their_pod(
    tmp_path: Path, server: Server
) -> None:
    told = {"uid": "u", "container": "c", "resource": "nvidia_com_gpu", "label_app": "llm"}
    values = {
        "kube_pod_created": "1793610000", "kube_pod_status_ready_time": "1793610300",
        "kube_pod_container_resource_requests": "8", "kube_pod_labels": "1",
    }  # fmt: skip
    server.calls = [
        {"started_at": "", "metric": {"__name__": name, **told}, "value": [1793620000, value]}
        for name, value in values.items()
    ]
    warehouse = project(tmp_path, server, 'records = "data"', kind="k8s_ksm")

    pulled(warehouse)

    rows = query(warehouse, "SELECT event, deployment, chip_count FROM raw.replica_events ORDER BY event_at")
    assert rows == [("requested", "llm", 8), ("ready", "llm", 8)]


@pytest.mark.parametrize(
    "kind", ["openai_response", "vertex_request_log", "helicone_export", "k8s_pod", "k8s_event"]
)
def test_a_format_with_prompts_inside_is_not_pulled(tmp_path: Path, server: Server, kind: str) -> None:
    warehouse = project(tmp_path, server, kind=kind)

    with pytest.raises(ConfigurationError, match="kinds without prompts in them read https"):
        pulled(warehouse)


@pytest.mark.parametrize("way", ["next_page", "302", "307"])
def test_a_token_never_leaves_the_host_of_the_setting(tmp_path: Path, server: Server, way: str) -> None:
    stolen: list[str | None] = []

    class Thief(Silent, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stolen.append(self.headers.get("Authorization"))
            answer(self, '{"data": []}')

    with serving(Thief) as elsewhere:

        def send_away(handler: BaseHTTPRequestHandler) -> None:
            if way == "next_page":
                answer(handler, json.dumps({"data": [], "next": f"{elsewhere}/calls"}))
                return
            handler.send_response(int(way))
            handler.send_header("Location", f"{elsewhere}/calls")
            handler.end_headers()

        server.stumbles = [send_away]
        with pytest.raises(DataError, match=rf"sends on to {elsewhere}, which is not asked, as tokens stay"):
            pulled(project(tmp_path, server, CURSOR))

    assert stolen == []


def test_a_redirect_on_the_same_host_is_followed(tmp_path: Path, server: Server) -> None:
    def send_on(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(308)
        handler.send_header("Location", "/calls?page=3")
        handler.end_headers()

    server.stumbles = [send_on]
    assert pulled(project(tmp_path, server, CURSOR)).metadata()["read"] == 5


@pytest.mark.parametrize(
    ("following", "is_followed"),
    [
        ("/v2?page=2", True),
        ("?page=2", True),
        ("https://api.example.com/v2", True),
        ("https://API.example.com:443/v2", True),
        ("http://api.example.com/v2", False),
        ("https://api.example.com:8443/v2", False),
        ("https://api.example.com.evil.example/v2", False),
        ("https://api.example.com@evil.example/v2", False),
        ("//evil.example/v2", False),
        ("ftp://api.example.com/v2", False),
        ("https://[broken", False),
    ],
)
def test_the_next_page_is_on_the_host_of_the_setting(following: str, is_followed: bool) -> None:
    setting = "https://api.example.com/v1"
    if is_followed:
        assert on_same_host(setting, setting, following).lower().startswith("https://api.example.com/")
    else:
        with pytest.raises(DataError):
            on_same_host(setting, setting, following)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "localhost",
            "127.9.9.9",
            "2130706433",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd20:ce::254",
        ),
        *("::1", "::", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "fe80::1", "fd00:ec2::254", "224.0.0.1"),
    ],
)
def test_this_machine_and_its_metadata_service_are_asked_only_if_allowed(host: str) -> None:
    with pytest.raises(ConfigurationError, match="allow_private_addresses = true"):
        reachable_addresses(host, 80, is_private_allowed=False)
    assert reachable_addresses(host, 80, is_private_allowed=True)
    assert reachable_addresses("10.0.0.7", 80, is_private_allowed=False) == ["10.0.0.7"]


@pytest.mark.parametrize("kind", ["requests", "litellm_spend_logs"])
def test_a_source_on_this_machine_is_refused_before_it_is_asked(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    is_table = kind == "litellm_spend_logs"
    address = "postgresql://u:p@localhost:9/litellm" if is_table else f"{server.url}/calls"
    monkeypatch.setenv("NANODOLLAR_TEST_ADDRESS", address)
    settings = f'[[sources]]\nname = "api"\nkind = "{kind}"\nurl = {{env = "NANODOLLAR_TEST_ADDRESS"}}\n'

    with pytest.raises(ConfigurationError, match="allow_private_addresses = true"):
        pulled(lake(tmp_path, more=settings))
    assert server.asked == []


def test_a_page_without_an_end_is_left(tmp_path: Path, server: Server) -> None:
    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not server.released.is_set():
                handler.wfile.write(b" " * (1 << 16))

    server.stumbles = [pour]
    with pytest.raises(DataError, match="more than 1 MB in one page; ask for smaller pages"):
        pulled(project(tmp_path, server, f"{CURSOR}\nmax_page_mb = 1"))


def test_an_answer_nested_without_end_is_one_sentence(tmp_path: Path, server: Server) -> None:
    server.stumbles = [lambda handler: answer(handler, "[" * 200_000)]
    with pytest.raises(DataError, match="nested too deeply"):
        pulled(project(tmp_path, server, CURSOR))
