"""Addresses that a source may reach only if its settings say so: this machine and its cloud's metadata service."""

import ipaddress
import socket

import httpx

from models.errors import ConfigurationError, DataError

_METADATA = tuple(
    ipaddress.ip_network(text)
    for text in ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
)
"""Metadata services that are not link-local: of Alibaba Cloud, Oracle, Azure, and over IPv6 of AWS and Google Cloud."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses as NAT64 writes them (RFC 6052)."""


def reachable_addresses(host: str, port: int, *, is_private_allowed: bool) -> list[str]:
    """Return the addresses of a host, to which the connection is then made: a name cannot change its mind in between.

    Raises:
        ConfigurationError: one of them is loopback, link-local or a metadata service, and that is not allowed.
        DataError: the name is not known.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DataError(f"The host {host} is not known; check the source's url and the network.") from error
    found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for address in found:
        if not is_private_allowed and _is_own(address):
            raise ConfigurationError(
                f"The source's host {host} is {address}, an address of this machine, its link or its cloud's metadata "
                f"service; if that is meant, write allow_private_addresses = true in the source's settings."
            )
    return found


def _is_own(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _TRANSLATED:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address in ipaddress.ip_network("0.0.0.0/8")
        or any(address in network for network in _METADATA)
    )


class CheckedTransport(httpx.HTTPTransport):
    """Connects to addresses that were looked up and found allowed; TLS still asks for the host's own certificate."""

    def __init__(self, *, is_private_allowed: bool) -> None:
        super().__init__()
        self._is_private_allowed = is_private_allowed

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = reachable_addresses(url.host, port, is_private_allowed=self._is_private_allowed)
        request.extensions = {**request.extensions, "sni_hostname": url.host}
        for address in addresses[:-1]:
            request.url = url.copy_with(host=address)
            try:
                return super().handle_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        request.url = url.copy_with(host=addresses[-1])
        return super().handle_request(request)
