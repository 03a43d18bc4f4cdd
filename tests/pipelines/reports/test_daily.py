import html
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from models.schemas.vocabulary import POOL_PARTS
from pipelines.masking import escaped
from pipelines.reports.daily import render_days
from pipelines.reports.trust import trust_of_days
from tests.models.marts.warehouse import attempt, insert, open_warehouse, pool_hour, utc
from tests.pipelines.reports.fleet import (
    ON,
    burst,
    check_result,
    cold_start,
    fleet,
    full_day,
    make_marts,
    mistake,
    regret_of_day,
)
from tests.pipelines.reports.page import Page

NEXT_MORNING = datetime(2026, 5, 15, 2, tzinfo=UTC)
NOON = utc("2026-05-14T12:00")


def render(
    con: duckdb.DuckDBPyConnection,
    *,
    on: date = ON,
    time_zone: str = "UTC",
    generated_at: datetime = NEXT_MORNING,
) -> Page:
    [(day, text)] = render_days(con, [on], time_zone=time_zone, generated_at=generated_at)
    assert day == on
    assert text.startswith("<!doctype html>")
    return Page(text)


def scalar(con: duckdb.DuckDBPyConnection, query: str) -> object:
    row = con.execute(query).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture(scope="module")
def full() -> tuple[duckdb.DuckDBPyConnection, Page]:
    con = full_day()
    return con, render(con)


@pytest.mark.parametrize("dimension", ["model", "route", "chip"])
@pytest.mark.parametrize("column", ["tokens", "usage", "available"])
def test_rows_of_each_cost_table_sum_exactly_to_its_total(full, dimension, column):
    con, page = full
    name = {"tokens": "total_tokens", "usage": "usage_usd", "available": "available_usd"}[column]
    parts, total = page.exact(dimension, column)
    assert (
        parts
        == total
        == scalar(con, f"SELECT sum({name}) FROM mart.cost_per_token_daily WHERE accrued_on = '{ON}'")
    )


def test_lines_of_the_spend_sum_exactly_to_the_spend_of_the_day(full):
    con, page = full
    lines = {line.name: line for line in page.tables["spend"]}
    usd = {name: Decimal(line.cells[1].value) for name, line in lines.items()}
    total = usd.pop("Spend of the day (available basis)")
    assert sum(usd.values()) == total
    assert usd["GPU time idle"] == scalar(
        con, f"SELECT sum(idle_usd) FROM core.pool_hours WHERE accrued_on = '{ON}'"
    )
    assert total == scalar(
        con, f"SELECT sum(spend_usd) FROM spend('{ON}', '{ON + timedelta(days=1)}', 'booked')"
    )


def test_each_pool_stands_beside_its_cheapest_api_and_the_plot_shows_them_all():
    con = fleet(days=1)
    page = render(con)
    lines = {line.name.split()[0]: line.words() for line in page.tables["owning"]}
    assert set(lines) == {"llama-pool", "qwen-pool"}
    for deployment, words in lines.items():
        billed = scalar(
            con,
            f"SELECT sum(billed_usd) FROM core.pool_hours WHERE accrued_on = '{ON}' AND deployment = '{deployment}'",
        )
        assert words[1] == f"${billed:,.2f}"
        assert words[5] == "llama-at-groq groq, of 2"
    assert "Break-even of owned pools against APIs" in page.labels
    chips = {line.words()[1].split()[0]: line.words() for line in page.tables["chips"]}
    assert {"H100", "H200", "Groq", "Cerebras"} <= set(chips)
    assert "by the token" in chips["Groq"][1]


def test_pools_and_commitments_sum_exactly_to_the_gpu_bill(full):
    con, page = full
    lines = page.tables["gpu_bill"]
    billed = {
        kind: sum(Decimal(line.cells[3].value) for line in lines if line.kind == kind)
        for kind in ("", "subtotal", "total")
    }
    assert len(lines) == 4
    assert set(billed.values()) == {
        scalar(con, f"SELECT sum(billed_usd) FROM core.pool_hours WHERE accrued_on = '{ON}'")
    }
    total = [Decimal(cell.value) for cell in lines[-1].cells[3:8]]
    assert total[0] == sum(total[1:])


