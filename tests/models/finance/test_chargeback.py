"""Who pays for a month: worked by hand, and every row's rule by name."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from models.errors import ConfigurationError
from models.finance.chargeback_rules import load_chargeback, load_signoffs
from tests.models.finance.costs import POOL, cost, split

SEARCH, CHAT = {"tenant": "acme", "team": "search"}, {"tenant": "acme", "team": "chat"}
OCTOBER = date(2026, 10, 1)
# Search and chat used 3 to 1 of a pool that idled for $10; $1 of APIs more by chat.
MONTH = [
    cost("serving", "30", **SEARCH, **POOL, attempt_count=300, total_tokens=3000),
    cost("serving", "10", **CHAT, **POOL, attempt_count=100, total_tokens=1000),
    cost("usage", "1", **CHAT, provider="openai", attempt_count=5, total_tokens=50),
    cost("idle", "10", **POOL),
]
RULES = """\
rules:
  - {{name: shared, kinds: [idle, cold_start, overhead, unused_commitment, fee, correction, usage], {how}}}
"""


def paid(rows: pl.DataFrame, kind: str) -> dict[tuple[str | None, ...], str]:
    found = rows.filter(pl.col("cost_kind") == kind)
    return {
        (row["tenant"], row["team"], row["cost_centre"]): f"{row['usd'].normalize():f}"
        for row in found.iter_rows(named=True)
    }


@pytest.mark.parametrize(
    ("how", "more", "kind", "payers"),
    [
        ("method: by_usage", [], "idle", {("acme", "search", None): "7.5", ("acme", "chat", None): "2.5"}),
        (
            "method: by_usage, measure: tokens, usage_of: everything",
            [],
            "idle",
            {("acme", "search", None): "7.407407407407", ("acme", "chat", None): "2.592592592593"},
        ),
        ("method: central, payer: platform", [], "idle", {(None, "platform", None): "10"}),
        ("method: central, payer: CC-9, shares_of: cost_centre", [], "idle", {(None, None, "CC-9"): "10"}),
        (
            "method: fixed_shares, shares: {chat: 1, search: 2}",
            [],
            "idle",
            {(None, "chat", None): "3.333333333333", (None, "search", None): "6.666666666667"},
        ),
        # Who reserved is known from the quotas of weights.yml, whatever was used.
        ("method: reserving_team", [], "idle", {("bmce", None, None): "8", ("acme", None, None): "2"}),
        ("method: reserving_team, shares: {chat: 1}", [], "idle", {(None, "chat", None): "10"}),
        # Another pool was used by nobody: nobody is made to pay for it.
        (
            "method: by_usage",
            [cost("cold_start", "4", **POOL | {"deployment": "other"})],
            "cold_start",
            {(None, None, None): "4"},
        ),
        # Nobody holds an unused commitment: those who use such chips pay, unless a rule says otherwise.
        (
            "method: by_usage, chip: B200",
            [cost("unused_commitment", "8", **POOL | {"deployment": "(none)"})],
            "unused_commitment",
            {("acme", "search", None): "6", ("acme", "chat", None): "2"},
        ),
        ("method: by_usage", [cost("fee", "3", provider="openai")], "fee", {("acme", "chat", None): "3"}),
        ("method: by_usage", [cost("fee", "-3")], "fee",
         {("acme", "search", None): "-2.195121951220", ("acme", "chat", None): "-0.804878048780"}),
        # A rule that ended before the day of the cost does not hold for it.
        (
            "method: central, payer: platform, valid_to: 2026-10-10",
            [],
            "idle",
            {("acme", "search", None): "7.5", ("acme", "chat", None): "2.5"},
        ),
        # Calls of unknown callers stay as they are, unless a rule gives them to somebody.
        (
            "method: central, payer: platform, provider: openai",
            [cost("usage", "5", provider="groq", attempt_count=1), cost("usage", "2", provider="openai")],
            "usage",
            {("acme", "chat", None): "1", (None, None, None): "5", (None, "platform", None): "2"},
        ),
    ],
)  # fmt: skip
def test_a_rule_says_who_pays_for_what_nobody_asked_for(how, more, kind, payers):
    quotas = [
        {"rule_number": 1, "deployment": "llama", "rule": "reserved_quota", "overhead": "spread", "tenant": tenant,
         "quota": Decimal(quota)}
        for tenant, quota in (("acme", 1), ("bmce", 4))
    ]  # fmt: skip
    rows = split([*MONTH, *more], RULES.format(how=how), quotas=quotas)
    found = {key: usd.rstrip("0") if "." in usd else usd for key, usd in paid(rows, kind).items()}
    assert found == {key: usd.rstrip("0") if "." in usd else usd for key, usd in payers.items()}
    assert rows.get_column("usd").sum() == sum(row["usd"] for row in [*MONTH, *more])


def test_the_last_rule_that_holds_on_a_day_counts():
    rules = """\
