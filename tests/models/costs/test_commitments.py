from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.costs.commitments import commitment_prices, load_commitments
from models.costs.weights import TokenWeights, Weights, load_weights
from models.errors import ConfigurationError

TERMS = """\
version: 1
commitments:
  - {provider: coreweave, region: us-east, chip: H100, gpu_count: 16, usd_per_gpu_hour: 2.10,
     upfront_usd: 1000, valid_from: 2026-01-01, valid_to: 2026-01-02}
"""


def test_the_upfront_is_spread_over_count_and_term_and_rounded_once():
    (row,) = load_commitments(TERMS, path="c.yml").iter_rows(named=True)
    # 1,000 / (16 x 24) = 2.604166... dollars.
    assert row["picodollars_per_gpu_hour"] == 4_704_166_666_667
    assert (row["gpu_count"], row["hourly_usd"], row["sheet_line"]) == (16, Decimal("2.1"), 3)
    assert (row["commitment"], row["known_from"]) == ("committed", datetime(2026, 1, 1, tzinfo=UTC))


def test_replicas_on_a_commitment_are_billed_at_its_rate():
    (price,) = commitment_prices(load_commitments(TERMS, path="c.yml")).iter_rows(named=True)
    assert (price["region"], price["commitment"], price["picodollars_per_gpu_hour"]) == (
        "us-east",
        "committed",
        4_704_166_666_667,
    )
    assert "waiting" not in price["billed_phases"]


def test_no_file_is_no_commitment():
    assert load_commitments("", path="").is_empty()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gpu_count: 16", "gpu_count: 0", r"c\.yml, line 3: commitments.0.gpu_count"),
        (
            "gpu_count: 16",
            "gpu_counts: 16",
            r"c\.yml, line 3: unknown key 'gpu_counts'; did you mean 'gpu_count'",
        ),
        (
            "2026-01-02",
            "2025-01-02",
            r"c\.yml, line 3: the commitment ends before it starts; mend `valid_to`",
        ),
        ("provider: coreweave, ", "", r"c\.yml, line 3: 'provider' is missing; add it"),
        ("version: 1", "version: 2", r"c\.yml, line 1: version"),
    ],
)
def test_a_wrong_commitment_is_refused_with_its_line(old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        load_commitments(TERMS.replace(old, new), path="c.yml")


WEIGHTS = """\
version: 1
weights:
  - {model: llama, chip: H100, input: 0.31, cache_read: 0.02}
  - {chip: B200, input: 0.2, output: 0.9}
"""


def test_weights_are_read_in_ten_thousandths():
    assert load_weights(WEIGHTS, path="w.yml").tokens == {
        ("llama", "H100"): (TokenWeights(input=3100, cache_read=200, output=10_000, origin="w.yml:3"),),
        (None, "B200"): (TokenWeights(input=2000, cache_read=0, output=9000, origin="w.yml:4"),),
    }
    assert load_weights("", path="") == Weights()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("chip: B200, ", "", r"w\.yml, line 4: an entry names neither model nor chip; add one of them"),
        ("input: 0.31", "input: -1", r"w\.yml, line 3: weights.0.input"),
    ],
)
def test_a_wrong_weight_is_refused_with_its_line(old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        load_weights(WEIGHTS.replace(old, new), path="w.yml")


RULES = """\
version: 1
rules:
  - {deployment: chat, rule: reserved_quota, quotas: {acme: 3}}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("deployment: chat, ", "", r"w\.yml, line 3: a rule names no pool; add its deployment"),
        (
            ", quotas: {acme: 3}",
            "",
            r"w\.yml, line 3: .*quotas \(of tenants\) go with the rule reserved_quota",
        ),
        ("reserved_quota", "equal_share", r"w\.yml, line 3: .*quotas \(of tenants\) go with"),
        ("acme: 3", "acme: 0", r"w\.yml, line 3: rules.0.quotas.acme"),
        ("reserved_quota", "by_mood", r"w\.yml, line 3: rules.0.rule"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_line(old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        load_weights(RULES.replace(old, new), path="w.yml")
