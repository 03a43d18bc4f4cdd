"""A progress line per step: a live bar on a terminal, one line per step elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pipelines.cli.json_lines import JsonLines
from pipelines.masking import MaskedStream


@contextmanager
def showing_progress() -> Iterator[Callable[[str, str], None]]:
    """Yield a function that is told a step's name and how far it is."""
    started = time.monotonic()
    if not sys.stderr.isatty():
        last: dict[str, float] = {}

        def show(step: str, note: str) -> None:
            now = time.monotonic()
            if step not in last or now - last[step] > 5:  # noqa: PLR2004
                if isinstance(sys.stderr, JsonLines):
                    sys.stderr.tell(note, step=step, seconds=round(now - started, 3))
                else:
                    print(f"[{now - started:6.1f} s] {step}: {note}", file=sys.stderr)
            last[step] = now

        yield show
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=_live(sys.stderr))) as progress:
        tasks: dict[str, int] = {}

        def show(step: str, note: str) -> None:
            if step not in tasks:
                for task in tasks.values():
                    progress.stop_task(task)  # type: ignore[arg-type]
                tasks[step] = progress.add_task(f"{step:32}", note=note, total=None)
            progress.update(tasks[step], note=note)  # type: ignore[arg-type]

        yield show


def _live(stream: Any) -> Any:
    """Return a stream that lets the bar move the cursor."""
    return stream.with_controls() if isinstance(stream, MaskedStream) else stream
