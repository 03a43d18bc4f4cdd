"""The audit of an export: read it, price it by the book, try each mistake that a gateway makes, and say which it was.

Composition and words; the comparing is in models/finance/audit.py. No project is needed and none is touched.
"""

import json
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from models.costs.token_costs import price_requests
from models.errors import DataError
from models.finance import audit
from models.finance.hypotheses import HYPOTHESES, Hypothesis, stale_prices
from models.logs.dedupe import dedupe
from models.periods import HOUR, floor_hour
from models.prices.providers import canonical_providers
from models.schemas import table
from pipelines.landing.batch import LandingTerms
from pipelines.landing.known import LandedBefore
from pipelines.landing.land import land_files
from pipelines.reports import wording
from pipelines.reports.environment import page_environment
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import StoredFile

SOURCE = "export"
_WINDOW = timedelta(hours=2)
_MEMORY_BYTES = 1 << 30
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_MODELS_SHOWN = 25


@dataclass(frozen=True)
class Books:
    """What an audit prices by: ref.token_prices, ref.models and ref.fx_rates."""

    prices: pl.DataFrame
    models: pl.DataFrame
    fx: pl.DataFrame


@dataclass(frozen=True)
class Export:
    """An export as read: the attempts, the rows that repeat one, and how many records could not be used."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    attempts: pl.DataFrame
    duplicates: pl.DataFrame
    quarantined: dict[str, int]


def read_export(files: Sequence[tuple[StoredFile, str]], *, read_at: datetime) -> Export:
    """Read an export through the landing's own code, into memory.

    Args:
        files: each file with its kind.
        read_at: stamped on the rows.

    Raises:
        DataError: nothing in it could be used, or none of its records has a cost of its own.
    """
    landed: list[pl.DataFrame] = []
    quarantined: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="nanodollar-audit-") as drafts:
        terms = LandingTerms(
            drafts=Path(drafts), ingested_at=read_at, not_before=_EARLIEST, hash_key=secrets.token_hex(32).encode(),
            memory_bytes=_MEMORY_BYTES,
        )  # fmt: skip
        known = LandedBefore()
        for file, kind in files:
            for batch in land_files(SourceSpec(name=SOURCE, kind=kind), [file], known=known, terms=terms):
                landed += [pl.read_parquet(path) for path in batch.parts.get("raw.requests", [])]
                refused = [pl.read_parquet(path) for path in batch.parts.get("ops.quarantine", [])]
                for reason in (reason for frame in refused for reason in frame["reason"]):
                    quarantined[reason] = quarantined.get(reason, 0) + 1
    names = ", ".join(file.path for file, _ in files)
    rows = pl.concat(landed) if landed else table("raw.requests").empty()
    if rows.is_empty():
        why = ", ".join(f"{count} {reason}" for reason, count in quarantined.items()) or "it is empty"
        raise DataError(
            f"{names} holds no request that can be used ({why}); check the file, or name its --kind."
        )
    if rows["provider_reported_cost_usd"].is_null().all():
        raise DataError(
            f"{names} books no cost of its own, so there is nothing to audit; export the gateway's spend column "
            "(LiteLLM: spend) with the rows."
        )
    first, last = (floor_hour(at) for at in (rows["started_at"].min(), rows["started_at"].max()))  # type: ignore[arg-type]
    kept, removed = dedupe(rows.lazy(), window=_WINDOW, from_hour=first, to_hour=last + HOUR)
    attempts, repeats = pl.collect_all([canonical_providers(kept), removed])
    place = ["source", "file_hash", "line_number", "record_number"]
    repeats = (
        repeats.select(place)
        .join(rows, on=place, how="left")
        .rename({"provider_reported_cost_usd": "booked_usd"})
    )
    repeats = canonical_providers(repeats.lazy()).collect()
    return Export(
        names=tuple(file.path for file, _ in files),
        kinds=tuple(dict.fromkeys(kind for _, kind in files)),
        attempts=attempts.with_row_index("row"),
        duplicates=repeats.with_row_index("row", offset=attempts.height),
        quarantined=quarantined,
    )


def audit_rows(export: Export, books: Books, *, as_known_at: datetime) -> pl.DataFrame:
    """Price an export by the book and class every difference; see models.finance.audit.compare for the columns."""
    priced = _priced(export.attempts.lazy(), books.prices.lazy(), books, as_known_at)
    rows = audit.compare(export.attempts, priced, export.duplicates)
    names = rows.lazy().select("row", "priced_model")
    guesses: Iterable[Hypothesis] = (*HYPOTHESES, *stale_prices(books.prices))
    for guess in guesses:
        is_open = pl.col("kind") == audit.UNEXPLAINED
        if rows.filter(is_open).is_empty():
            break
        open_rows = rows.lazy().filter(is_open).select("row")
        asked = export.attempts.lazy().join(open_rows, on="row", how="semi").join(names, on="row")
        costs = _priced(guess.requests(asked), guess.book(books.prices.lazy()), books, as_known_at)
        rows = audit.explain(rows, guess, costs)
    return audit.explain_ratios(rows)


def _priced(
    requests: pl.LazyFrame, prices: pl.LazyFrame, books: Books, as_known_at: datetime
) -> pl.DataFrame:
    """Price attempts at list prices, whenever they were; `row` rides along in place of the request id."""
    asked = requests.with_columns(request_id=pl.col("row").cast(pl.String)).collect()
    if asked.is_empty():
        return pl.DataFrame(schema={"row": pl.UInt32, "list_usd": pl.Decimal(18, 12)})
    at = pl.concat([asked["started_at"], asked["finished_at"].drop_nulls()])
    costs = price_requests(
        asked.lazy(),
        book=prices.filter(pl.col("layer") == "list"),
        models=books.models.lazy(),
        fx=books.fx.lazy(),
        time_zone="UTC",
        as_known_at=as_known_at,
        from_hour=floor_hour(at.min()),  # type: ignore[arg-type]
        to_hour=floor_hour(at.max()) + HOUR,  # type: ignore[arg-type]
    )
    return costs.select(
        pl.col("request_id").cast(pl.UInt32).alias("row"),
        "list_usd",
        "price_state",
        "unpriced_reason",
        "model",
    ).collect()


def audit_answer(export: Export, rows: pl.DataFrame) -> dict[str, Any]:
    """Return the audit as nested plain values: totals, classes with examples, models, what cannot be compared."""
    totals = audit.totals(rows)
    classes = []
    for row in audit.by_class(rows).iter_rows(named=True):
        title, advice = audit.KINDS.get(row["kind"], ("Agrees with the price book", ""))
        classes.append(row | {"title": title, "advice": advice})
    return {
        "exports": list(export.names),
        "kinds": list(export.kinds),
        "quarantined": export.quarantined,
        "totals": asdict(totals),
        "classes": classes,
        "models": audit.by_model(rows).to_dicts(),
        "not_comparable": audit.not_comparable(rows).to_dicts(),
    }


def as_json(answer: dict[str, Any]) -> str:
    """Write an audit as JSON; dollars are decimal text, so nothing is rounded."""
    return json.dumps(answer, indent=2, default=_plain)


def as_html(answer: dict[str, Any], *, generated_at: datetime) -> str:
    """Write an audit as one page that loads nothing."""
    environment = page_environment()
    for word in ("money", "change", "share", "count", "plural"):
        environment.filters[word] = getattr(wording, word)
    differing = [row for row in answer["classes"] if row["kind"] != audit.AGREES]
    largest = max((abs(row["difference_usd"]) for row in differing), default=Decimal(0))
    bars = {
        row["kind"]: float(100 * abs(row["difference_usd"]) / largest) if largest else 0.0
        for row in differing
    }
    return environment.get_template("audit.html").render(
        **answer, differing=differing, bars=bars, models_shown=_MODELS_SHOWN, generated_at=generated_at
    )


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