def test_without_owned_pools_and_known_chips_nothing_is_compared():
    con = open_warehouse()
    insert(con, "core.request_costs", [attempt("r", NOON, ON, effective_usd=Decimal(1))])
    make_marts(con, days=1)
    page = render(con)
    assert "owning" not in page.tables
    assert "Owning or buying" not in page.text


def test_the_page_names_the_rules_and_weights_in_force_and_what_the_engines_counters_say():
    con = fleet(days=1)
    estimate = {
        "accrued_on": ON, "model": "llama", "chip": "H100", "estimated_weight": 0.2, "standard_error": 0.005,
        "low_weight": 0.19, "high_weight": 0.21, "interval_count": 400, "block_count": 30, "busy_seconds": 24000.0,
        "in_force_weight": 0.46, "in_force_from": "default", "is_in_force_within": False,
    }  # fmt: skip
    within = estimate | {"model": "qwen", "high_weight": 0.5, "is_in_force_within": True}
    insert(con, "mart.prefill_weights", [estimate, within])
    text = render(con).text
    assert "Serving dollars were split by token_share with the default weights (" in text
    assert (
        "an input token of llama on H100 weighs 0.20 (0.19 to 0.21) of an output token, not 0.46 as in force."
        in text
    )
    assert "input token of qwen" not in text


def test_charges_without_a_request_and_corrections_are_in_the_spend():
    con = fleet(days=1)
    before = Decimal(render(con).tables["spend"][-1].cells[1].value)
    insert(
        con,
        "core.other_charges",
        [
            {
                "charge_id": "c1", "provider": "openai", "meter": "cache_storage", "accrued_hour": NOON,
                "accrued_on": ON, "effective_usd": Decimal("2.5"),
            }
        ],
    )  # fmt: skip
    insert(
        con,
        "core.adjustments",
        [
            {
                "adjustment_id": "a1", "accrued_hour": utc("2026-04-02T10:00"), "accrued_on": date(2026, 4, 2),
                "booked_on": ON, "old_usd": Decimal(3), "new_usd": Decimal(2), "difference_usd": Decimal(-1),
                "reason": "reprice",
            }
        ],
    )  # fmt: skip
    page = render(con)
    lines = page.tables["spend"]
    assert Decimal(lines[-1].cells[1].value) == before + Decimal("1.5")
    assert sum(Decimal(line.cells[1].value) for line in lines if line.kind == "part") == before + Decimal(
        "1.5"
    )
    assert lines[-1].cells[1].value == page.tables["provider"][-1].cells[1].value
    assert page.exact("provider", "spend")[0] == before + Decimal("1.5")
    assert [line.words()[1] for line in lines if "Corrections" in line.name] == ["−$1.00"]
    assert [line.words()[1] for line in lines if line.name == "Without a request: cache storage"] == ["$2.50"]


def test_change_is_given_against_the_day_before_and_the_same_weekday_a_week_before(full):
    con, page = full
    spend = {
        day: scalar(
            con, f"SELECT sum(available_usd) FROM mart.cost_per_token_daily WHERE accrued_on = '{day}'"
        )
        for day in (ON, ON - timedelta(days=1), ON - timedelta(days=7))
    }
    now, before, week = spend.values()
    ratios = [f"{(now - old) / old:+.1%}".replace("-", "−") for old in (before, week)]
    row = page.tables["provider"][-1]
    assert [cell.text for cell in row.cells if "%" in cell.text] == ratios
    assert f"({ratios[0]}) against the day before" in page.text
    assert f"({ratios[1]}) against the Thursday before" in page.text


def test_first_day_has_no_data_to_compare_with():
    page = render(fleet(days=1))
    assert "no data for the day before" in page.text
    assert "no data for the Thursday before" in page.text
    assert page.tables["provider"][-1].words()[3:] == ["no data", "", "", "no data", "", ""]


