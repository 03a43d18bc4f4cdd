"""Ports that a command listens on."""

import socket

from models.errors import ConfigurationError


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens, or refuse before anything is started.

    Raises:
        ConfigurationError: the host is none of this machine's, or something else answers at the port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigurationError(
            f"{host} is no address of this machine; write --host 127.0.0.1 for this machine alone."
        ) from error
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"Port {port} on {host} is in use or may not be used; choose another, such as --port {port + 1}."
        ) from error
    return listening
