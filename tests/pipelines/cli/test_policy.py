"""nanodollar policy: the file is checked before it is used, and one request is explained by it."""

import pytest

from tests.pipelines.small import gateway_row, make_project, materialize, nanodollar, write_lines

POLICY = """\
version: 1
routes:
  support:
    providers: [openai, nobody]
    task_classes:
      simple: {quality_floor: 60, models: [gpt-4o-mini, gpt-4o, gpt-9]}
quality: {gpt-4o-mini: 62, gpt-4o: 82}
"""
LLAMA = {
    "model": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "custom_llm_provider": "together_ai",
    "cached_tokens": 0,
}


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("company"))
    write_lines(
        project.folder / "landing/gateway/a.jsonl",
        [
            gateway_row("r1", "2026-11-02 09:10:00", model_group="search", **LLAMA),
            gateway_row("r2", "2026-11-02 09:20:00", model="gpt-4o"),
            gateway_row("r3", "2026-11-02 09:30:00", status="failure", completion_tokens=0, prompt_tokens=0),
        ],
    )
    # What is explained: costs, and the mistakes of their day. No other mart, check or report is looked at.
    assert materialize(project, "land").success
    assert materialize(project, "facts", "2026-11-02-09:00", "2026-11-02-09:00").success
    mistakes = ["mart/routing_mistakes"]
    assert materialize(project, "marts", "2026-11-02", "2026-11-02", assets=mistakes).success
    return project


def with_policy(project, text):
    (project.folder / "policies").mkdir(exist_ok=True)
    (project.folder / "policies/routing.yml").write_text(text, encoding="utf-8")
    return project


def test_check_names_what_no_sheet_knows(company):
    done = nanodollar(with_policy(company, POLICY), "policy", "check")
    simple = "policies/routing.yml, line 6: routes.support.task_classes.simple"
    assert done.code == 0
    assert done.out.splitlines() == [
        "policies/routing.yml is valid: 2 clauses, 2 quality scores.",
        "  policies/routing.yml, line 3: routes.support: no price sheet knows the providers nobody",
        f"  {simple}: no price sheet knows the providers nobody",
        f"  {simple}: no price sheet knows the models gpt-9",
        f"  {simple}: no quality score of gpt-9, so they never reach the floor of 60",
    ]


def test_check_refuses_a_wrong_policy_with_its_line(company):
    done = nanodollar(with_policy(company, POLICY.replace("providers", "provider")), "policy", "check")
    assert done.code == 2
    assert (
        done.err == "Error: policies/routing.yml, line 4: unknown key 'provider'; did you mean 'providers'?\n"
    )


def test_without_a_policy_the_default_is_said(company):
    (company.folder / "policies/routing.yml").unlink(missing_ok=True)
    done = nanodollar(company, "policy", "check")
    assert done.code == 0
    assert "every attempt is judged by the default" in done.out


def test_explain_shows_the_clause_and_what_every_other_place_would_have_cost(company):
    (company.folder / "policies/routing.yml").unlink(missing_ok=True)
    done = nanodollar(company, "policy", "explain", "r1")
    assert done.code == 0
    # 1,000 in and 200 out: Together 0.88 and 0.88, DeepInfra's Turbo 0.10 and 0.32 dollars a million.
    assert "at together, $0.001056000000" in done.out
    assert "clause default of policy" in done.out
    assert "dearer_provider: regret $" in done.out
    assert "no: the place that was taken" in done.out


def test_explain_says_why_a_place_is_not_eligible(company):
    done = nanodollar(with_policy(company, POLICY), "policy", "explain", "r2")
    assert "clause routes.support (line 3)" in done.out
    assert "is not a provider of routes.support" in done.out


def test_explain_of_a_failed_attempt_says_that_it_is_not_judged(company):
    assert "ended in error: it is not judged" in nanodollar(company, "policy", "explain", "r3").out


def test_explain_of_nothing_is_an_error(company):
    done = nanodollar(company, "policy", "explain", "r9")
    assert done.code == 1
    assert done.err.startswith("Error: core.request_costs has no request 'r9'; look for it with")
