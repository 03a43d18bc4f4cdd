"""GPU hours without a price fail a check that names them, an estimate, and the line to add; an over-held node warns."""

from datetime import UTC, datetime, timedelta

from models.schemas.vocabulary import POOL_PARTS
from pipelines.checks.domain import Outcome
from pipelines.checks.listing import domain_checks
from pipelines.project import Settings
from tests.models.marts.warehouse import insert, open_warehouse

HOUR = datetime(2026, 11, 2, tzinfo=UTC)


def judged(name: str, **rows: list[dict[str, object]]) -> Outcome:
    """Return what a check finds in the rows of some tables, named with _ for the dot."""
    with open_warehouse() as con:
        for each, held in rows.items():
            insert(con, each.replace("_", ".", 1), held)
        (check,) = (check for check in domain_checks() if check.name == name)
        return check.outcome(con, Settings(), HOUR, HOUR + timedelta(hours=1))


def pool(**changes: object) -> dict[str, object]:
    return {
        "provider": "aws", "region": "us-east-9", "chip": "H100", "deployment": "chat", "commitment": "on_demand",
        "pool_hour": HOUR, "accrued_on": HOUR.date(), "billed_gpu_seconds": 28_800, "unpriced_gpu_seconds": 0,
        "wall_gpu_seconds": 28_800, "is_provisional": False,
        **{f"{part}_gpu_seconds": 0 for part in POOL_PARTS}, **changes,
    }  # fmt: skip


def rate(usd: int, **changes: object) -> dict[str, object]:
    return {
        "price_id": f"p{usd}", "provider": "aws", "region": "us-east-1", "chip": "H100", "commitment": "on_demand",
        "usd_per_gpu_hour": usd, "picodollars_per_gpu_hour": usd * 10**12, "is_rounded": False,
        "granularity_seconds": 1, "minimum_seconds": 0, "billed_phases": ["serving"], "valid_from": HOUR,
        "known_from": HOUR, "sheet_version": "v", "sheet_path": "p", "source_url": "https://example.com", **changes,
    }  # fmt: skip


def test_gpu_hours_without_a_price_are_named_with_an_estimate_at_the_nearest_region_and_the_line_to_paste() -> (
    None
):
    found = judged(
        "prices_cover_gpu_hours",
        core_pool_hours=[
            pool(unpriced_gpu_seconds=28_800),
            pool(chip="Zeta", billed_usd=1, unpriced_gpu_seconds=1800),
            # Of an older lake, which counted nothing.
            pool(chip="Old", unpriced_gpu_seconds=None),
            pool(deployment="priced", billed_usd=1),
            pool(chip="unknown", region="unknown", unpriced_gpu_seconds=360),
            # Of vendors whose sheets know no regions, or that have none.
            pool(provider="baseten", region="unknown", unpriced_gpu_seconds=180),
            pool(provider="vast", region="Texas, US", unpriced_gpu_seconds=90),
        ],
        ref_gpu_prices=[
            rate(5),
            rate(4, region="us-west-2"),
            rate(1, region="us-east-9", commitment="spot"),
            rate(3, provider="gcp", region="us-east-9"),
        ],
    )
    assert (found.is_passed, found.severity, found.failed_count) == (False, "error", 6)
    assert "16.7 GPU hours have no price (about $40.22 at the nearest rates, in no sum)" in found.summary
    line = (
        "{chip: H100, region: us-east-9, commitment: on_demand, usd_per_gpu_hour: 5, valid_from: 2026-11-02}"
    )
    assert found.failed_ids[0] == (
        f"8.0 GPU hours, about $40.00 as aws bills on_demand in us-east-1; "
        f"add to `rates:` of prices/gpu/aws.yml: - {line}"
    )
    assert "0.5 GPU hours, no sheet has the chip" in found.failed_ids[2]
    assert "no record says the region or chip of replicas: land their nodes too" in found.failed_ids[3]
    assert "prices/gpu/baseten.yml: - {chip: H100, commitment: on_demand, usd_per" in found.failed_ids[4]
    assert 'prices/gpu/vast.yml: - {chip: H100, region: "Texas, US", commitment' in found.failed_ids[5]


def test_a_fleet_whose_hours_have_prices_passes() -> None:
    found = judged("prices_cover_gpu_hours", core_pool_hours=[pool(billed_usd=1)], ref_gpu_prices=[rate(1)])
    assert (found.is_passed, found.failed_ids) == (True, [])


def test_a_node_that_is_held_by_more_than_it_has_is_named() -> None:
    state = {
        "provider": "aws", "region": "r", "chip": "H100", "deployment": "chat", "commitment": "on_demand",
        "node": "n1", "state": "ready", "state_hour": HOUR, "accrued_on": HOUR.date(), "started_at": HOUR,
        "ended_at": HOUR, "chip_count": 1, "fraction": 1, "billed_seconds": 0, "is_cold_start": False,
    }  # fmt: skip
    told = [state | {"replica_id": name, "repair": "assumed_chip, over_held_node"} for name in ("a", "b")]
    found = judged(
        "nodes_hold_no_more_than_they_have", core_replica_states=[*told, state | {"replica_id": "c"}]
    )
    assert (found.is_passed, found.severity) == (False, "warn")
    assert found.failed_ids == ["n1 from 2026-11-02T00:00Z: a, b"]
