from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files

import polars as pl
import pytest

from models.errors import ConfigurationError
from models.routing.policy import load_policy, read_policy

POLICY = """\
version: 1
valid_from: 2026-01-01
routes:
  support:
    providers: [openai]
    task_classes:
      simple: {quality_floor: 60, models: [gpt-4o-mini]}
quality: {gpt-4o-mini: 62}
"""


def test_a_task_class_inherits_from_its_route():
    rows = load_policy(POLICY, path="routing.yml").to_dicts()
    assert [row["clause"] for row in rows] == [
        "default",
        "routes.support",
        "routes.support.task_classes.simple",
    ]
    simple = rows[2]
    assert (simple["providers"], simple["models"], simple["quality_floor"]) == (
        ["openai"],
        ["gpt-4o-mini"],
        60,
    )
    assert (simple["route"], simple["task_class"], simple["policy_line"]) == ("support", "simple", 7)
    assert rows[1]["models"] is None


def test_quality_scores_are_read():
    assert read_policy(POLICY, path="routing.yml").quality["gpt-4o-mini"].score == 62.0


def test_no_file_is_the_default_clause_alone():
    assert load_policy("", path="").get_column("clause").to_list() == ["default"]
    assert read_policy("", path="").quality == {}


def test_the_star_is_every_route():
    rows = load_policy("version: 1\nroutes:\n  '*': {providers: [groq]}\n", path="p.yml").to_dicts()
    assert (rows[1]["route"], rows[1]["providers"]) == (None, ["groq"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "providers:",
            "provider:",
            r"routing.yml, line 5: unknown key 'provider'; did you mean 'providers'\?",
        ),
        (
            "quality_floor: 60",
            "quality_flor: 60",
            "line 7: unknown key 'quality_flor'; did you mean 'quality_floor'",
        ),
        ("routes:", "rotes:", "line 3: unknown key 'rotes'; did you mean 'routes'"),
        ("version: 1\n", "", "line 1: 'version' is missing; add it"),
        (
            "quality_floor: 60",
            "quality_floor: high",
            "line 7: routes.support.task_classes.simple.quality_floor",
        ),
        ("2026-01-01", "soon", "line 2: valid_from: write a date such as"),
        ("providers: [openai]", "providers: []", "line 5: routes.support.providers"),
        ("providers: [openai]", "providers: [", "not valid YAML"),
        ("quality:", "version: 1\nquality:", "line 8: key 'version' is written twice"),
    ],
)
def test_an_error_names_file_line_and_key(old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        load_policy(POLICY.replace(old, new), path="routing.yml")


def test_the_example_policy_is_valid():
    text = files("data").joinpath("policies/routing.yml").read_text()
    scores = files("data").joinpath("policies/quality.yml").read_text()
    policy = read_policy(text, path="routing.yml", quality_text=scores, quality_path="quality.yml")
    assert policy.clauses.get_column("clause").to_list() == [
        "default",
        "default",
        "routes.support",
        "routes.support.task_classes.simple",
        "routes.support.task_classes.complex",
        "routes.search",
        "tenants.clinic",
    ]


def test_a_policy_without_a_date_states_the_default_once():
    rows = load_policy("version: 1\nmateriality_usd: 0.5\n", path="p.yml")
    assert rows.select("clause", "materiality_usd").rows() == [("default", Decimal("0.5"))]


TWO = """\
version: 1
valid_from: 2026-01-01
routes: {chat: {providers: [groq]}}
---
version: 1
valid_from: 2026-06-01
known_from: 2026-06-15
routes: {chat: {providers: [together]}}
quality: {llama: {score: 70, error: 2, tokens_ratio: 1.1}}
"""


def test_a_later_document_ends_an_earlier_one_once_it_is_known():
    rows = load_policy(TWO, path="p.yml").filter(pl.col("route") == "chat")
    assert rows.select("providers", "valid_from", "valid_to", "policy_line").rows() == [
        (["groq"], datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC), 3),
        (["together"], datetime(2026, 6, 1, tzinfo=UTC), None, 8),
    ]
    early = read_policy(TWO, path="p.yml", as_known_at=datetime(2026, 6, 10, tzinfo=UTC))
    assert early.clauses.filter(pl.col("route") == "chat").select("providers", "valid_to").rows() == [
        (["groq"], None)
    ]
    assert early.quality == {}


def test_documents_out_of_order_are_refused():
    text = TWO.replace("2026-06-01", "2025-06-01").replace("2026-06-15", "2025-06-15")
    with pytest.raises(ConfigurationError, match=r"p\.yml, line 6: documents are not in order"):
        load_policy(text, path="p.yml")


def test_rights_of_a_tenant_are_a_clause_of_their_own():
    rows = load_policy(
        "version: 1\ntenants:\n  acme: {regions: [eu-*], routes: [chat]}\n", path="p.yml"
    ).to_dicts()
    acme = rows[1]
    assert (acme["clause"], acme["tenant"], acme["regions"], acme["routes"], acme["policy_line"]) == (
        "tenants.acme",
        "acme",
        ["eu-*"],
        ["chat"],
        3,
    )


QUALITY = """\
version: 1
source: own evaluation
measured_on: 2026-10-01
error: 3
models:
  gpt-4o: {score: 82, verbosity_ratio: 0.9, conversion_error: 0.05}
  gpt-4o-mini: 62
"""


def test_scores_of_a_file_have_its_error_and_the_policys_own_win():
    policy = read_policy(
        "version: 1\nquality: {gpt-4o-mini: 60}\n", path="p.yml", quality_text=QUALITY, quality_path="q.yml"
    )
    assert policy.quality["gpt-4o"].error == 3
    assert (policy.quality["gpt-4o"].verbosity_ratio, policy.quality["gpt-4o"].conversion_error) == (
        0.9,
        0.05,
    )
    assert policy.quality["gpt-4o-mini"].score == 60


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("measured_on: 2026-10-01\n", "", r"q\.yml, line 1: 'measured_on' is missing; add it"),
        ("score: 82", "scored: 82", r"q\.yml, line 6: unknown key 'scored'; did you mean 'score'\?"),
        ("0.9", "zero", r"q\.yml, line 6: models.gpt-4o.verbosity_ratio"),
    ],
)
def test_an_error_of_the_quality_file_names_its_line(old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        read_policy("", path="p.yml", quality_text=QUALITY.replace(old, new), quality_path="q.yml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("guess_task_class: [{task_class: simple}]", "line 2: 'confidence' is missing; add it"),
        ("guess_task_class: [{task_class: simple, confidence: 1.5}]", "guess_task_class.0.confidence"),
        ("check: {fail_above: 1}", "unknown key 'fail_above'; did you mean 'fail_above_"),
        ("routes: {chat: {latency_target_seconds: 0}}", "routes.chat.latency_target_seconds"),
        ("tenants: {acme: {region: [eu]}}", "unknown key 'region'; did you mean 'regions'"),
        ("- a", "not valid YAML|is a mapping"),
    ],
)
def test_a_wrong_rule_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        load_policy(f"version: 1\n{text}\n", path="p.yml")
