"""A worker that is killed in the middle of its first chunk, as by the system when memory is short."""

import os
import signal
from pathlib import Path

from pipelines.steps.computing import Task
from pipelines.workers.chunk import ChunkFiles, chunk_files

MARK = "killed"


def killed_once(task: Task) -> ChunkFiles:
    made = chunk_files(task)
    try:
        Path(task.project.folder, MARK).touch(exist_ok=False)
    except FileExistsError:
        return made
    os.kill(os.getpid(), signal.SIGKILL)
    return made


def always_killed(task: Task) -> ChunkFiles:
    os.kill(os.getpid(), signal.SIGKILL)
    return chunk_files(task)
