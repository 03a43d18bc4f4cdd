"""However a month is split: nothing is lost, nothing is made, and no view of it sums to anything else."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from models.schemas.cost_kinds import COST_KINDS
from tests.models.finance.costs import cost, split

NAMES = st.sampled_from(["a", "b", "c", None])
COSTS = st.builds(
    lambda kind, usd, day, **facts: cost(kind, usd, f"2026-10-{day:02}", **facts),
    st.sampled_from(COST_KINDS),
    st.none() | st.decimals(-(10**7), 10**8, places=12),
    st.integers(1, 31),
    provider=NAMES, chip=NAMES, deployment=NAMES, tenant=NAMES, team=NAMES,
    attempt_count=st.integers(0, 20), total_tokens=st.integers(0, 10**12), unpriced_tokens=st.integers(0, 10),
)  # fmt: skip
HOW = st.sampled_from(
    [
        "method: by_usage",
        "method: by_usage, usage_of: everything, measure: tokens",
        "method: by_usage, usage_of: provider, valid_from: 2026-10-15",
        "method: by_usage, usage_of: chip, deployment: a",
        "method: central, payer: c, provider: b",
        "method: fixed_shares, shares: {a: 1, b: 0.000000001, c: 999999999}",
        "method: fixed_shares, shares: {x: 3, y: 3, z: 1}, shares_of: cost_centre",
        "method: reserving_team",
    ]
)
KINDS = st.lists(st.sampled_from(COST_KINDS), min_size=1, max_size=5).map(", ".join)


@settings(max_examples=80, deadline=None)
@given(
    costs=st.lists(COSTS, min_size=1, max_size=14),
    rules=st.lists(st.tuples(KINDS, HOW), max_size=4),
    fewest=st.none() | st.integers(2, 30),
)
def test_the_rows_of_a_month_sum_to_its_bill(costs, rules, fewest):
    lines = [f"  - {{name: r{n}, kinds: [{kinds}], {how}}}" for n, (kinds, how) in enumerate(rules)]
    text = "\n".join(["rules:", *lines, ""]) if lines else "rules: []\n"
    if fewest is not None:
        text += f"small_groups: {{fewer_requests_than: {fewest}}}\n"
    rows = split(costs, f"{text}cost_centres: [{{team: a, cost_centre: CC-1}}]\n")
    assert rows.get_column("usd").sum() == sum((row["usd"] or Decimal(0) for row in costs), Decimal(0))
    for kind in COST_KINDS:
        whole = sum((row["usd"] or Decimal(0) for row in costs if row["cost_kind"] == kind), Decimal(0))
        found = [row["usd"] for row in rows.iter_rows(named=True) if row["cost_kind"] == kind]
        assert sum(found, Decimal(0)) == whole
    for count in ("attempt_count", "total_tokens", "unpriced_tokens"):
        assert rows.get_column(count).sum() == sum(row[count] for row in costs)
    assert (
        not rows.select("month_on", "tenant", "team", "cost_centre", "cost_kind", "rule")
        .is_duplicated()
        .any()
    )
