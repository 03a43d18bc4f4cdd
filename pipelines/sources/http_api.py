"""Records of an HTTP API with pages: asked for politely, tried again when it stumbles, kept without free text."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from models.errors import DataError
from pipelines.masking import mask
from pipelines.sources.addresses import CheckedTransport
from pipelines.sources.extracts import Extracts, line_hash
from pipelines.sources.spec import Api

_ATTEMPTS = 6
_LONGEST_PAUSE = 300.0
_REDIRECTS = 5
_PORTS = {"http": 80, "https": 443}
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}


@dataclass(frozen=True)
class Clock:
    """Time as the client sees it; tests bring their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def pull_records(
    url: str,
    api: Api,
    extracts: Extracts,
    *,
    columns: Sequence[str],
    nested: Mapping[str, Sequence[str]],
    overlap: timedelta,
    is_private_allowed: bool = False,
    clock: Clock = Clock(),
) -> Iterator[Path]:
    """Yield one extract of what the API gives and no landed extract holds, once all pages have come.

    Args:
        url: of the first page.
        api: how it gives its records.
        extracts: what was pulled before; the new one is kept with them.
        columns: fields of a record that are kept.
        nested: field -> dotted paths inside it of which only these are kept.
        overlap: how far behind the newest landed record is asked again.
        is_private_allowed: whether this machine and its link may be asked.
        clock: time.

    Raises:
        ConfigurationError: the host is this machine or its link, and that is not allowed.
        DataError: the API refuses, sends elsewhere or too much, or stumbles again and again; nothing of the pull is
            kept.
    """
    since = extracts.last_at - overlap if api.since_param and extracts.last_at is not None else None
    known = {*extracts.line_hashes(since=since or datetime(1970, 1, 1, tzinfo=UTC))}
    with (
        httpx.Client(
            timeout=api.timeout_seconds, transport=CheckedTransport(is_private_allowed=is_private_allowed)
        ) as client,
        extracts.writing() as writer,
    ):
        for page in _Pages(client, url, api, clock).all(since):
            lines: list[bytes] = []
            instants: list[datetime] = []
            for record in page:
                line = json.dumps(_kept(record, columns, nested), separators=(",", ":")).encode()
                if line_hash(line) not in known:
                    known.add(line_hash(line))
                    lines.append(line)
                    instants += _instants(_at(record, api.time_field))
            writer.write(lines, instants)
    if writer.path is not None:
        yield writer.path


class _Pages:
    """The pages of one pull."""

    def __init__(self, client: httpx.Client, url: str, api: Api, clock: Clock) -> None:
        self._client, self._url, self._api, self._clock = client, url, api, clock
        self._free_at = clock.now()
        self._shown = mask(url)

    def all(self, since: datetime | None) -> Iterator[list[Any]]:
        api, url = self._api, self._url
        params = dict(api.params)
        if since is not None and api.since_param is not None:
            is_unix = api.since_format == "unix"
            params[api.since_param] = (
                str(int(since.timestamp())) if is_unix else since.strftime("%Y-%m-%dT%H:%M:%SZ")
            )
        number, seen = api.first_page, set[str]()
        if api.page_param is not None and api.next_page is None:
            params[api.page_param] = str(number)
        while True:
            page = self._page(url, params)
            found = _at(page, api.records)
            records = found if isinstance(found, list) else [] if found is None else [found]
            yield records
            if api.next_page is not None:
                following = _at(page, api.next_page)
                if not following or _at(page, "has_more") is False:
                    return
                if str(following) in seen:
                    raise DataError(
                        f"{self._shown} names the page {str(following)[:80]!r} again and again; check next_page."
                    )
                seen.add(str(following))
                if str(following).startswith(("http://", "https://", "/")):
                    url, params = on_same_host(self._url, url, str(following)), {}
                elif api.page_param is not None:
                    params[api.page_param] = str(following)
            elif api.page_param is None or not records:
                return
            else:
                number += 1
                params[api.page_param] = str(number)

    def _page(self, url: str, params: Mapping[str, str | Sequence[str]]) -> Any:
        """Ask for one page, and again with growing pauses while the API stumbles."""
        redirects = 0
        attempt = 0
        while attempt < _ATTEMPTS:
            wait = self._free_at - self._clock.now()
            if wait > 0:
                self._clock.sleep(wait)
            self._free_at = self._clock.now() + 60 / self._api.requests_per_minute
            pause = min(2.0**attempt, _LONGEST_PAUSE)
            try:
                with self._client.stream(
                    "GET", url, params=params or None, headers=dict(self._api.headers)
                ) as answer:
                    if answer.status_code == httpx.codes.OK:
                        return json.loads(self._body(answer))
                    if answer.has_redirect_location and redirects < _REDIRECTS:
                        redirects += 1
                        url, params = on_same_host(self._url, url, answer.headers["location"]), {}
                        continue
                    why = f"it answers {answer.status_code}"
                    if answer.status_code in {401, 403}:
                        raise DataError(
                            f"{self._shown} refuses the token ({answer.status_code}); check the source's headers."
                        )
                    if answer.status_code not in _PASSING:
                        raise DataError(
                            f"{self._shown} cannot be read ({why}); check the source's url and params."
                        )
                    pause = max(pause, _retry_after(answer.headers.get("retry-after")))
            except httpx.TransportError as error:
                why = _WORDS.get(type(error), "the connection broke")
            except httpx.DecodingError:
                why = "its compression is damaged"
            except ValueError:
                why = "its answer is no whole JSON"
            except RecursionError:
                raise DataError(
                    f"{self._shown} cannot be read (its answer is nested too deeply); check the source's url."
                ) from None
            attempt += 1
            if attempt < _ATTEMPTS:
                self._clock.sleep(min(pause, _LONGEST_PAUSE))
        raise DataError(
            f"{self._shown} cannot be read ({why}, {_ATTEMPTS} times); nothing of this pull was kept, run again later."
        )

    def _body(self, answer: httpx.Response) -> bytes:
        """Return an answer's bytes, read piece by piece so that one without an end is left."""
        limit = self._api.max_page_mb << 20
        body = bytearray()
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > limit:
                raise DataError(
                    f"{self._shown} answers with more than {self._api.max_page_mb} MB in one page; ask for smaller "
                    f"pages by params of [sources.api], or allow more with max_page_mb."
                )
        return bytes(body)


