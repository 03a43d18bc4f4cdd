"""Who asks: the audience that a token, a sign-in or a reverse proxy stands for, and the pages that it sees."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from secrets import compare_digest
from typing import Literal

from models.documents import nearest
from models.errors import ConfigurationError
from pipelines.audiences import EVERY_USER, AudienceSettings, ExplorerSettings

View = Literal["person", "manager", "central", "executive"]
COOKIE = "nanodollar"
PROXY_HEADER = "x-nanodollar-proxy"
_SIGNED_IN_SECONDS = 12 * 3600
_SHORTEST_TOKEN = 16
_PERSONAL = frozenset({"/spend", "/prices", "/requests", "/request"})
_OWN = _PERSONAL | {"/who", "/models"}
_SEEN: dict[View, frozenset[str] | None] = {
    "person": _PERSONAL,
    "manager": _OWN | {"/routing", "/sql"},
    "central": None,
    "executive": frozenset(
        {
            "/spend",
            "/who",
            "/models",
            "/growth",
            "/scoreboard",
            "/savings",
            "/pools",
            "/routing",
            "/cold-starts",
            "/invoices",
            "/coverage",
        }
    ),
}
"""Pages of each view; None: all. Of a view with row rules only those that are made of somebody's own rows."""


@dataclass(frozen=True)
class Audience:
    """A view of the pages, and the rows that it is made of: those of all tenants and teams, or of some."""

    name: str
    view: View
    tenants: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    """Of a person: by which ids the logs name who asks."""

    @property
    def has_rules(self) -> bool:
        return bool(self.tenants or self.teams) or self.is_person

    @property
    def is_person(self) -> bool:
        return self.view == "person"

    @property
    def rows(self) -> str:
        """Whose rows it sees, in words."""
        whose = ", ".join(self.tenants + self.teams)
        if not self.is_person:
            return f"rows of {whose}"
        return f"requests of {', '.join(self.user_ids)}{f' in {whose}' if whose else ''}"

    @property
    def has_details(self) -> bool:
        """Whether single requests are shown."""
        return self.view != "executive"

    def refusal(self, title: str) -> str:
        """Return why a page is not shown."""
        if self.is_person:
            return (
                f"{title} is not in the view person: its tables tell tenants and teams apart, not users, so nothing on "
                "it is yours alone."
            )
        return f"{title} is not in the view {self.view}."

    def sees(self, path: str) -> bool:
        """Whether it sees a page."""
        seen = _SEEN[self.view]
        return seen is None or (path in seen and (not self.has_rules or path in _OWN | {"/routing", "/sql"}))


CENTRAL = Audience("central", "central")


class Authentication:
    """Knows who asks.

    Args:
        settings: of the explorer.
        is_alone: whether it listens on this machine alone.

    Raises:
        ConfigurationError: it is open to others and nobody could be told apart, or a token is too short.
    """

    def __init__(self, settings: ExplorerSettings, *, is_alone: bool) -> None:
        self._header = None if settings.user_header is None else settings.user_header.lower()
        self._proxy = None if settings.proxy_token is None else settings.proxy_token.value()
        named = [(audience, _audience(audience)) for audience in settings.audiences]
        self._by_token = {one.token.value(): audience for one, audience in named if one.token is not None}
        if settings.token is not None:
            self._by_token[settings.token.value()] = CENTRAL
        self._by_user = {user: audience for one, audience in named for user in one.users}
        self._by_name = {audience.name: audience for _, audience in named} | {CENTRAL.name: CENTRAL}
        self._key = secrets.token_bytes(32)
        self.is_open = is_alone and not (self._by_token or self._by_user or self._header)
        if not is_alone and not (self._by_token or self._by_user):
            raise ConfigurationError(
                "An address that others reach needs a token: write [explorer] token = "
                '{ env = "NANODOLLAR_EXPLORER_TOKEN" } in nanodollar.toml and set it; or leave --host out.'
            )
        if any(
            len(token) < _SHORTEST_TOKEN
            for token in [*self._by_token, *([self._proxy] if self._proxy else [])]
        ):
            raise ConfigurationError(
                f"A token of the explorer has fewer than {_SHORTEST_TOKEN} characters; make one with "
                "`python3 -c 'import secrets; print(secrets.token_urlsafe())'`."
            )

    def who(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Audience | None:
        """Return who asks; None: nobody that is known."""
        if self.is_open:
            return CENTRAL
        bearer = headers.get("authorization", "")
        if bearer.lower().startswith("bearer "):
            return self.of_token(bearer[len("bearer ") :].strip())
        if self._header is not None and self._proxy is not None and self._header in headers:
            is_proxy = compare_digest(headers.get(PROXY_HEADER, "").encode(), self._proxy.encode())
            return self._of_user(headers[self._header]) if is_proxy else None
        return self._signed_in(cookies.get(COOKIE, ""))

    def _of_user(self, user: str) -> Audience | None:
        """Return whom a proxy's user stands for. A person without ids is in the logs by that same name."""
        audience = self._by_user.get(user, self._by_user.get(EVERY_USER))
        if audience is None or not user or user == EVERY_USER:
            return None
        return replace(audience, user_ids=audience.user_ids or (user,)) if audience.is_person else audience

    def of_token(self, token: str) -> Audience | None:
        """Return whom a token stands for; every token is compared, so that time tells nothing."""
        found = None
        for known, audience in self._by_token.items():
            if compare_digest(known.encode(), token.encode()):
                found = audience
        return found

    def cookie(self, audience: Audience) -> str:
        """Return what a browser brings back for the next hours, until the explorer is started again."""
        text = f"{audience.name}.{int(time.time()) + _SIGNED_IN_SECONDS}"
        return f"{text}.{self._sign(text)}"

    def _signed_in(self, cookie: str) -> Audience | None:
        text, _, signature = cookie.rpartition(".")
        name, _, until = text.rpartition(".")
        if not compare_digest(signature.encode(), self._sign(text).encode()) or not until.isdigit():
            return None
        return self._by_name.get(name) if int(until) > time.time() else None

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def audience_named(settings: ExplorerSettings, name: str) -> Audience:
    """Return an audience whose rows can be written into a file of their own.

    Raises:
        ConfigurationError: there is none of that name, it sees all rows, or it stands for several people.
    """
    for one in settings.audiences:
        if one.name == name:
            found = _audience(one)
            if not found.has_rules:
                raise ConfigurationError(
                    f"The audience {name!r} sees all rows; `nanodollar publish` writes them."
                )
            if found.is_person and not found.user_ids:
                raise ConfigurationError(
                    f"The audience {name!r} does not say by which ids logs name its person; add user_ids to it."
                )
            return found
    known = [one.name for one in settings.audiences]
    raise ConfigurationError(
        f"{name!r} is no audience of [explorer] in nanodollar.toml; {nearest(name, known)}"
        if known
        else "nanodollar.toml names no audiences; write [[explorer.audiences]]."
    )


def _audience(settings: AudienceSettings) -> Audience:
    return Audience(
        settings.name,
        settings.view,
        tuple(settings.tenants),
        tuple(settings.teams),
        tuple(settings.user_ids),
    )
