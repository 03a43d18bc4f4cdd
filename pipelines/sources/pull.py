"""Pull what is new from a source that is no folder of files: a database or an API. It is kept as extracts."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path

from models.errors import ConfigurationError
from models.importers import importers
from pipelines.landing.spec import SourceSpec
from pipelines.sources.extracts import Extracts
from pipelines.sources.postgres import pull_spend_logs
from pipelines.sources.stored import StoredFile, stored_file

_FOLDER = Path("warehouse", "landed")


def pull(
    source: SourceSpec, *, project: Path, landed: Collection[str], overlap: timedelta
) -> Iterator[StoredFile]:
    """Yield extracts of what has not landed yet; each is whole before it is yielded.

    Args:
        source: a source with a url.
        project: the project folder; extracts are kept under it.
        landed: paths of files that have landed from the source, relative to the project.
        overlap: how far behind the newest landed record a new one may lie.

    Raises:
        ConfigurationError: the kind cannot be pulled from such a url.
        DataError: the other side cannot be reached.
    """
    from models.logs.litellm_fields import METADATA

    folder = project / _FOLDER / source.name
    url = str(source.url)
    if not url.startswith(("postgres://", "postgresql://")) or source.kind != "litellm_spend_logs":
        raise ConfigurationError(
            f"The source {source.name!r} of kind {source.kind} cannot be read from its url; "
            f"only litellm_spend_logs reads postgres://, other kinds take a path."
        )
    extracts = Extracts(folder, {Path(path).name for path in landed if (project / path).parent == folder})
    paths = pull_spend_logs(
        url,
        extracts,
        columns=list(importers()[source.kind].columns),
        nested={"metadata": tuple(METADATA.values())},
        overlap=overlap,
    )
    for path in paths:
        yield stored_file(path, project=project)
