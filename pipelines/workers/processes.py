"""Chunks side by side in a few processes of this machine; one that dies is replaced, and its chunk computed again."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from models.errors import DataError
from pipelines.steps.computing import Task
from pipelines.workers.chunk import ChunkFiles, chunk_files

_TRIES = 3
_POLARS_THREADS = "POLARS_MAX_THREADS"


def in_processes(tasks: Sequence[Task], *, count: int) -> Iterator[ChunkFiles]:
    """Yield what each task makes, in their order; at most one more than `count` are ahead of the one that is awaited.

    Raises:
        DataError: a chunk cannot be computed, or its worker died several times.
    """
    pool = _pool(count)
    under_way: dict[int, Future[ChunkFiles]] = {}
    deaths: dict[int, int] = {}
    try:
        for number, task in enumerate(tasks):
            while True:
                try:
                    for ahead in range(number, min(number + count + 1, len(tasks))):
                        if ahead not in under_way:
                            under_way[ahead] = pool.submit(chunk_files, tasks[ahead])
                    made = under_way[number].result()
                    break
                except BrokenProcessPool as error:
                    deaths[number] = deaths.get(number, 0) + 1
                    if deaths[number] == _TRIES:
                        raise DataError(_died(task)) from error
                    pool.shutdown(cancel_futures=True)
                    under_way = {place: each for place, each in under_way.items() if _is_made(each)}
                    pool = _pool(count)
            del under_way[number]
            yield made
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(count: int) -> ProcessPoolExecutor:
    """Return new processes; each uses its share of the cores, which Polars reads when it is imported."""
    share = str(max(1, (os.cpu_count() or 1) // count))
    return ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(share,)
    )


def _begin(threads: str) -> None:
    os.environ.setdefault(_POLARS_THREADS, threads)


def _is_made(future: Future[ChunkFiles]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _died(task: Task) -> str:
    span = f"{task.window.start:%Y-%m-%d %H:%M} to {task.window.end:%Y-%m-%d %H:%M}"
    return (
        f"A worker died {_TRIES} times while it computed {span} UTC, as when memory is short; "
        "what was committed before stays. Set [run] processes lower, and run again."
    )
