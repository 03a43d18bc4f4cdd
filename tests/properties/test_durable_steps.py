"""Whatever durable step fails, and however, the work done again gives what an undisturbed one gives."""

import itertools
import json
import shutil
from pathlib import Path

from tests.pipelines.landing.lake import call, lake, put
from tests.properties.durable import FAULTS, failed_and_done_again, figures, steps_of


def test_work_that_failed_at_any_step_is_done_again_to_the_same_figures(tmp_path: Path) -> None:
    warehouse = lake(tmp_path / "whole")
    put(warehouse, "a.jsonl", "".join(json.dumps(call(n)) + "\n" for n in range(0, 7200, 900)))
    put(warehouse, "b.jsonl", "".join(json.dumps(call(n)) + "\n" for n in range(450, 7200, 900)) + "{half\n")
    warehouse.project.hash_key()
    shutil.copytree(warehouse.project.folder, tmp_path / "before")
    steps = steps_of(warehouse)
    warehouse.lake.close()
    whole = figures(warehouse.project.folder)

    # A few here; `python -m benchmarks torture` lets each step fail in every way.
    first = {name: steps.index(name) for name in steps}
    assert len(first) >= 14, first
    for (name, number), kind in list(zip(first.items(), itertools.cycle(FAULTS), strict=False))[::5]:
        folder = tmp_path / "again"
        shutil.copytree(tmp_path / "before", folder)
        assert failed_and_done_again(folder, number, FAULTS[kind]()) == whole, (name, kind)
        shutil.rmtree(folder)
