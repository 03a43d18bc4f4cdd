"""Chunks on the workers of a Ray cluster, which all reach the lake's catalog (PostgreSQL) and its files (S3).

Ray starts a chunk again where its worker dies. Nothing else runs there: the process that asked commits.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from models.errors import ConfigurationError, DataError
from pipelines.object_store import SCHEME
from pipelines.steps.computing import Task
from pipelines.workers.chunk import ChunkFiles, chunk_files

_TRIES = 3
_PASSED_ON = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
)


def on_ray(tasks: Sequence[Task], *, address: str, count: int) -> Iterator[ChunkFiles]:
    """Yield what each task makes, in their order; at most twice `count` are under way.

    Args:
        tasks: the chunks of a range.
        address: the cluster, such as `ray://head:10001`; `auto` is the one that this machine is part of, and `local`
            begins one on this machine.
        count: workers that are kept busy.

    Raises:
        ConfigurationError: Ray is not installed, or the lake can be reached from one machine only.
        DataError: the cluster cannot be reached, or a worker died several times over one chunk.
    """
    ray = _ray(tasks[0])
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError) as error:
            raise DataError(
                f"The Ray cluster at {address} cannot be reached ({str(error).splitlines()[0]}); check [run] "
                'ray_address, or set engine = "processes".'
            ) from error
    work = ray.remote(num_cpus=1, max_retries=_TRIES)(chunk_files)
    under_way: dict[int, Any] = {}
    try:
        for number in range(len(tasks)):
            for ahead in range(number, min(number + 2 * count, len(tasks))):
                if ahead not in under_way:
                    under_way[ahead] = work.remote(tasks[ahead])
            try:
                made = ray.get(under_way[number])
            except ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            except ray.exceptions.RayError as error:
                raise DataError(
                    f"A worker of the Ray cluster died {_TRIES} times over one chunk ({str(error).splitlines()[0]}); "
                    "what was committed before stays. Give workers more memory, and run again."
                ) from error
            del under_way[number]
            yield made
    finally:
        for left in under_way.values():
            ray.cancel(left)


def _ray(task: Task) -> Any:
    project = task.project
    settings = project.folder / "nanodollar.toml"
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"[run] engine in {settings} is ray, which is not installed; run `pip install 'nanodollar[ray]'`, or set "
            'engine = "processes".'
        ) from error
    is_shared = project.data_path.startswith(SCHEME) and project.catalog.startswith("postgres:")
    if not is_shared and project.settings.run.ray_address != "local":
        raise ConfigurationError(
            f"The workers of a Ray cluster do not reach the lake that {settings} names: set [warehouse] data_path to "
            's3://bucket/prefix and catalog to "postgres:...", or ray_address = "local".'
        )
    return ray
