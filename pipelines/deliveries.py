"""Who is told and sent what: the sections [notifications] and [[deliveries]] of nanodollar.toml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from models.documents import Strict
from pipelines.secret import SecretSetting


class NotificationSettings(Strict):
    webhook: SecretSetting | None = None

    @field_validator("webhook", mode="before")
    @classmethod
    def _is_no_url(cls, webhook: object) -> object:
        if isinstance(webhook, str):
            raise ValueError(  # noqa: TRY004
                'a webhook\'s URL is a secret; keep it in the environment and write webhook = { env = "NAME" }'
            )
        return webhook


class EmailSettings(Strict):
    """A mail server, and who writes to whom."""

    to: Annotated[list[Annotated[str, Field(pattern=r"^[^@\s,]+@[^@\s,]+$")]], Field(min_length=1)]
    sender: Annotated[str, Field(alias="from", pattern=r"^[^@\s]+@[^@\s]+$")]
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: SecretSetting | None = None


class DeliverySettings(Strict):
    """Which reports go where."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    reports: Annotated[list[Literal["daily", "weekly", "month-close"]], Field(min_length=1)]
    formats: Annotated[
        list[Literal["html", "pdf", "xlsx", "csv"]],
        Field(min_length=1, default_factory=lambda: ["html", "pdf", "xlsx"]),
    ]
    folder: str | None = None
    email: EmailSettings | None = None
    webhook: SecretSetting | None = None

    @model_validator(mode="after")
    def _goes_somewhere(self) -> "DeliverySettings":
        if self.folder is None and self.email is None and self.webhook is None:
            raise ValueError(f"delivery {self.name!r} goes nowhere; give it a folder, email or webhook")
        return self
