"""What deploy/ holds is valid to whom it is for: the settings to nanodollar, the storage to Dagster."""

from pathlib import Path

import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config_schema

from pipelines.settings import read_settings

DEPLOY = Path("deploy")


def test_the_settings_and_the_storage_in_the_manifests_are_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql://dagster@db/dagster")
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes/project.yaml").read_text(encoding="utf-8")))
    (data,) = [item["data"] for item in documents if item["kind"] == "ConfigMap"]
    (tmp_path / "nanodollar.toml").write_text(data["nanodollar.toml"], encoding="utf-8")
    settings = read_settings(tmp_path)
    assert settings.run.engine == "ray"
    outcome = process_config(dagster_instance_config_schema(), yaml.safe_load(data["dagster.yaml"]))
    assert outcome.success, outcome.errors


def test_pods_and_workers_take_the_secret_that_the_example_names() -> None:
    secret = yaml.safe_load((DEPLOY / "kubernetes/secret.example.yaml").read_text(encoding="utf-8"))
    values = yaml.safe_load((DEPLOY / "helm/ray-cluster-values.yaml").read_text(encoding="utf-8"))
    for part in ("head", "worker"):
        for item in values[part]["containerEnv"]:
            named = item["valueFrom"]["secretKeyRef"]
            assert named["name"] == secret["metadata"]["name"]
            assert named["key"] in secret["stringData"]
