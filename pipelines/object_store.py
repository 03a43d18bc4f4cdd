"""The S3-compatible store of the environment: keys, region and endpoint are those that AWS's tools read."""

import os
from urllib.parse import urlsplit

import pyarrow.fs

from pipelines.quoting import sql_text

SCHEME = "s3://"
_CONNECT_SECONDS, _SILENT_SECONDS = 10, 60
"""How long a store may take to be reached, and to say nothing: a store that lists many files thinks longer than 3 s."""


def object_store() -> pyarrow.fs.S3FileSystem:
    """Return the store as a file system whose paths are `bucket/key`."""
    return pyarrow.fs.S3FileSystem(
        endpoint_override=_endpoint(),
        region=_region(),
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_SILENT_SECONDS,
    )


def secret_sql() -> str:
    """Return the statement that tells the store to a DuckDB session, which forgets it with its end.

    Without AWS_ACCESS_KEY_ID the keys are looked for as AWS's tools do (profile, role of the machine), which takes
    DuckDB's extension `aws`.
    """
    options = {"REGION": _region()}
    if "AWS_ACCESS_KEY_ID" in os.environ:
        options |= {
            "KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
            "SECRET": os.environ.get("AWS_SECRET_ACCESS_KEY"),
            "SESSION_TOKEN": os.environ.get("AWS_SESSION_TOKEN"),
        }
    provider = "config" if "KEY_ID" in options else "credential_chain"
    endpoint = _endpoint()
    if endpoint is not None:
        # Other stores than Amazon's have no host name for each bucket.
        address = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        options |= {"ENDPOINT": address.netloc, "URL_STYLE": "path"}
        options["USE_SSL"] = "true" if address.scheme == "https" else "false"
    words = [f"{name} {sql_text(value)}" for name, value in options.items() if value is not None]
    return f"CREATE OR REPLACE SECRET (TYPE s3, PROVIDER {provider}{''.join(f', {word}' for word in words)})"


def first_line(error: OSError) -> str:
    """Return what a store says went wrong, without what it says about itself."""
    return str(error).strip().splitlines()[0]


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
