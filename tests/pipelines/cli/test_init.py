"""nanodollar init: a project that opens at once, whose comments are true, and that is never overwritten."""

import json
import re
from datetime import date
from pathlib import Path

import jsonschema

from models.documents import read_documents, read_toml
from pipelines.project import find_project
from pipelines.secret import SecretSetting
from pipelines.settings import Settings
from pipelines.steps.reference import reference_frames
from tests.pipelines.small import nanodollar


def test_a_new_project_opens_with_every_setting_at_its_default(tmp_path: Path) -> None:
    folder = tmp_path / "company"

    outcome = nanodollar(None, "init", str(folder))

    settings = find_project(folder).settings
    (source,) = settings.sources
    written = (folder / "nanodollar.toml").read_text(encoding="utf-8")
    assert outcome.code == 0
    assert settings.model_copy(update={"sources": []}) == Settings()
    assert (source.name, source.kind, source.path) == (
        "gateway",
        "litellm_spend_logs",
        "landing/gateway/**/*.jsonl*",
    )
    for section in Settings.model_fields:
        if section in {"sources", "deliveries"}:  # valid once uncommented, see below
            continue
        if section == "dimensions":
            assert re.search(r"^\[dimensions\] +# ", written, re.MULTILINE)
            continue
        for name in type(getattr(settings, section)).model_fields:
            if name in {"deployments", "providers", "issuers", "audiences"}:  # shown as a section, see below
                continue
            # What is off by default is shown as a comment.
            line = re.search(rf"^(# )?{name} = .*", written, re.MULTILINE)
            assert line is not None, f"{section}.{name} is not in the template"
            assert "#" in line[0], f"{section}.{name} is not explained"


def test_commented_sources_are_valid_once_uncommented(tmp_path: Path) -> None:
    nanodollar(None, "init", str(tmp_path))
    file = tmp_path / "nanodollar.toml"
    keys = "name|kind|path|url|columns|token|params|records|page_param|next_page|since_param|time_field|max_page|allow"
    keys += "|reports|formats|folder|webhook|unexplained|hosts|user_header|proxy_token|view|teams"
    block = re.compile(rf"^# ((?:\[|{keys}).*)$", re.MULTILINE)
    file.write_text(block.sub(r"\1", file.read_text(encoding="utf-8")), encoding="utf-8")

    sources = find_project(tmp_path).settings.sources

    assert [source.name for source in sources] == [
        "gateway", "proxy", "sdk", "fleet", "replicas", "archive", "metering",
    ]  # fmt: skip
    assert [one.name for one in find_project(tmp_path).settings.deliveries] == ["finance"]
    assert [source.kind for source in sources if source.url is not None] == ["litellm_spend_logs", "requests"]


def test_commented_limits_and_the_webhook_are_valid_once_uncommented(tmp_path: Path) -> None:
    nanodollar(None, "init", str(tmp_path))
    file = tmp_path / "nanodollar.toml"
    lines = re.compile(
        r"^# ((?:\[cold_starts|\[completeness|\[bills|unexplained|warn_above|fail_above|webhook = .*NANODOLLAR).*)$",
        re.MULTILINE,
    )
    file.write_text(lines.sub(r"\1", file.read_text(encoding="utf-8")), encoding="utf-8")

    settings = find_project(tmp_path).settings

    assert settings.cold_starts.limits_of("batch-llama") == (100, 1000)
    assert settings.cold_starts.limits_of("another") == (0, 50)
    assert settings.completeness.limits_of("self_hosted") == (0.001, 0.05)
    assert settings.completeness.limits_of("openai") == (0.001, 0.01)
    assert settings.bills.tolerance_of("OpenAI") == (0.002, 1)
    assert settings.notifications.webhook == SecretSetting(env="NANODOLLAR_WEBHOOK")


def test_example_sheets_and_policy_are_valid_once_used(tmp_path: Path) -> None:
    nanodollar(None, "init", str(tmp_path))
    for example in tmp_path.glob("prices/*/example.yml.txt"):
        example.rename(example.with_suffix(""))
    policy = tmp_path / "policies" / "routing.yml"
    text = policy.read_text(encoding="utf-8")

    as_made = reference_frames(find_project(tmp_path))
    policy.write_text(
        re.sub(r"^# ?((?:routes|quality|  ).*)$", r"\1", text, flags=re.MULTILINE), encoding="utf-8"
    )
    as_used = reference_frames(find_project(tmp_path))

    assert "example_ai" in as_made["ref.token_prices"].get_column("provider")
    assert "example" in as_made["ref.gpu_prices"].get_column("provider")
    assert as_made["ref.routing_policy"].height == 1
    assert as_used["ref.routing_policy"].get_column("clause").to_list() == [
        "default",
        "routes.support",
        "routes.support.task_classes.simple",
        "routes.*",
    ]


def test_an_existing_project_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "routing.yml").write_text("version: 1\n", encoding="utf-8")
    nanodollar(None, "init", str(tmp_path))
    (tmp_path / "nanodollar.toml").write_text("# mine\n", encoding="utf-8")

    outcome = nanodollar(None, "init", str(tmp_path))

    assert outcome.code == 2
    assert "nanodollar.toml is there already" in outcome.err
    assert (tmp_path / "nanodollar.toml").read_text(encoding="utf-8") == "# mine\n"
    assert (tmp_path / "policies" / "routing.yml").read_text(encoding="utf-8") == "version: 1\n"


def test_a_file_is_no_place_for_a_project(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("", encoding="utf-8")

    outcome = nanodollar(None, "init", str(tmp_path / "notes"))

    assert outcome.code == 2
    assert "is a file" in outcome.err


def test_schemas_accept_what_ships_and_refuse_a_typo(tmp_path: Path) -> None:
    nanodollar(None, "init", str(tmp_path))
    shipped = {
        "nanodollar": [tmp_path / "nanodollar.toml"],
        "routing": [*Path("data").rglob("routing.yml")],
        "quality": [Path("data/policies/quality.yml")],
        "token_prices": [
            *Path("data/prices/tokens").glob("*.yml"),
            tmp_path / "prices/tokens/example.yml.txt",
        ],
        "gpu_prices": [*Path("data/prices/gpu").glob("*.yml"), tmp_path / "prices/gpu/example.yml.txt"],
    }
    for name, files in shipped.items():
        check = jsonschema.Draft202012Validator(json.loads((tmp_path / f"schemas/{name}.json").read_text()))
        for file in files:
            text = file.read_text(encoding="utf-8")
            read = [read_toml(text, path="")] if name == "nanodollar" else read_documents(text, path="")
            for document in read:
                plain = json.loads(json.dumps(document.value, default=_plain))
                assert [error.message for error in check.iter_errors(plain)] == [], file
                assert not check.is_valid(plain | {"typo": 1})
    assert nanodollar(tmp_path, "schemas", str(tmp_path / "again")).code == 0
    again = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert again == {path.name: path.read_bytes() for path in (tmp_path / "schemas").iterdir()}


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else float(str(value))
