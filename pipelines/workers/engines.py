"""Which engine computes the chunks of a run that are worked off side by side."""

from collections.abc import Generator, Sequence

from pipelines.steps.computing import Task
from pipelines.workers.chunk import ChunkFiles


def computed_apart(tasks: Sequence[Task]) -> Generator[ChunkFiles]:
    """Yield what each task makes, in their order, computed by the engine of the project's `[run]`.

    Raises:
        DataError: a chunk cannot be computed, or the engine cannot be had.
    """
    project = tasks[0].project
    if project.settings.run.engine == "ray":
        from pipelines.workers.ray_cluster import on_ray

        yield from on_ray(tasks, address=project.settings.run.ray_address, count=project.workers)
        return
    from pipelines.workers.processes import in_processes

    yield from in_processes(tasks, count=project.workers)
