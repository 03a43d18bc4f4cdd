"""Wrong settings and sheets: one sentence with the file, the place and what to do; exit 2, no traceback."""

from pathlib import Path

import pytest

from tests.pipelines.small import gateway_row, make_project, nanodollar, write_lines

SOURCE = '[[sources]]\nname = "gateway"\nkind = "litellm_spend_logs"\npath = "landing/*.jsonl"\n'


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            "[warehouse]\ncatalogue = 'x'\n",
            "nanodollar.toml, line 2: unknown key 'catalogue'; did you mean 'catalog'?",
        ),
        ("[reportin]\n", "nanodollar.toml, line 1: unknown key 'reportin'; did you mean 'reporting'?"),
        (
            "[reporting]\ntime_zone = 'Europe/Berln'\n",
            "'Europe/Berln' is no IANA time zone; did you mean 'Europe/Berlin'",
        ),
        (SOURCE.replace("gateway", "Gate way"), "'Gate way' is no source name"),
        (SOURCE.replace("litellm_spend_logs", "litelm"), "'litelm' is no kind; "),
        (SOURCE.replace('path = "landing/*.jsonl"', ""), "needs a path or a url, and not both"),
        (SOURCE + SOURCE, "two sources are named 'gateway'; rename one"),
        ("[warehouse\n", "is not valid TOML"),
        (
            "[cold_starts.deployments.llama]\nfail_above = 5\n",
            "line 2: unknown key 'fail_above'; did you mean 'fail_above_usd'?",
        ),
        ("[cold_starts]\nwarn_above_usd = -1\n", "cold_starts.warn_above_usd: Input should be greater than"),
        (
            "[completeness]\nfail_above_ratio = 5\n",
            "completeness.fail_above_ratio: Input should be less than",
        ),
        ("[notifications]\nwebhok = 'x'\n", "line 2: unknown key 'webhok'; did you mean 'webhook'?"),
        ("[warehouse]\n# a note\nstart_on = 2026-13-01\n", "nanodollar.toml, line 3: it is not valid TOML"),
        ("[warehouse]\ncatalog = 5\n", "line 2: warehouse.catalog: Input should be a valid string"),
        ("[warehouse]\ncatalog = { envv = 'X' }\n", "line 2: unknown key 'envv'; did you mean 'env'?"),
        ("warehouse = 5\n", "line 1: warehouse: Input should be a mapping of keys"),
        (
            SOURCE + "[sources.api]\npage_prm = 'x'\n",
            "line 6: unknown key 'page_prm'; did you mean 'page_param'?",
        ),
        ("x = " + "[" * 100_000, "values are nested too deeply"),
        ("x = " + "9" * 10_000, "is not valid TOML"),
        ("\ufeff[warehouse]\nstart = 1\n", "line 2: unknown key 'start'; did you mean 'start_on'?"),
        (
            "[notifications]\nwebhook = 'https://example.com'\n",
            "notifications.webhook: a webhook's URL is a secret; keep it in the environment and write webhook = { env",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(tmp_path: Path, settings: str, sentence: str) -> None:
    (tmp_path / "nanodollar.toml").write_text(settings, encoding="utf-8")

    outcome = nanodollar(tmp_path, "run")

    assert outcome.code == 2
    assert sentence in outcome.err
    assert "nanodollar.toml" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_folder_without_settings_says_how_to_make_them(tmp_path: Path) -> None:
    outcome = nanodollar(tmp_path, "run")

    assert outcome.code == 2
    assert f"nanodollar init {tmp_path}" in outcome.err


def test_a_missing_secret_names_its_variable(tmp_path: Path) -> None:
    settings = (
        '[[sources]]\nname = "gateway"\nkind = "litellm_spend_logs"\nurl = {env = "NO_SUCH_VARIABLE_HERE"}\n'
    )
    (tmp_path / "nanodollar.toml").write_text(settings, encoding="utf-8")

    outcome = nanodollar(tmp_path, "run")

    assert outcome.code == 2
    assert "NO_SUCH_VARIABLE_HERE" in outcome.err


def test_a_broken_price_sheet_names_file_and_line(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    sheet = tmp_path / "prices/tokens/house.yml"
    sheet.parent.mkdir(parents=True)
    sheet.write_text(
        "provider: openai\ncurrency: USD\nsource_url: https://example.com\nchecked_on: 2026-11-01\nmodels:\n"
        "  - model: house-model\n    prices:\n      - valid_from: 2026-01-01\n"
        "        usd_per_mtok: {inptu_uncached: 1}\n",
        encoding="utf-8",
    )
    write_lines(tmp_path / "landing/gateway/a.jsonl", [gateway_row("r1", "2026-11-02 09:10:00")])

    outcome = nanodollar(project, "run")

    assert outcome.code != 0
    assert "prices/tokens/house.yml" in outcome.err
    assert "9" in outcome.err
    assert "inptu_uncached" in outcome.err
    assert "Traceback" not in outcome.err


def test_an_unknown_source_lists_the_known(tmp_path: Path) -> None:
    outcome = nanodollar(make_project(tmp_path), "run", "--source", "gatway")

    assert outcome.code == 2
    assert "'gatway' is no source of" in outcome.err
    assert "did you mean 'gateway'?" in outcome.err
    unlike = nanodollar(make_project(tmp_path), "run", "--source", "xyz")
    assert "gateway, fleet, replicas" in unlike.err


def test_a_wrong_instant_shows_how_to_write_it(tmp_path: Path) -> None:
    outcome = nanodollar(make_project(tmp_path), "run", "--from", "yesterday")

    assert outcome.code == 2
    assert "2026-11-02T13:00" in outcome.err


@pytest.mark.parametrize("arguments", [("--debug", "run"), ("run", "--debug")])
def test_debug_shows_the_traceback_before_the_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    outcome = nanodollar(tmp_path, *arguments)

    assert outcome.code == 2
    assert outcome.err.startswith("Traceback")
    assert "nanodollar init" in outcome.err.splitlines()[-1]