def on_same_host(setting: str, url: str, following: str) -> str:
    """Return the address that a page or a redirect names, which is sent the headers too.

    Args:
        setting: the url of the source.
        url: of the page that names the next.
        following: what it names, which may be relative.

    Raises:
        DataError: it is on another host or port, or no longer encrypted.
    """
    try:
        here, there = httpx.URL(setting), httpx.URL(url).join(following)
    except (httpx.InvalidURL, ValueError) as error:
        raise DataError(f"{mask(setting)} names a next page that is no URL; check next_page.") from error
    ports = [address.port or _PORTS.get(address.scheme) for address in (here, there)]
    is_upgrade = (here.scheme, there.scheme) == ("http", "https") and ports == [80, 443]
    is_same = here.scheme == there.scheme and ports[0] == ports[1]
    if here.host != there.host or not (is_same or is_upgrade):
        place = mask(f"{there.scheme}://{there.netloc.decode(errors='replace')}")
        raise DataError(
            f"{mask(setting)} sends on to {place}, which is not asked, as tokens stay with the host of the setting; "
            f"if the API has moved, change the source's url."
        )
    return str(there)


_WORDS = {
    httpx.ConnectError: "no connection",
    httpx.ConnectTimeout: "no connection",
    httpx.ReadTimeout: "its answer takes too long",
    httpx.RemoteProtocolError: "its answer was cut",
}


def _retry_after(text: str | None) -> float:
    """Return the seconds that an answer asks to wait, given as seconds or as a date."""
    if text is None:
        return 0
    if re.fullmatch(r"\d+(\.\d+)?", text.strip()):
        return float(text)
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except ValueError:
        return 0


def _at(value: Any, path: str | None) -> Any:
    """Return what lies at a dotted path; the value itself for an empty one, None where there is nothing."""
    if path is None:
        return None
    for key in path.split(".") if path else ():
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _instants(value: Any) -> list[datetime]:
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return [datetime.fromtimestamp(value, UTC)]
        instant = datetime.fromisoformat(str(value))
        return [instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)]
    except (ValueError, OverflowError, OSError):
        return []


def _kept(record: Any, columns: Sequence[str], nested: Mapping[str, Sequence[str]]) -> Any:
    """Return a record with the fields that its format reads, and no other."""
    if not isinstance(record, dict):
        return None
    kept = {name: record[name] for name in columns if name in record}
    for name, paths in nested.items():
        if isinstance(kept.get(name), str):
            kept[name] = json.loads(kept[name]) if kept[name].startswith("{") else {}
        if isinstance(kept.get(name), dict):
            kept[name] = _only(kept[name], paths)
    return kept


def _only(value: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in paths:
        leaf = _at(value, path)
        if leaf is None:
            continue
        *parents, key = path.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = leaf
    return found