def test_a_day_of_which_nothing_is_known_has_no_page():
    for con in (open_warehouse(), fleet(days=3, on=ON - timedelta(days=1))):
        options = {"time_zone": "UTC", "generated_at": NEXT_MORNING}
        assert list(render_days(con, [ON], **options)) == [(ON, None)]


def test_day_without_any_price_shows_tokens_and_never_a_dollar():
    con = open_warehouse()
    insert(
        con,
        "core.request_costs",
        [
            attempt(
                f"u{number}", NOON, ON, model="mystery", price_state="unpriced", usage_source="provider",
                input_uncached_tokens=1000,
            )
            for number in range(3)
        ],
    )  # fmt: skip
    make_marts(con, days=1)
    page = render(con)
    assert page.ids["trust"].startswith("Nothing is priced")
    assert page.ids["spend"].strip() == "not priced"
    assert "Nothing of this day is priced" in page.text
    (row, total) = page.tables["model"]
    assert row.words() == [
        "mystery", "not priced", "not priced", "", "3,000", "not priced", "not priced", "–", "–", "0%",
    ]  # fmt: skip
    assert total.words()[5:7] == ["not priced", "not priced"]
    assert "$0" not in page.text.replace("never counted as $0", "")


def test_unpriced_attempts_are_counted_with_their_estimate_apart(full):
    con, page = full
    tokens = scalar(con, f"SELECT unpriced_tokens FROM ops.coverage WHERE accrued_on = '{ON}'")
    assert f"{tokens:,} unpriced tokens are left out, estimated at $0.031" in page.ids["trust"]
    row = next(line for line in page.tables["model"] if line.name == "mystery-9b")
    assert row.words()[5:7] == ["not priced", "not priced"]
    assert "might cost $0.031 (an estimate, in no sum)" in page.text


def test_pools_without_a_price_are_named_and_never_zero():
    con = open_warehouse()
    unpriced = dict.fromkeys((f"{part}_usd" for part in POOL_PARTS), None)
    insert(con, "core.pool_hours", [pool_hour(NOON, ON, **unpriced)])
    make_marts(con, days=1)
    page = render(con)
    assert "nothing is priced: an unknown amount was spent" in page.ids["trust"]
    assert "1 pool-hour of GPUs without a price are left out, with no estimate" in page.ids["trust"]
    assert "1 pool-hour (1.0 GPU hours) have no price" in page.text
    assert page.tables["model"][0].words() == [
        "(unallocated)", "–", "–", "", "0", "–", "not priced", "–", "–", "–",
    ]  # fmt: skip


def test_unallocated_cost_has_a_row_so_that_parts_sum_to_the_total():
    con = fleet(days=1)
    insert(con, "core.pool_hours", [pool_hour(NOON, ON, deployment="spare", idle_usd=Decimal("7.25"))])
    make_marts(con, days=1)
    page = render(con)
    for dimension in ("model", "route", "chip"):
        row = page.tables[dimension][-2]
        assert (row.name, row.cells[6].value) == ("(unallocated)", "7.250000000000")
        parts, total = page.exact(dimension, "available")
        assert parts == total


def test_hundreds_of_routes_fold_into_one_row_that_keeps_the_sum():
    con = open_warehouse()
    insert(
        con,
        "core.request_costs",
        [
            attempt(
                f"r{number}", NOON, ON, route=f"route-{number:03d}", provider=f"provider-{number % 30:02d}",
                input_uncached_tokens=1000 + number, effective_usd=Decimal(number + 1) / 1000,
            )
            for number in range(400)
        ],
    )  # fmt: skip
    make_marts(con, days=1)
    page = render(con)
    rows = page.tables["route"]
    assert len(rows) == 14
    assert rows[0].name == "route-399"
    assert rows[-2].name == "388 other routes"
    assert page.exact("route", "available") == (Decimal("80.2"), Decimal("80.2"))
    assert page.exact("route", "tokens")[0] == sum(1000 + number for number in range(400))
    assert page.exact("provider", "spend") == (Decimal("80.2"), Decimal("80.2"))
    assert page.tables["provider"][-2].name == "22 other providers"


