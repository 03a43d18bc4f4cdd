"""Who may see which pages and rows of the explorer: the section [explorer] of nanodollar.toml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.documents import Strict
from pipelines.secret import SecretSetting

EVERY_USER = "*"
"""Stands among an audience's users for everybody whom the proxy names and no audience lists."""


class AudienceSettings(Strict):
    """Who sees which pages of the explorer, and which rows."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    view: Literal["person", "manager", "central", "executive"]
    tenants: list[str] = Field(default_factory=list)
    teams: list[str] = Field(default_factory=list)
    token: SecretSetting | None = None
    users: list[str] = Field(default_factory=list)
    user_ids: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_somebody(self) -> "AudienceSettings":
        if self.token is None and not self.users:
            raise ValueError(
                f"nobody can be audience {self.name!r}; give it a token, or users that a proxy names"
            )
        has_rules = bool(self.tenants or self.teams)
        if self.view == "manager" and not has_rules:
            raise ValueError(f"audience {self.name!r} has the view 'manager', which needs tenants or teams")
        if self.user_ids and self.view != "person":
            raise ValueError(f"audience {self.name!r} has user_ids, which belong to the view 'person'")
        if self.view == "person" and self.token is not None and not self.user_ids:
            raise ValueError(
                f"audience {self.name!r} is a person with a token; say in user_ids by which ids logs name this person"
            )
        if self.user_ids and (len(self.users) > 1 or EVERY_USER in self.users):
            raise ValueError(
                f"audience {self.name!r} has user_ids for several users; write one audience for each of them"
            )
        if EVERY_USER in self.users and self.view != "person":
            raise ValueError(
                f"audience {self.name!r} has users = [\"*\"], which only the view 'person' may have"
            )
        if self.view == "central" and has_rules:
            raise ValueError(
                f"audience {self.name!r} is central and sees all rows; leave out tenants and teams"
            )
        return self


class ExplorerSettings(Strict):
    hosts: list[str] = Field(default_factory=list)
    token: SecretSetting | None = None
    user_header: str | None = None
    proxy_token: SecretSetting | None = None
    audiences: list[AudienceSettings] = Field(default_factory=list)

    @model_validator(mode="after")
    def _knows_who_asks(self) -> "ExplorerSettings":
        if (self.user_header is None) != (self.proxy_token is None):
            raise ValueError(
                "user_header and proxy_token belong together: a name is believed with the token only"
            )
        names = [audience.name for audience in self.audiences]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two audiences are named {name!r}; rename one")
        if self.user_header is None and any(audience.users for audience in self.audiences):
            raise ValueError(
                "an audience has users; say in user_header how a proxy names them, with proxy_token"
            )
        return self

    @property
    def secrets(self) -> list[SecretSetting | None]:
        return [self.token, self.proxy_token, *(audience.token for audience in self.audiences)]
