"""Cold starts: when replicas started, what that cost, who waited, and which bursts have a cure."""

from models.periods import business_day_bounds
from pipelines.explorer.charts import bars_over_time
from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.reports import plots
from pipelines.reports.figures import BIN_SECONDS
from pipelines.reports.view import ViewColumn

_STARTS, _BURSTS = "mart.cold_starts", "mart.cold_start_bursts"
_ON = "started_on"


def build(asked: PageContext) -> Content:
    """Show starts over time, bursts, deployments and the slowest starts."""
    return Content(
        "From the request for a replica to the instant at which it can serve. Waiting of users is counted, not priced.",
        (_timeline(asked), _bursts(asked), _deployments(asked), _slowest(asked)),
    )


def _known(asked: PageContext) -> str:
    row = asked.opened.answer(
        f"SELECT count(*) FILTER (is_inferred)::BIGINT, count(*) FILTER (start_usd IS NULL)::BIGINT, count(*) "
        f"FROM {_STARTS} WHERE {asked.state.where(_STARTS, _ON)}"
    ).row(0)
    if not row[2]:
        return "No start is known."
    return f"{row[2]:,} starts; {row[0]:,} are inferred from requests, {row[1]:,} have no dollars."


def _timeline(asked: PageContext) -> Figure:
    state = asked.state
    sums = (
        "count(*) AS starts,\n  sum(start_usd)::DECIMAL(38,12) AS start_usd,\n"
        "  sum(delayed_request_count)::BIGINT AS delayed_requests, sum(added_seconds) AS added_seconds"
    )
    columns = [
        ViewColumn("name", "Deployment"), ViewColumn("starts", "Starts", "count", is_summed=True),
        ViewColumn("start_usd", "USD", "usd", is_summed=True),
        ViewColumn("delayed_requests", "Requests that waited", "count", is_summed=True),
        ViewColumn("added_seconds", "They waited", "seconds"),
    ]  # fmt: skip
    if state.first < state.last:
        return ask(
            asked.opened, "timeline", "Starts over time",
            f"SELECT started_on AS from_on, deployment AS name, {sums}\nFROM {_STARTS}\n"
            f"WHERE {state.where(_STARTS, _ON)}\nGROUP BY 1, 2\nORDER BY 1, starts DESC, name",
            [ViewColumn("from_on", "Day"), *columns],
            coverage=_known(asked), notes=state.unheard(_STARTS),
            chart=lambda rows: bars_over_time(
                rows, value="starts", label="Starts over time",
                link=lambda name, on: state.url(first=on, last=on, **({"deployment": name} if name else {})),
            ),
            form="data",
        )  # fmt: skip
    starts_at, ends_at = business_day_bounds(state.first, time_zone=asked.time_zone)
    return ask(
        asked.opened, "timeline", f"Starts on {state.first}, bursts shaded",
        f"SELECT time_bucket(INTERVAL {BIN_SECONDS} SECOND, requested_at, TIMESTAMPTZ '{starts_at.isoformat()}') AS from_at,\n"
        f"  deployment AS name, {sums}\nFROM {_STARTS}\n"
        f"WHERE {state.where(_STARTS, _ON)}\nGROUP BY 1, 2\nORDER BY 1, starts DESC, name",
        [ViewColumn("from_at", "From, UTC"), *columns],
        coverage=_known(asked), notes=state.unheard(_STARTS),
        chart=lambda rows: plots.starts_by_time(
            [
                {
                    "deployment": row["name"], "start_count": row["starts"],
                    "bin": int((row["from_at"] - starts_at).total_seconds() // BIN_SECONDS),
                }
                for row in rows.to_dicts()
            ],
            _bursts(asked).rows.to_dicts(), starts_at=starts_at, ends_at=ends_at, time_zone=asked.time_zone,
        ),
        form="data",
    )  # fmt: skip


def _bursts(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "bursts", "Bursts",
        "SELECT deployment, chip, region, onset_at, ended_at, start_count, expected_count, burst_usd,\n"
        "  delayed_request_count, added_seconds, cause, evidence, cure_replica_count, cure_usd_per_day,\n"
        "  cure_keep_warm_seconds, cure_keep_warm_usd_per_day, is_history_short\n"
        f"FROM {_BURSTS}\nWHERE {state.where(_BURSTS, _ON)}\nORDER BY onset_at, deployment, chip, region",
        [
            ViewColumn("deployment", "Deployment"), ViewColumn("onset_at", "Onset, UTC"), ViewColumn("ended_at", "Last start, UTC"),
            ViewColumn("start_count", "Starts", "count", is_summed=True), ViewColumn("burst_usd", "USD", "usd", is_summed=True),
            ViewColumn("delayed_request_count", "Requests that waited", "count", is_summed=True),
            ViewColumn("added_seconds", "They waited", "seconds"),
            ViewColumn("cause", "Likely cause"), ViewColumn("evidence", "Why"),
            ViewColumn("cure_replica_count", "Warm replicas that cure it", "count"),
            ViewColumn("cure_usd_per_day", "At USD a day", "usd"),
            ViewColumn("cure_keep_warm_seconds", "Or keep warm for", "seconds"),
            ViewColumn("cure_keep_warm_usd_per_day", "At USD a day", "usd"),
        ],
        coverage=_known(asked),
        links={"deployment": lambda row: state.url(deployment=row["deployment"])},
        notes=state.unheard(_BURSTS), none="No burst in this period.",
    )  # fmt: skip


def _deployments(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "deployments", "By deployment",
        "SELECT deployment, chip, count(*) AS starts, count(*) FILTER (outcome = 'failed') AS failed,\n"
        "  sum(start_usd)::DECIMAL(38,12) AS start_usd, median(waiting_seconds) AS waiting_seconds,\n"
        "  median(pulling_seconds) AS pulling_seconds, median(loading_seconds) AS loading_seconds,\n"
        "  median(total_seconds) AS total_seconds, sum(delayed_request_count)::BIGINT AS delayed_requests\n"
        f"FROM {_STARTS}\nWHERE {state.where(_STARTS, _ON)}\nGROUP BY 1, 2\n"
        "ORDER BY start_usd DESC NULLS LAST, deployment, chip",
        [
            ViewColumn("deployment", "Deployment"), ViewColumn("chip", "Chip"),
            ViewColumn("starts", "Starts", "count", is_summed=True), ViewColumn("failed", "Failed", "count", is_summed=True),
            ViewColumn("start_usd", "USD", "usd", is_summed=True),
            ViewColumn("waiting_seconds", "Machine, median", "seconds"), ViewColumn("pulling_seconds", "Image", "seconds"),
            ViewColumn("loading_seconds", "Loading", "seconds"), ViewColumn("total_seconds", "Whole start", "seconds"),
            ViewColumn("delayed_requests", "Requests that waited", "count", is_summed=True),
        ],
        coverage=_known(asked), links={"deployment": lambda row: state.url(deployment=row["deployment"])},
    )  # fmt: skip


def _slowest(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "slowest", "The starts that made most wait",
        "SELECT replica_id, deployment, chip, requested_at, ready_at, outcome, cause, total_seconds, start_usd,\n"
        f"  delayed_request_count, added_seconds\nFROM {_STARTS}\nWHERE {state.where(_STARTS, _ON)}\n"
        "ORDER BY added_seconds DESC, start_usd DESC NULLS LAST, replica_id, requested_at\nLIMIT 50",
        [
            ViewColumn("replica_id", "Replica"), ViewColumn("deployment", "Deployment"), ViewColumn("requested_at", "Asked for, UTC"),
            ViewColumn("outcome", "Outcome"), ViewColumn("cause", "Cause"), ViewColumn("total_seconds", "Took", "seconds"),
            ViewColumn("start_usd", "USD", "usd", is_summed=True),
            ViewColumn("delayed_request_count", "Requests that waited", "count", is_summed=True),
            ViewColumn("added_seconds", "They waited", "seconds"),
        ],
        coverage=_known(asked), none="No start in this period.",
    )  # fmt: skip


PAGE = Page("/cold-starts", "Cold starts", 65, build, table=_STARTS)
