"""Real servers for tests: an S3 API and PostgreSQL, alive as long as the block."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

AWS = {
    "AWS_ACCESS_KEY_ID": "k",
    "AWS_SECRET_ACCESS_KEY": "s",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3_server() -> Iterator[str]:
    """Yield the address of an S3 API; AWS are the settings of its clients beside the address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        # What another server of this process was told is there still.
        urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"")
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def postgres_server(folder: Path, runtime: Path) -> Iterator[str]:
    """Yield the URL of a PostgreSQL whose data lie in a folder and whose socket lies in another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        import pgserver
    server = pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
