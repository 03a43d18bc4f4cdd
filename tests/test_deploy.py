"""What deploy/ holds is valid to whom it is for: the settings to nanodollar, the storage to Dagster."""

import base64
import shutil
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
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


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_a_proxy_lets_nobody_in_without_a_login_and_says_who_asks(tmp_path: Path) -> None:
    heard: list[dict[str, str]] = []

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "users").write_text("ann@example.com:{PLAIN}secret\n", encoding="ascii")
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = (DEPLOY / "nginx/nanodollar.conf").read_text(encoding="utf-8")
        for written, tried in (
            ("listen 443 ssl", f"listen 127.0.0.1:{port}"),
            ("127.0.0.1:8765", f"127.0.0.1:{server.server_address[1]}"),
            ("127.0.0.1:3000", f"127.0.0.1:{server.server_address[1]}"),
            ("/etc/nginx/nanodollar.users", f"{tmp_path}/users"),
            ("/etc/nginx/nanodollar.operators", f"{tmp_path}/users"),
        ):
            assert written in site
            site = site.replace(written, tried)
        site = "".join(line for line in site.splitlines(keepends=True) if "ssl_certificate" not in line)
        folders = "".join(
            f"{name}_temp_path {tmp_path}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
            f"http {{ access_log off; {folders}\n{site}\n}}\n",
            encoding="utf-8",
        )
        with subprocess.Popen(
            ["nginx", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "log")]
        ) as nginx:
            transport = httpx.HTTPTransport(retries=8)  # until it listens
            with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}") as client:
                for host in ("costs.example.com", "dagster.example.com"):
                    claimed = {"Host": host, "X-Forwarded-User": "boss@example.com"}
                    assert client.get("/", headers=claimed).status_code == 401
                    assert heard == []
                    login = base64.b64encode(b"ann@example.com:secret").decode()
                    answer = client.get("/", headers=claimed | {"Authorization": f"Basic {login}"})
                    assert answer.status_code == 200
                    asked = heard.pop()
                    assert asked["host"] == host
                    assert "authorization" not in asked
                    if host.startswith("costs"):
                        assert asked["x-forwarded-user"] == "ann@example.com"
                        assert asked["x-nanodollar-proxy"]
            nginx.terminate()
        server.shutdown()
