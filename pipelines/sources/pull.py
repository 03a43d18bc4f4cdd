"""Pull what is new from a source that is no folder of files: a database or an API. It is kept as extracts."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from models.errors import ConfigurationError
from models.importers import importers
from models.logs.langfuse_export import KEPT_PATHS
from models.logs.litellm_fields import METADATA_PATHS
from pipelines.sources.extracts import Extracts
from pipelines.sources.http_api import pull_records
from pipelines.sources.postgres import pull_spend_logs
from pipelines.sources.spec import Api, SourceSpec
from pipelines.sources.stored import StoredFile, stored_file

_FOLDER = Path("warehouse", "landed")
_FREE_TEXT = {
    *("response", "result", "results", "delta", "input", "output", "messages", "resourceSpans"),
    *("metadata", "properties", "spec", "object"),
}
"""Fields that hold prompts, completions or whatever a caller wrote: a format that reads inside them is not kept as an
extract, unless it names the paths that are kept of them."""
_NESTED: dict[str, Mapping[str, Sequence[str]]] = {
    "litellm_spend_logs": {"metadata": METADATA_PATHS},
    "langfuse_export": KEPT_PATHS,
}
"""Of a kind's fields, the paths that are kept."""


def pull(
    source: SourceSpec, *, project: Path, landed: Collection[str], overlap: timedelta, pulled_at: datetime
) -> Iterator[StoredFile]:
    """Yield extracts of what has not landed yet; each is whole before it is yielded.

    Args:
        source: a source with a url.
        project: the project folder; extracts are kept under it.
        landed: paths of files that have landed from the source, relative to the project.
        overlap: how far behind the newest landed record a new one may lie.
        pulled_at: when the pull is made.

    Raises:
        ConfigurationError: the kind cannot be pulled from such a url.
        DataError: the other side cannot be reached, or refuses.
    """
    url, folder = str(source.url), project / _FOLDER / source.name
    importer = importers()[source.kind]
    columns = [source.columns.get(name, name) for name in importer.columns]
    nested = dict(_NESTED.get(source.kind, {}))
    # The results of a usage API are counts.
    is_counter = importer.table == "raw.usage_counters"
    is_free = not is_counter and bool(_FREE_TEXT.intersection(columns).difference(nested))
    extracts = Extracts(
        folder, {Path(path).name for path in landed if (project / path).parent == folder}, pulled_at=pulled_at
    )
    if url.startswith(("postgres://", "postgresql://")) and source.kind == "litellm_spend_logs":
        paths = pull_spend_logs(
            url,
            extracts,
            columns=columns,
            nested=nested,
            overlap=overlap,
            is_private_allowed=source.allow_private_addresses,
        )
    elif url.startswith(("http://", "https://")) and not is_free:
        paths = pull_records(
            url,
            source.api or Api(),
            extracts,
            columns=columns,
            nested=nested,
            overlap=overlap,
            is_private_allowed=source.allow_private_addresses,
        )
    else:
        raise ConfigurationError(
            f"The source {source.name!r} of kind {source.kind} cannot be read from its url; litellm_spend_logs reads "
            f"postgres://, kinds without prompts in them read https://, and every kind takes a path."
        )
    for path in paths:
        yield stored_file(path, project=project)
