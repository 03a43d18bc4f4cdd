"""Histories of commits drawn at random: `python -m benchmarks histories [COUNT] [SEED]`; exit 1 where one goes wrong.

Each hundred begins on an empty lake, with a seed of its own that is printed: the same seed draws the same hundred.
"""

import random
import tempfile
import time
from pathlib import Path

from tests.properties.commit_histories import commit_histories

_AT_ONCE = 100
_STEPS = 3


def main(count: int = 10_000, seed: int | None = None) -> None:
    """Draw so many histories of a few steps; raise SystemExit(1) where a ledger in memory says otherwise."""
    first = random.randrange(1_000_000) if seed is None else seed
    done, found, begun = 0, list[str](), time.monotonic()
    for number in range(first, first + -(-count // _AT_ONCE)):
        several = min(_AT_ONCE, count - done)
        with tempfile.TemporaryDirectory(prefix="histories-") as folder:
            wrong = list(commit_histories(Path(folder) / "lake", seed=number, count=several, steps=_STEPS))
        found += wrong
        done += several
        for line in wrong:
            print(f"FAILED: {line}", flush=True)
        print(
            f"histories: {done:,} of {_STEPS} steps, {len(found)} faults, seeds {first} to {number}, "
            f"{(time.monotonic() - begun) / 60:,.1f} minutes",
            flush=True,
        )
    raise SystemExit(bool(found))
