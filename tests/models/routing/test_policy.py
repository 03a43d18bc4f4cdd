from importlib.resources import files

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
    assert load_policy(text, path="routing.yml").height == 4
