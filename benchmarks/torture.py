"""Torture of the real program, too long for the tests: `python -m benchmarks torture [ROUNDS]`; exit 1 where one fails.

- orders: files that land in any order, with runs between, give the tables of one run over all
- kills: a run that is killed at any step, and run again, gives the tables of a run that was left alone
- readers: writers, maintenance and readers in processes of their own: each read is a committed state
- steps: each durable step is made to fail (full disk, error, timeout, 503, kill), and the work is done again
- histories: late files, failed steps, closes, maintenance, backups and lost disks at random, beside a ledger in memory
- commits: short histories of the committing room alone, a hundred a round, each from a seed that is printed
- short lines: four times as many of them take four times as long, and no more memory
"""

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.readers import readers
from tests.content_hashes import content_hashes
from tests.pipelines.landing.lake import call, lake, put
from tests.pipelines.small import gateway_row, make_project, write_company, write_lines
from tests.properties.commit_histories import commit_histories
from tests.properties.durable import FAULTS, failed_and_done_again, figures, steps_of
from tests.properties.histories import Histories
from tests.properties.test_order_of_arrival import FILES, built, empty_project

_COMMAND = [sys.executable, "-c", "from pipelines.cli.main import main; main()", "--project"]


def orders(folder: Path, rounds: int) -> Iterator[str]:
    """Yield each order of arrival that gives other tables than one run."""
    empty = empty_project(folder / "empty")
    whole = sorted(built(shutil.copytree(empty, folder / "whole"), [list(FILES)]))
    for seed in range(rounds):
        draw = random.Random(seed)
        names, runs = draw.sample(list(FILES), len(FILES)), []
        while names:
            taken = draw.choice([1, 1, 1, 2, 3])
            runs.append(names[:taken])
            names = names[taken:]
        differing = set(whole) ^ set(built(shutil.copytree(empty, folder / f"order-{seed}"), runs))
        print(f"order {seed}: {len(runs)} runs, {len(differing)} partitions differ", flush=True)
        if differing:
            yield f"{runs}: {sorted(differing)}"


def kills(folder: Path, rounds: int) -> Iterator[str]:
    """Yield each moment of a kill after which running again does not give the tables of an undisturbed run."""
    company = write_company(folder / "company")
    rows = [
        gateway_row(f"n{hour}-{n}", f"2026-11-0{3 + n % 3} {hour:02}:10:00")
        for hour in range(24)
        for n in range(9)
    ]
    write_lines(company.folder / "landing/gateway/days.jsonl", rows)
    company.hash_key()
    alone = shutil.copytree(company.folder, folder / "alone")
    steps = len(_run(alone, until=None))
    whole = sorted(content_hashes(alone))
    for seed in range(rounds):
        killed = shutil.copytree(company.folder, folder / f"kill-{seed}")
        draw = random.Random(seed)
        until = draw.randint(1, steps - 1)
        told = _run(killed, until=until, after=draw.random())
        _run(killed, until=None)
        drafts = [path.name for path in killed.rglob("*.draft")]
        differing = set(whole) ^ set(content_hashes(killed))
        last = told[-1].strip() if told else "the start"
        print(
            f"kill {seed}: after {last!r}: {len(differing)} partitions differ, {len(drafts)} drafts",
            flush=True,
        )
        if differing or drafts:
            yield f"after {last!r}: {sorted(differing)} {drafts}"


def _run(folder: Path, *, until: int | None, after: float = 0.0) -> list[str]:
    """Run a project and return the lines of its progress; kill it some seconds after one of them."""
    told: list[str] = []
    with subprocess.Popen(
        [*_COMMAND, str(folder), "run"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            told.append(line)
            if len(told) == until:
                time.sleep(after)
                run.kill()
                break
    return told


def short_lines(folder: Path) -> Iterator[str]:
    """Yield what short lines cost, where four times as many cost over six times the time, or 1.5 times the memory."""
    for kind, line in (("newlines", b"\n"), ("empty records", b"{}\n")):
        seconds, peaks = [], []
        for count in (250_000, 1_000_000):
            project = make_project(folder / f"{kind} {count}")
            file = project.folder / "landing/gateway/short.jsonl.gz"
            file.parent.mkdir(parents=True)
            file.write_bytes(gzip.compress(line * count))
            begun = time.perf_counter()
            child = subprocess.Popen(
                [*_COMMAND, str(project.folder), "ingest", str(file), "--kind", "litellm_spend_logs"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            _, _, usage = os.wait4(child.pid, 0)
            child.returncode = 0
            seconds.append(time.perf_counter() - begun)
            peaks.append(usage.ru_maxrss / 1024)
        print(
            f"{kind}: x4 take x{seconds[1] / seconds[0]:.1f} the time ({seconds[1]:.1f} s) and "
            f"x{peaks[1] / peaks[0]:.2f} the memory ({peaks[1]:,.0f} MB)",
            flush=True,
        )
        if seconds[1] > 6 * seconds[0] or peaks[1] > 1.5 * peaks[0]:
            yield f"{kind}: {seconds} s, {peaks} MB"


def steps(folder: Path, rounds: int) -> Iterator[str]:
    """Yield each durable step, and way to fail, after which the work done again gives other figures."""
    warehouse = lake(folder / "whole")
    for name, first in (("a.jsonl", 0), ("b.jsonl", 450)):
        put(warehouse, name, "".join(f"{json.dumps(call(n))}\n" for n in range(first, 7200, 900)))
    warehouse.project.hash_key()
    shutil.copytree(warehouse.project.folder, folder / "before")
    names = steps_of(warehouse)
    warehouse.lake.close()
    whole = figures(warehouse.project.folder)
    cases = [(number, kind) for number in range(len(names)) for kind in FAULTS]
    cases = random.Random(0).sample(cases, min(len(cases), rounds * 10))
    for number, kind in cases:
        again = shutil.copytree(folder / "before", folder / "again")
        differing = set(whole) ^ set(failed_and_done_again(again, number, FAULTS[kind]()))
        shutil.rmtree(again)
        if differing:
            yield f"{kind} at step {number}, {names[number]!r}: {sorted(differing)}"
    print(f"steps: {len(cases)} of {len(names) * len(FAULTS)} failures of {len(names)} steps", flush=True)


def histories(rounds: int) -> Iterator[str]:
    """Yield the shortest history, with its seed, after which a run holds something else than was written."""
    drawn = settings(
        max_examples=10 * rounds,
        stateful_step_count=20,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Histories, settings=drawn)
    except Exception as error:  # noqa: BLE001
        yield f"{error}: {getattr(error, '__notes__', '')}"
    print(f"histories: {10 * rounds} of up to 20 steps", flush=True)


def commits(folder: Path, rounds: int) -> Iterator[str]:
    """Yield what goes wrong in histories of commits, a hundred a seed."""
    for seed in range(rounds):
        yield from commit_histories(folder / f"{seed}", seed=seed, count=100)
        print(f"commits: 100 histories of 8 steps of seed {seed}", flush=True)


def main(rounds: int = 10) -> None:
    """Run every torture so many rounds; raise SystemExit(1) where one fails."""
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        found = [
            *readers([lake(folder / "read").project.folder], seconds=6.0 * rounds),
            *steps(folder / "steps", rounds),
            *histories(rounds),
            *commits(folder / "commits", rounds),
            *short_lines(folder),
            *kills(folder, rounds),
            *orders(folder, rounds),
        ]
    for line in found:
        print(f"FAILED: {line}")
    raise SystemExit(bool(found))
