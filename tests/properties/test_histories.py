"""A few histories of every CI run; `python -m benchmarks histories` draws thousands."""

from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.commit_histories import commit_histories
from tests.properties.histories import Histories


def test_a_run_that_ends_well_holds_what_was_written_whatever_happened_before() -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=1,
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_commit_is_there_whole_or_not_at_all_whatever_happened_before(tmp_path: Path) -> None:
    assert list(commit_histories(tmp_path / "lake", seed=20, count=25, steps=2)) == []