def test_kinds_and_fixes_of_routing_mistakes_sum_to_the_same_regret(full):
    con, page = full
    regret = scalar(
        con, "SELECT sum(regret_usd) FROM mart.routing_regret_daily WHERE kind <> 'not_evaluated'"
    )
    assert page.exact("regret", "regret") == (regret, regret)
    assert page.exact("fixes", "regret") == (regret, regret)
    listed = [line for line in page.tables["fixes"] if not line.kind]
    assert [line.name.split(":")[0] for line in listed] == ["chat", "summaries", "chat"]
    assert listed[-1].words()[1:] == ["unknown", "1", "$0.40", "gpt-4o openai, us-east", "none is priced"]
    assert page.tables["fixes"][-2].words()[:3] == ["Too small to list one by one", "$0.0042", "20"]
    assert "6 attempts could not be judged" in page.text
    assert "Apart from regret, $1.20 went to attempts that failed" in page.text
    assert page.tables["regret"][0].words() == ["dearer provider", "34", "$15.69", "$7.70", "$3.85 to $7.69"]
    assert listed[0].name == "chat: dearer provider chat.simple, line 12"


def test_costliest_mistakes_are_ten_and_in_order(full):
    _, page = full
    rows = page.tables["worst"]
    regrets = [Decimal(line.cells[1].value) for line in rows]
    assert len(rows) == 10
    assert regrets == sorted(regrets, reverse=True)
    assert rows[0].words() == [
        "req-0514-0050 10:20:00, summaries", "$1.75", "$3.50", "$1.75", "overpowered, 80% sure summaries",
        "claude-sonnet-4-5 anthropic, us-east", "deepseek-v3 together, us",
    ]  # fmt: skip


def test_many_fixes_fold_into_one_row_that_keeps_the_sum():
    con = fleet(days=1)
    insert(
        con,
        "mart.routing_mistakes",
        [mistake(f"m{n}", f"0.{n:03d}", clause=f"clause.{n}") for n in range(1, 41)],
    )
    regret_of_day(con)
    page = render(con)
    assert page.tables["fixes"][-2].name == "30 other fixes"
    assert page.exact("fixes", "regret") == (Decimal("0.82"), Decimal("0.82"))


def test_burst_tells_its_time_its_users_its_cause_and_the_price_of_its_cure(full):
    _, page = full
    for words in (
        "Burst 1: 9 starts of llama-pool, $12.48",
        "14:02 to 14:31, H100 at lambda, us; 0.42 expected",
        "41 requests of 17 callers waited 14 min 40 s in all, 21 s each; 2 of them got no answer",
        "scale from zero: no replica was ready for 52 minutes before the first start",
        "2 more warm replicas at $191.52 a day (dearer than one such burst a day), or",
        "idle replicas kept 12 min longer at $9.60 a day (cheaper than one such burst a day)",
    ):
        assert words in page.text


def test_starts_by_deployment_sum_to_the_day(full):
    _, page = full
    assert page.exact("starts", "starts") == (15, 15)
    assert page.exact("starts", "usd") == (Decimal("2.94"), Decimal("2.94"))
    assert "15 starts, 1 of which failed" in page.text


def test_estimate_of_an_inferred_start_is_apart_and_an_unpriced_cure_is_said():
    con = fleet(days=1)
    insert(
        con,
        "mart.cold_starts",
        [cold_start("i1", NOON, is_inferred=True, start_usd=None, estimated_usd=Decimal("0.4"))],
    )
    insert(
        con,
        "mart.cold_start_bursts",
        [burst(burst_usd=None, cure_usd_per_day=None, cure_keep_warm_seconds=None)],
    )
    page = render(con)
    assert "1 start is inferred from request logs; its estimate of $0.40 is in no sum" in page.text
    assert "Burst 1: 9 starts of llama-pool, not priced" in page.text
    assert "2 more warm replicas at a price not known a day By deployment" in page.text


