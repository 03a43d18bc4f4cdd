"""Audiences: nobody sees a row, a name or a dollar of others, on no page, in no file and by no query."""

import io
import re
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from starlette.testclient import TestClient

from models.errors import ConfigurationError
from models.schemas import tables
from models.schemas.base import duckdb_type
from pipelines.explorer.app import explorer
from pipelines.explorer.page import pages
from pipelines.project import Project, find_project
from tests.pipelines.small import nanodollar

SPAN = "from=2026-11-02&to=2026-11-03"
SETTINGS = """
[explorer]
user_header = "X-Forwarded-User"
proxy_token = { env = "PROXY" }
hosts = ["costs.example.com"]
[[explorer.audiences]]
name = "acme_lead"
view = "manager"
tenants = ["acme"]
token = { env = "LEAD" }
[[explorer.audiences]]
name = "acme_member"
view = "person"
tenants = ["acme"]
users = ["ann@example.com"]
[[explorer.audiences]]
name = "everybody"
view = "person"
users = ["*"]
[[explorer.audiences]]
name = "carl"
view = "person"
user_ids = ["c-17"]
token = { env = "CARL" }
[[explorer.audiences]]
name = "board"
view = "executive"
token = { env = "BOARD" }
[[explorer.audiences]]
name = "finops"
view = "central"
token = { env = "FINOPS" }
"""
TOKENS = {
    name: f"{name.lower()}-token-of-many-letters" for name in ("PROXY", "LEAD", "BOARD", "FINOPS", "CARL")
}


KEPT = {"price_state", "cost_basis", "component", "status", "usage_source", "tenant", "layer", "user_id"}
"""Texts that say what a row is."""


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKENS[name]}", "accept": "text/html"}


def proxied(user: str) -> dict[str, str]:
    return {"x-forwarded-user": user, "x-nanodollar-proxy": TOKENS["PROXY"], "accept": "text/html"}


PROXIED = proxied("ann@example.com")


