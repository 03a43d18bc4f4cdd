"""E-mail by SMTP: an HTML body, a plain one beside it, and attachments."""

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage

from models.errors import DataError
from pipelines.deliveries import EmailSettings

_TIMEOUT_SECONDS = 30.0
_TYPES = {
    "pdf": ("application", "pdf"),
    "xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "csv": ("text", "csv"),
    "html": ("text", "html"),
}


def send_email(
    settings: EmailSettings,
    *,
    subject: str,
    text: str,
    html: str,
    attachments: Mapping[str, bytes],
    message_id: str,
) -> str | None:
    """Send one message to all recipients; return who was refused, if anybody was.

    Args:
        settings: the server and the addresses.
        subject: one line.
        text: the plain body.
        html: the body that readers see; it loads nothing.
        attachments: content by file name.
        message_id: the same for the same report, so that a mail system knows a copy.

    Raises:
        ConfigurationError: a variable of the settings is not set.
        DataError: the server does not take it; it may be sent again.
    """
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    message["Message-ID"] = f"<{message_id}@{settings.sender.rpartition('@')[2].strip('> ')}>"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    for name, content in attachments.items():
        main, sub = _TYPES[name.rpartition(".")[2]]
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    password = settings.password.value() if settings.password else None
    context = ssl.create_default_context()
    where = f"The mail server {settings.host}:{settings.port}"
    try:
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(settings.host, settings.port, timeout=_TIMEOUT_SECONDS, context=context)
            if settings.security == "tls"
            else smtplib.SMTP(settings.host, settings.port, timeout=_TIMEOUT_SECONDS)
        )
        with server:
            if settings.security == "starttls":
                server.starttls(context=context)
            if settings.user is not None and password is not None:
                server.login(settings.user, password)
            refused = server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        raise DataError(
            f"{where} refused every recipient ({', '.join(error.recipients)}); check `to`."
        ) from error
    except (OSError, smtplib.SMTPException) as error:
        raise DataError(
            f"{where} did not take the message ({type(error).__name__}); check host, port, security, user and password."
        ) from error
    return f"refused: {', '.join(sorted(refused))}" if refused else None