def test_burst_that_no_warm_replica_would_have_absorbed_says_so():
    con = fleet(days=1)
    insert(con, "mart.cold_starts", [cold_start("d1", NOON, delayed_request_count=0, added_seconds=0.0)])
    none = {"cure_replica_count": None, "cure_usd_per_day": None, "cure_keep_warm_seconds": None}
    insert(
        con,
        "mart.cold_start_bursts",
        [burst(cause="deploy", delayed_request_count=0, added_seconds=0.0, **none)],
    )
    page = render(con)
    assert "Users hurt no request waited" in page.text
    assert "Cure more warm replicas would not have absorbed it" in page.text


def test_day_of_25_hours_shows_the_wall_clock_of_its_zone():
    on = date(2026, 10, 25)
    con = open_warehouse()
    insert(con, "mart.cold_starts", [cold_start("late", utc("2026-10-25T22:30"), started_on=on)])
    page = render(con, on=on, time_zone="Europe/Berlin", generated_at=utc("2026-10-26T08:00"))
    assert "2026-10-24 22:00 to 2026-10-25 23:00 UTC" in page.text
    # Ticks every three hours that passed, as the clock is turned back at 03:00; then the label of the start.
    plot = page.text.split("ten-minute steps")[1].split("No burst")[0]
    assert re.findall(r"\d\d:\d\d", plot) == [
        "00:00", "02:00", "05:00", "08:00", "11:00", "14:00", "17:00", "20:00", "23:00", "23:30",
    ]  # fmt: skip


def test_coverage_states_what_is_missing_by_source(full):
    _, page = full
    rows = page.tables["coverage"]
    assert [row.name for row in rows] == ["gateway", "Total"]
    assert rows[-1].words() == ["Total", "64", "98.44%", "98.44%", "1", *rows[0].words()[5:]]


def test_the_page_says_how_its_dollars_are_known(full):
    con, page = full
    shares = con.execute(
        "SELECT format('{:.2f}% {}', 100 * sum(usd)::DOUBLE / sum(sum(usd)) OVER ()::DOUBLE, figure_class) "
        "FROM mart.spend_daily WHERE accrued_on = ? AND usd > 0 GROUP BY figure_class ORDER BY sum(usd) DESC",
        [ON],
    ).fetchall()
    said = [one.replace("_", " ") for (one,) in shares]
    assert len(said) > 2
    assert f"How the dollars are known: {', '.join(said)}." in page.text


def test_checks_that_failed_are_listed_with_what_they_found(full):
    _, page = full
    assert "1 of 3 checks that looked at this day passed; these did not:" in page.text
    assert [line.words() for line in page.tables["checks"]] == [
        [
            "routing mistakes mart.routing_mistakes", "failed", "3",
            "Routing mistakes cost $15. (looked at 2026-05-01 to 2026-05-15)",
        ],
        ["prices cover usage core.request_costs", "warned", "3", "2 attempts have no price; add one."],
    ]  # fmt: skip


def test_later_result_of_a_check_replaces_an_earlier_one_and_other_days_do_not_count():
    con = fleet(days=1)
    hours = {"partition_from": "2026-05-14T09:00Z", "partition_to": "2026-05-14T10:00Z"}
    insert(
        con,
        "ops.check_results",
        [
            check_result("mended", is_passed=False),
            check_result("mended", is_passed=True, run_id="run-2", checked_at=utc("2026-05-15T02:00")),
            check_result("other_day", is_passed=False, partition_from="2026-05-13", partition_to="2026-05-14"),
            check_result("hourly", is_passed=False, failed_count=2, **hours),
            check_result(
                "hourly", is_passed=False, failed_count=5, run_id="run-3", summary="Five at ten.",
                partition_from="2026-05-14T10:00Z", partition_to="2026-05-14T11:00Z",
            ),
            check_result(
                "hourly", is_passed=False, run_id="run-4", partition_from="2026-05-13T22:00Z",
                partition_to="2026-05-13T23:00Z",
            ),
            check_result("whole_table", is_passed=True, partition_from=None, partition_to=None),
        ],
    )  # fmt: skip
    page = render(con)
    assert "2 of 3 checks that looked at this day passed" in page.text
    assert [line.words() for line in page.tables["checks"]] == [
        ["hourly core.request_costs", "warned", "7", "Five at ten. (the worst of 2 results)"]
    ]