@pytest.fixture(scope="module")
def shared(company: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The company as one of two tenants: every row of `acme` has a twin of `rival`, in whose texts rival stands."""
    folder = tmp_path_factory.mktemp("shared") / "company"
    folder.mkdir()
    shutil.copy(company.folder / "nanodollar.toml", folder)
    settings = folder / "nanodollar.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + SETTINGS, encoding="utf-8")
    project = find_project(folder)
    project.published.parent.mkdir()
    shutil.copy(company.published, project.published)
    with duckdb.connect(str(project.published)) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(
            "UPDATE core.requests SET user_id = CASE hash(request_id) % 3 WHEN 0 THEN 'ann@example.com' "
            "WHEN 1 THEN 'c-17' ELSE 'bob@example.com' END"
        )
        for table in tables().values():
            if table.select is not None or table.schema == "raw":
                continue
            texts = [column for column in table.columns if duckdb_type(column.dtype) == "VARCHAR"]
            change = ", ".join(
                f"'rival ' || coalesce({column.name}, '') AS {column.name}"
                for column in texts
                if column.name not in KEPT
            )
            if "tenant" in table.column_names:
                con.execute(f"UPDATE {table.dotted} SET tenant = 'acme'")
                twin = ", ".join(["'rival' AS tenant", *([change] if change else [])])
                con.execute(
                    f"INSERT INTO {table.dotted} BY NAME SELECT * REPLACE ({twin}) FROM {table.dotted}"
                )
            elif (
                table.dotted not in {"ref.token_prices", "ref.models", "ref.chips", "ops.closed_periods"}
                and change
            ):
                con.execute(f"CREATE TEMP TABLE changed AS SELECT * REPLACE ({change}) FROM {table.dotted}")
                con.execute(f"DELETE FROM {table.dotted}")
                con.execute(f"INSERT INTO {table.dotted} FROM changed")
                con.execute("DROP TABLE changed")
    return project


@pytest.fixture(scope="module")
def client(shared: Project) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        for name, token in TOKENS.items():
            patch.setenv(name, token)
        yield TestClient(explorer(shared), base_url="http://127.0.0.1:8765", follow_redirects=False)


def test_rows_of_others_are_nowhere(client: TestClient) -> None:
    whole = client.get(f"/spend?{SPAN}", headers=bearer("FINOPS")).text
    assert "rival" in client.get(f"/who?{SPAN}", headers=bearer("FINOPS")).text
    for headers in (bearer("LEAD"), PROXIED):
        seen = []
        for page in pages():
            answer = client.get(f"{page.path}?{SPAN}", headers=headers)
            assert answer.status_code in {200, 403}, (page.path, answer.text)
            assert "rival" not in answer.text, page.path
            if answer.status_code == 403:
                continue
            seen.append(page.path)
            for name in re.findall(r'<section class="figure" id="(\w+)">', answer.text):
                file = client.get(f"{page.path}?{SPAN}&figure={name}&format=csv", headers=headers)
                assert "rival" not in file.text, (page.path, name)
        assert {"/spend", "/prices", "/requests", "/request"} <= {*seen}
        assert {"/who", "/models"} <= {*seen} or headers is PROXIED
        assert not {"/savings", "/pools", "/invoices", "/coverage", "/cold-starts"} & {*seen}
        for hostile in ("rival r1", "r1' OR tenant = 'rival", "rival f1"):
            assert "knows no attempt" in client.get("/request", params={"id": hostile}, headers=headers).text
        own = client.get(f"/spend?{SPAN}&tenant=rival", headers=headers).text
        assert "Nothing in this period" in own or "<data" not in own or "$0" not in own
    [total] = re.findall(r'data-column="usd"[^>]*><data value="([\d.]+)"', whole)[:1]
    assert total not in client.get(f"/spend?{SPAN}", headers=bearer("LEAD")).text


def test_the_rows_of_an_audience_are_a_file_for_whoever_reads_it_by_sql(
    shared: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, token in TOKENS.items():
        monkeypatch.setenv(name, token)
    file = tmp_path / "acme.duckdb"
    for _ in range(2):  # The second takes the place of the first.
        made = nanodollar(shared, "publish", "--audience", "acme_lead", "--to", str(file))
        assert made.code == 0, made.err
    assert b"rival" not in file.read_bytes()
    with duckdb.connect(str(file), read_only=True) as con:
        ((spend,),) = con.execute("SELECT sum(usd) FROM mart.spend_daily WHERE tenant = 'acme'").fetchall()
    with duckdb.connect(str(shared.published), read_only=True) as con:
        whole = con.execute("SELECT sum(usd) FROM mart.spend_daily WHERE tenant = 'acme'").fetchall()
    assert whole == [(spend,)]
    for name, sentence in (
        ("finops", "sees all rows"),
        ("acme_led", "acme_lead"),
        ("everybody", "add user_ids"),
    ):
        refused = nanodollar(shared, "publish", "--audience", name, "--to", str(file))
        assert (refused.code, sentence in refused.err) == (2, True), refused.err


def test_a_person_sees_the_requests_that_name_this_user_alone(client: TestClient, shared: Project) -> None:
    def own(condition: str) -> tuple[set[str], Decimal]:
        with duckdb.connect(str(shared.published), read_only=True) as con:
            rows = con.execute(
                "SELECT c.request_id, c.effective_usd FROM core.request_costs c "
                f"JOIN (FROM core.requests WHERE {condition}) USING (source, request_id, started_at) "
                "WHERE c.accrued_on BETWEEN DATE '2026-11-02' AND DATE '2026-11-03'"
            ).fetchall()
        return {name for name, _ in rows}, sum((usd for _, usd in rows if usd), Decimal(0))

    def file(path: str, name: str, headers: dict[str, str]) -> pl.DataFrame:
        answer = client.get(f"{path}?{SPAN}&figure={name}&format=parquet", headers=headers)
        assert answer.status_code == 200, answer.text
        return pl.read_parquet(io.BytesIO(answer.content))

    everything, _ = own("true")
    people = {
        "user_id = 'ann@example.com' AND tenant = 'acme'": PROXIED,
        "user_id = 'bob@example.com'": proxied("bob@example.com"),
        "user_id = 'c-17'": bearer("CARL"),
        "user_id = 'dan@example.com'": proxied("dan@example.com"),
    }
    for condition, headers in people.items():
        ids, usd = own(condition)
        assert {*file("/requests", "dearest", headers)["request_id"]} == ids
        assert (file("/spend", "parts", headers)["usd"].sum() or 0) == usd
        _, in_sessions = own(f"{condition} AND coalesce(session_id, trace_id) IS NOT NULL")
        assert (file("/requests", "sessions", headers)["usage_usd"].sum() or 0) == in_sessions
        for other in everything - ids:
            assert "knows no attempt" in client.get("/request", params={"id": other}, headers=headers).text
        whole = client.get(f"/spend?{SPAN}&by=component&basis=available", headers=headers).text
        assert "gpu_idle" not in whole
        assert "All that was billed" not in whole
        for page in ("/who", "/models", "/routing", "/sql"):
            refused = client.get(page, headers=headers)
            assert refused.status_code == 403
            assert "not users, so nothing on it is yours alone" in refused.text
        assert (
            "nothing tells whose the rows of mart.gpu_bill_daily"
            in client.get("/prices", headers=headers).text
        )


@pytest.mark.parametrize(
    "query",
    [
        "SELECT DISTINCT tenant FROM mart.cost_per_token_daily",
        "SELECT tenant FROM core.request_costs UNION SELECT tenant FROM core.requests",
        "FROM mart.savings",
        "SELECT table_name, estimated_size FROM duckdb_tables() WHERE table_name IN ('savings', 'pool_hours')",
        "SUMMARIZE mart.spend_daily",
        "FROM published.mart.spend_daily",
        "FROM explain_cost('rival r1')",
    ],
)
def test_no_query_finds_rows_of_others(client: TestClient, query: str) -> None:
    answer = client.get("/sql", params={"q": query}, headers=bearer("LEAD"))

    assert answer.status_code == 200
    [shown] = re.findall(r"</form>(.*?)<h2>Tables</h2>", answer.text, re.DOTALL)
    assert "rival" not in re.sub(r'href="[^"]*"', "", shown)
    assert client.get("/sql", params={"q": query}, headers=PROXIED).status_code == 403


def test_each_view_has_its_pages(client: TestClient) -> None:
    board = {
        page.path for page in pages() if client.get(page.path, headers=bearer("BOARD")).status_code == 200
    }
    everything = {
        page.path for page in pages() if client.get(page.path, headers=bearer("FINOPS")).status_code == 200
    }

    assert everything == {page.path for page in pages()}
    assert {"/spend", "/invoices", "/savings"} <= board
    assert not {"/requests", "/request", "/sql"} & board
    assert 'id="dearest"' not in client.get(f"/routing?{SPAN}", headers=bearer("BOARD")).text


def test_who_is_nobody_sees_nothing(client: TestClient) -> None:
    nobodies = [
        {},
        {"authorization": "Bearer wrong"},
        {"x-forwarded-user": "ann@example.com"},
        {"x-forwarded-user": "ann@example.com", "x-nanodollar-proxy": "wrong"},
        proxied("*"),
        proxied(""),
        {"cookie": "nanodollar=finops.99999999999.0000"},
        {"cookie": "nanodollar="},
    ]
    for headers in nobodies:
        for page in pages():
            assert client.get(page.path, headers=headers | {"accept": "text/csv"}).status_code == 401
    asked = client.get(f"/spend?{SPAN}", headers={"accept": "text/html"})
    assert asked.status_code == 303
    assert asked.headers["location"].startswith("/sign-in?next=%2Fspend")


def test_a_token_signs_a_browser_in(client: TestClient) -> None:
    wrong = client.post("/sign-in?next=/spend", data={"token": "wrong"})
    other = client.post("/sign-in", data={"token": TOKENS["LEAD"]}, headers={"origin": "http://evil.example"})
    outside = client.post("/sign-in?next=//evil.example/", data={"token": TOKENS["LEAD"]})
    right = client.post("/sign-in?next=/spend", data={"token": TOKENS["LEAD"]})
    client.cookies.clear()
    cookie = right.headers["set-cookie"]

    assert (wrong.status_code, other.status_code, right.status_code) == (401, 403, 303)
    assert outside.headers["location"] == "/"
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    page = client.get("/spend", headers={"cookie": cookie.partition(";")[0]})
    assert "as acme_lead: rows of acme" in page.text
    assert client.get("/savings", headers={"cookie": cookie.partition(";")[0]}).status_code == 403


def test_settings_that_would_leave_it_open_are_refused(company: Project, tmp_path: Path) -> None:
    base = (company.folder / "nanodollar.toml").read_text(encoding="utf-8")

    def refused(more: str, *, is_alone: bool = True) -> str:
        (tmp_path / "nanodollar.toml").write_text(base + more, encoding="utf-8")
        with pytest.raises(ConfigurationError) as error:
            explorer(find_project(tmp_path), is_alone=is_alone)
        return str(error.value)

    assert "needs a token" in refused("", is_alone=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHORT", "abc")
        assert "fewer than 16" in refused('[explorer]\ntoken = { env = "SHORT" }\n')
    audience = '[[explorer.audiences]]\nname = "a"\nview = "{view}"\n{more}\n'
    token = 'token = { env = "T" }\n'
    assert "needs tenants or teams" in refused(audience.format(view="manager", more=token))
    assert "say in user_ids" in refused(audience.format(view="person", more=token))
    assert "belong to the view" in refused(audience.format(view="central", more=token + 'user_ids = ["a"]'))
    several = 'users = ["a", "b"]\nuser_ids = ["x"]'
    assert "one audience for each" in refused(audience.format(view="person", more=several))
    assert "only the view 'person'" in refused(audience.format(view="executive", more='users = ["*"]'))
    assert "nobody can be" in refused(audience.format(view="executive", more=""))
    assert "leave out tenants" in refused(
        audience.format(view="central", more='tenants = ["x"]\ntoken = { env = "T" }')
    )
    assert "belong together" in refused('[explorer]\nuser_header = "X-User"\n')
