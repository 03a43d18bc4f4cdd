"""A few histories of every CI run; `python -m benchmarks torture` draws as many more as it is given time for."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.histories import Histories


def test_a_run_that_ends_well_holds_what_was_written_whatever_happened_before() -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=2,
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