@pytest.mark.parametrize(
    ("changes", "generated_at", "verdict"),
    [
        # Nothing is missing and nothing can move.
        ({}, NEXT_MORNING, "Complete:"),
        # A late finisher, or the rest of the day, can still move it.
        ({"is_provisional": True}, NEXT_MORNING, "Complete so far:"),
        ({}, NOON, "Complete so far:"),
        # Tokens that were not counted by the provider.
        ({"usage_source": "estimated"}, NEXT_MORNING, "Nearly complete:"),
    ],
)
def test_sentence_at_the_top_says_how_far_the_day_can_be_trusted(changes, generated_at, verdict):
    con = open_warehouse()
    insert(
        con,
        "core.request_costs",
        [attempt("a", NOON, ON, effective_usd=Decimal(1), output_text_tokens=9, **changes)],
    )
    make_marts(con, days=1)
    insert(con, "ops.check_results", [check_result("rows_match_the_schema", is_passed=True)])
    assert render(con, generated_at=generated_at).ids["trust"].startswith(verdict)


def test_failed_check_of_the_data_asks_for_care_and_a_finding_does_not():
    con = fleet(days=1)
    failing = check_result("routing_mistakes", is_passed=False, severity="error")
    insert(con, "ops.check_results", [failing, check_result("prices_cover_usage", is_passed=False)])
    trust = render(con).ids["trust"]
    assert trust.startswith("Nearly complete: at least $")
    assert "; about $0.031 is not priced; " in trust
    assert "1 check warns (prices_cover_usage); 1 check finds what to look at (routing_mistakes)" in trust
    insert(con, "ops.check_results", [check_result("pool_is_conserved", is_passed=False, severity="error")])
    trust = render(con).ids["trust"]
    assert trust.startswith("Use with care:")
    assert "1 check of the data fails (pool_is_conserved)" in trust


def test_quarantined_records_keep_a_day_from_being_complete():
    con = open_warehouse()
    insert(
        con, "core.request_costs", [attempt("a", NOON, ON, effective_usd=Decimal(1), output_text_tokens=9)]
    )
    make_marts(con, days=1)
    insert(con, "ops.check_results", [check_result("rows_match_the_schema", is_passed=True)])
    con.execute("UPDATE ops.coverage SET quarantined_count = 2")
    trust = render(con).ids["trust"]
    assert trust.startswith("Nearly complete:")
    assert "2 records of its files could not be read" in trust


def test_records_of_replicas_that_could_not_be_used_keep_their_days_from_being_complete():
    """They have no instant, and no attempt says of which day they are."""
    con = open_warehouse()
    insert(
        con, "core.request_costs", [attempt("a", NOON, ON, effective_usd=Decimal(1), output_text_tokens=9)]
    )
    make_marts(con, days=1)
    insert(con, "ops.check_results", [check_result("rows_match_the_schema", is_passed=True)])
    file = {
        "source": "pods", "source_kind": "k8s_pod", "path": "pods.json", "size_bytes": 9, "read_count": 2,
        "landed_count": 1, "quarantined_count": 1, "ignored_count": 0, "landed_at": NOON,
    }  # fmt: skip
    day = timedelta(days=1)
    spans = {"other_day": (NOON - 2 * day, NOON - day), "of_day": (NOON - day, NOON), "unknown": (None, None)}
    insert(
        con,
        "ops.landed_files",
        [
            file | {"file_hash": name, "first_at": first, "last_at": last}
            for name, (first, last) in spans.items()
        ],
    )
    trust = render(con).ids["trust"]
    assert trust.startswith("Nearly complete:")
    assert "2 records of its files could not be read" in trust
    both = trust_of_days(con, [ON - day, ON], time_zone="UTC", now=NOON + 3 * day)
    assert "3 records of its files could not be read" in both.facts