rules:
  - {name: spread, kinds: [idle], method: by_usage}
  - {name: platform_pays, kinds: [idle], method: central, payer: platform, valid_from: 2026-10-11}
"""
    rows = split([*MONTH, cost("idle", "2", "2026-10-11", **POOL)], rules)
    idle = rows.filter(pl.col("cost_kind") == "idle").select("team", "rule", "usd").rows()
    assert idle == [
        ("chat", "spread", Decimal("2.5")),
        ("search", "spread", Decimal("7.5")),
        ("platform", "platform_pays", Decimal(2)),
    ]


def test_cost_centres_are_dated_and_the_most_specific_counts():
    centres = """\
cost_centres:
  - {tenant: acme, cost_centre: CC-1}
  - {team: search, cost_centre: CC-2, valid_from: 2026-10-01}
  - {team: search, cost_centre: CC-3, valid_from: 2026-11-01}
"""
    rows = split([*MONTH, cost("usage", "4", "2026-11-03", **SEARCH)], centres)
    sums = rows.group_by("month_on", "payer").agg(pl.col("usd").sum()).sort("month_on", "payer").rows()
    assert sums == [
        (OCTOBER, "CC-1", Decimal("13.5")),
        (OCTOBER, "CC-2", Decimal("37.5")),
        (date(2026, 11, 1), "CC-3", Decimal(4)),
    ]


def test_groups_too_small_to_be_shown_are_shown_together():
    small = [
        cost("usage", "2", team=f"t{n}", attempt_count=4, total_tokens=10, provider="groq") for n in range(3)
    ]
    rows = split([*MONTH, *small], "small_groups: {fewer_requests_than: 5}\n")
    assert paid(rows, "usage") == {("acme", "chat", None): "1", (None, "(small groups)", None): "6"}
    assert rows.get_column("usd").sum() == 57
    assert rows.get_column("attempt_count").sum() == 417


@pytest.mark.parametrize(
    ("answer", "usd", "closed", "status"),
    [
        ("accepted", "13.50", (), "accepted"),
        ("accepted", "13.5", (OCTOBER,), "charged"),
        ("accepted", "13.49", (OCTOBER,), "showback"),
        ("accepted", "13.500000000001", (), "showback"),
        ("disputed", "13.5", (OCTOBER,), "disputed"),
    ],
)
def test_a_signature_counts_for_the_amount_that_was_signed(answer, usd, closed, status):
    text = f"[{{month: 2026-10, payer: chat, answer: {answer}, usd: {usd}, signed_by: Ann, signed_on: 2026-11-02}}]"
    rows = split(MONTH, signoffs=text, closed=closed)
    chat = rows.filter(pl.col("payer") == "chat")
    assert set(chat.get_column("status")) == {status}
    assert set(chat.get_column("signed_by")) == ({None} if status == "showback" else {"Ann"})
    assert set(rows.filter(pl.col("payer") == "search").get_column("status")) == {"showback"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rules: [{name: a, kinds: [idel], method: by_usage}]", "line 2: rules.0.kinds.0: 'idel' is no kind of cost"),
        ("rules: [{name: a, kinds: [idle], methd: by_usage}]", "unknown key 'methd'; did you mean 'method'?"),
        ("rules: [{name: a, kinds: [idle], method: central}]", "payer goes with the method central"),
        ("rules: [{name: a, kinds: [idle], method: fixed_shares}]", "fixed_shares needs shares"),
        ("rules: [{name: a, kinds: [idle], method: by_usage, shares: {a: 1}}]", "shares go with fixed_shares"),
        ("rules: [{name: a, kinds: [idle], method: central, payer: a, measure: usd}]", "go with by_usage"),
        ("cost_centres: [{cost_centre: CC-1}]", "a cost centre is for a team or a tenant"),
        ("cost_centres: [{team: a, cost_centre: CC-1, valid_from: 2026-02-01, valid_to: 2026-01-01}]", "lies before"),
        ("small_groups: {fewer_requests_than: 0}", "greater than or equal to 2"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_a_sentence_with_its_line(text, sentence):
    with pytest.raises(ConfigurationError, match=r"chargeback\.yml, line 2") as error:
        load_chargeback(f"version: 1\n{text}\n", path="chargeback.yml")
    assert sentence in str(error.value)


def test_a_wrong_signature_is_a_sentence_with_its_line():
    with pytest.raises(ConfigurationError, match=r"signoffs.yml, line 3: 'signed_by' is missing"):
        load_signoffs(
            "version: 1\nsignoffs:\n  - {month: 2026-10, payer: a, answer: accepted, usd: 1, signed_on: 2026-11-01}\n",
            path="signoffs.yml",
        )
