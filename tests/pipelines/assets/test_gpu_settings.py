"""What a person writes about GPUs, on a real lake: weights that engines' counters suggest, and overhead by the hour."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.models.costs.engine import TRUE_WEIGHT, simulate
from tests.pipelines.small import SETTINGS, fleet_row, lifecycle, make_project, nanodollar, query, write_lines

ENGINES = """
[[sources]]
name = "engines"
kind = "prometheus"
path = "landing/engines/*.prom"
[gpu]
training = ["llama-*"]
"""
MORNING = datetime(2026, 11, 2, 8, tzinfo=UTC)
BILL = "SELECT effective_usd, allocation_weight, weights_from, allocation_rule FROM core.request_costs"
OVERHEAD = "version: 1\noverhead:\n  - {{name: storage, usd_per_hour: {rate}, valid_from: 2026-11-01}}\n"
CHARGED = """
SELECT sum(effective_usd) / count(DISTINCT accrued_hour), count(*) FILTER (route = 'llama-pool' AND chip = 'H100'),
       count(DISTINCT charge_id)
FROM core.other_charges
"""
SHOWN = """
SELECT model, chip, estimated_weight, low_weight, high_weight, in_force_weight, in_force_from, weights_entry
FROM mart.prefill_weights
WHERE accrued_on = (SELECT max(accrued_on) FROM mart.prefill_weights)
"""


def test_an_estimate_moves_no_bill_and_overhead_is_booked_by_the_hour(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path, SETTINGS + ENGINES)
    engine = simulate(1, start=MORNING, hours=7)
    write_lines(
        tmp_path / "landing/engines/morning.prom",
        [line for scrape in engine for line in scrape.lines(model="llama-3.3-70b", replica="replica-1")],
    )
    write_lines(
        tmp_path / "landing/replicas/morning.jsonl",
        lifecycle(
            "replica-1", "llama-pool", "H100", ("requested", "2026-11-02T08:00:00Z"),
            ("ready", "2026-11-02T08:00:10Z"), ("stopped", "2026-11-02T15:00:00Z"),
        ),
    )  # fmt: skip
    served = fleet_row("f1", "replica-1", "llama-pool", "2026-11-02T09:20:00Z", "2026-11-02T09:25:00Z")
    write_lines(tmp_path / "landing/fleet/morning.jsonl", [served])
    overhead = tmp_path / "overhead.yml"
    overhead.write_text(OVERHEAD.format(rate="1.20"), encoding="utf-8")
    assert nanodollar(project, "run").code in {0, 1}

    ((model, chip, weight, low, high, in_force, origin, entry),) = query(project, SHOWN)
    assert (model, chip, in_force, origin) == ("llama-3.3-70b", "H100", 0.46, "default")
    assert low < TRUE_WEIGHT < high
    assert weight == pytest.approx(TRUE_WEIGHT, rel=0.06)
    assert query(project, "SELECT DISTINCT workload FROM mart.gpu_bill_daily") == [("training",)]
    ((usd, tokens, weights_from, rule),) = query(project, BILL)
    assert (weights_from, rule) == ("default", "token_share")

    # Seven hours of a replica, the others that were computed nobody's.
    assert query(project, CHARGED) == [(1.2, 7, 2)]

    # A changed overhead outdates its hours, which are then computed with the weights that were adopted.
    (tmp_path / "weights.yml").write_text(f"version: 1\nweights:\n  {entry}\n", encoding="utf-8")
    overhead.write_text(OVERHEAD.format(rate="2.40"), encoding="utf-8")
    assert nanodollar(project, "run").code in {0, 1}
    assert query(project, CHARGED) == [(2.4, 7, 2)]
    assert query(project, BILL) == [(usd, tokens, "default", "token_share")]