def test_names_from_logs_are_escaped_everywhere_they_show():
    con = fleet(days=1)
    name = """"><script>alert('x')</script>&\x1b[31m\u202e"""
    hostile = {"provider": name, "route": name, "model": name, "chip": name, "region": name}
    insert(
        con,
        "core.request_costs",
        [attempt(name, NOON, ON, effective_usd=Decimal(9), output_text_tokens=9, **hostile)],
    )
    make_marts(con, days=1)
    wrong = {"clause": name, "evidence": name, "alternative_model": name, "provider": name, "route": name}
    insert(con, "mart.routing_mistakes", [mistake(name, "0.5", **wrong)])
    regret_of_day(con)
    insert(con, "mart.cold_starts", [cold_start(name, NOON, deployment=name)])
    insert(con, "mart.cold_start_bursts", [burst(deployment=name, evidence=name, region=name)])
    insert(con, "ops.check_results", [check_result(name, is_passed=False, summary=name)])
    page = render(con)
    assert "script" not in page.tags
    assert page.text.count(escaped(name)) >= 12
    assert name[-1] not in page.text
    assert not any("alert" in command for command in page.commands)


def test_request_ids_that_a_shell_could_run_are_not_put_into_a_command():
    con = fleet(days=1)
    insert(con, "mart.routing_mistakes", [mistake("$(reboot)", "0.9"), mistake("req-0514-0001", "0.5")])
    regret_of_day(con)
    commands = render(con).commands
    assert not any("reboot" in command for command in commands)
    assert any("explain_cost('req-0514-0001')" in command for command in commands)


def test_page_loads_nothing_and_links_only_to_itself_and_the_catalog(full):
    _, page = full
    assert page.loads == ["data:,"]
    assert {anchor for anchor in page.anchors if not anchor.startswith("#")} == {"../catalog.html"}
    assert "script" not in page.tags
    assert page.tags.count("svg") == 3


def test_every_command_runs_and_answers_with_the_figures_of_the_page(full):
    con, page = full
    answers = []
    for command in page.commands:
        found = re.fullmatch(r'nanodollar sql "([^"$`\\]+)"', html.unescape(command))
        assert found is not None, command
        answers.append(con.execute(found[1]).fetchall())
    assert sum(row[1] for row in answers[0]) == page.exact("model", "available")[1]
    assert {row[0]: row[3] for row in answers[1]}["gpt-4o"] == Decimal(
        next(line for line in page.tables["model"] if line.name == "gpt-4o").cells[6].value
    )
    assert len(answers) == 8
    assert all(answers)


def test_numbers_are_right_aligned_with_separators(full):
    _, page = full
    cells = [cell for lines in page.tables.values() for line in lines for cell in line.cells]
    assert all(cell.is_number for cell in cells if cell.value is not None)
    assert not [cell.text for cell in cells if cell.is_number and re.search(r"(?<![\d.])\d{4}", cell.text)]


def test_same_warehouse_gives_the_same_page():
    con = full_day()
    first, second = (
        list(render_days(con, [ON], time_zone="UTC", generated_at=NEXT_MORNING)) for _ in range(2)
    )
    assert first == second


def test_pages_of_a_range_are_those_of_its_days():
    con = full_day()
    options = {"time_zone": "Asia/Kolkata", "generated_at": NEXT_MORNING}
    days = [ON - timedelta(days=back) for back in (2, 1, 0, -1)]
    pages = dict(render_days(con, days, **options))
    assert pages == {day: dict(render_days(con, [day], **options))[day] for day in days}
    assert len(set(pages.values())) == 4
