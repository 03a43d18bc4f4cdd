"""A report goes out each way once: into a folder, by e-mail, to a webhook, against real servers on the loopback."""

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path

import dagster as dg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from models.errors import DataError
from pipelines.automation.code_location import build_defs
from pipelines.automation.jobs import write_and_deliver
from pipelines.deliveries import EmailSettings
from pipelines.notify.email import send_email
from pipelines.project import Project, find_project
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.loopback import Silent, serving
from tests.pipelines.small import nanodollar

DELIVERIES = """
[[deliveries]]
name = "finance"
reports = ["weekly", "month-close"]
formats = ["html", "pdf", "xlsx", "csv"]
folder = "handed_over"
webhook = {{ env = "REPORTS_WEBHOOK" }}
[deliveries.email]
to = ["cfo@example.com", "ops@example.com"]
from = "costs@example.com"
host = "127.0.0.1"
port = {port}
security = "none"
"""


class Inbox:
    """Keeps what it is sent; refuses it while it is closed."""

    def __init__(self) -> None:
        self.is_closed = True
        self.mails: list[tuple[list[str], Message]] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802  its name
        if self.is_closed:
            return "451 come again"
        content = message_from_bytes(envelope.content, policy=default)  # type: ignore[attr-defined]
        self.mails.append((envelope.rcpt_tos, content))  # type: ignore[attr-defined]
        return "250 OK"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    kept, port = Inbox(), free_port()
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    yield kept, port
    controller.stop()


def test_a_report_goes_out_each_way_once_and_what_failed_is_tried_again(
    company_copy: Project, inbox: tuple[Inbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, port = inbox
    told: list[str] = []

    class Channel(Silent, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

    settings = company_copy.folder / "nanodollar.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + DELIVERIES.format(port=port), encoding="utf-8")
    project = find_project(company_copy.folder)
    warehouse = Warehouse(project)
    with serving(Channel) as address:
        monkeypatch.setenv("REPORTS_WEBHOOK", address)
        context = dg.build_op_context(resources={"warehouse": warehouse})
        with pytest.raises(
            DataError, match=r"did not go out everywhere: finance by email: The mail server 127.0.0.1"
        ):
            write_and_deliver(context, "weekly", date(2026, 11, 2))
        kept.is_closed = False
        write_and_deliver(context, "weekly", date(2026, 11, 2))
        config = {
            "ops": {"deliver_report": {"config": {"report": "weekly", "at": "2026-11-09T13:00:00+00:00"}}}
        }
        job = build_defs(project=project).resolve_job_def("deliver")
        assert job.execute_in_process(run_config=config).success

    [(recipients, mail)] = kept.mails
    assert recipients == ["cfo@example.com", "ops@example.com"]
    assert mail["Subject"].startswith("Inference spend in the week of 2 November 2026: $")
    page = mail.get_body(("html",)).get_content()  # type: ignore[attr-defined]
    assert "What to do, by dollars" in page
    attached = {part.get_filename(): part for part in mail.iter_attachments()}  # type: ignore[attr-defined]
    names = {"2026-11-02.html", "2026-11-02.pdf", "2026-11-02.xlsx", "2026-11-02-provider.csv"}
    assert names <= attached.keys()
    there = project.reports / "weekly" / "2026-11-02.pdf"
    assert attached["2026-11-02.pdf"].get_content() == there.read_bytes()
    [text] = told
    assert len(text.splitlines()) == 5
    handed = company_copy.folder / "handed_over" / "weekly"
    assert (handed / "2026-11-02.pdf").read_bytes() == there.read_bytes()
    assert (handed / "2026-11-02.csv" / "provider.csv").exists()
    with warehouse.reading() as con:
        rows = con.execute("SELECT way, state, attempt_count FROM ops.deliveries ORDER BY way").fetchall()
    assert rows == [("email", "sent", 2), ("folder", "sent", 1), ("webhook", "sent", 1)]

    monkeypatch.delenv("REPORTS_WEBHOOK")
    # A run that was killed while it was sending leaves that behind: it may have gone out.
    with warehouse.committing(run_id="killed", job="deliver") as commit:
        commit.execute("UPDATE ops.deliveries SET state = 'sending' WHERE way = 'email'")
    with pytest.raises(DataError, match="it may have gone out, so it is not sent again"):
        write_and_deliver(context, "weekly", date(2026, 11, 2))
    assert len(kept.mails) == 1
    # A person who knows better sends it again.
    sent = nanodollar(company_copy, "report", "weekly", "--date", "2026-11-02", "--deliver", "--again")
    assert sent.code == 1, "its webhook is not set any more"
    assert "finance by email: out" in sent.out
    assert "finance by webhook: not out" in sent.out
    assert len(kept.mails) == 2


class Doorman:
    """Lets one user in by one password, and keeps who came."""

    def __init__(self) -> None:
        self.came: list[tuple[bytes, bytes]] = []

    def __call__(
        self, _server: object, _session: object, _envelope: object, _way: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.came.append((data.login, data.password))
        return AuthResult(success=data == LoginPassword(b"books", b"closed"), handled=False)


def test_a_mail_server_with_starttls_and_a_login_is_asked_as_it_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a server whose certificate nobody knows gets neither the password nor the message."""
    certificate, key = certificate_of_loopback(tmp_path)
    encrypted = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    encrypted.load_cert_chain(certificate, key)
    kept, doorman, port = Inbox(), Doorman(), free_port()
    kept.is_closed = False
    controller = Controller(
        kept, hostname="127.0.0.1", port=port, tls_context=encrypted, require_starttls=True,
        authenticator=doorman, auth_required=True,
    )  # fmt: skip
    controller.start()
    monkeypatch.setenv("MAIL_PASSWORD", "closed")
    settings = EmailSettings.model_validate(
        {"to": ["cfo@example.com"], "from": "costs@example.com", "host": "127.0.0.1", "port": port,
         "security": "starttls", "user": "books", "password": {"env": "MAIL_PASSWORD"}}
    )  # fmt: skip
    message = {"subject": "s", "text": "t", "html": "<p>h</p>", "attachments": {}, "message_id": "one"}
    try:
        with pytest.raises(DataError, match="did not take the message"):
            send_email(settings, **message)  # type: ignore[arg-type]
        assert (doorman.came, kept.mails) == ([], [])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert send_email(settings, **message) is None  # type: ignore[arg-type]
        monkeypatch.setenv("MAIL_PASSWORD", "open")
        with pytest.raises(DataError, match="check host, port, security, user and password") as refused:
            send_email(settings, **message)  # type: ignore[arg-type]
    finally:
        controller.stop()
    assert len(kept.mails) == 1
    # The client tries each way to log in that the server names.
    assert doorman.came[0] == (b"books", b"closed")
    assert {*doorman.came[1:]} == {(b"books", b"open")}
    assert "(SMTPAuthenticationError)" in str(refused.value)
    assert "open" not in str(refused.value)


def certificate_of_loopback(folder: Path) -> tuple[Path, Path]:
    """Write a certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    written = folder / "certificate.pem", folder / "key.pem"
    written[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    written[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return written
