"""What a token sheet's shape cannot say: the order of its dates, names that clash, units that do not fit."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median

from models.errors import ConfigurationError
from models.prices.sheet_schema import Model, TokenSheet
from models.yaml_values import Location

MOST_CHANGE = 100
"""A rate this many times its earlier one, or its family's elsewhere, is taken for a unit error."""
_END = datetime.max.replace(tzinfo=UTC)


def order_problems(sheet: TokenSheet) -> list[ConfigurationError]:
    """Return what is wrong with the names, dates and units of a sheet."""
    found: list[ConfigurationError] = []
    seen: set[str] = set()
    for m, model in enumerate(sheet.models):
        if model.model in seen:
            here = ("models", m, "model")
            found.append(
                sheet.error(here, f"model {model.model!r} is written twice; append to its `prices` instead")
            )
        seen.add(model.model)
        own = {entry.region for entry in model.prices}
        found += [
            sheet.error(
                ("models", m, "prices", e, "regions"),
                f"{model.model!r} has entries of region {region!r} too; state it one way",
            )
            for e, entry in enumerate(model.prices)
            for region in entry.regions
            if region in own
        ]
        found += _date_problems(sheet, m, model)
        found += _jump_problems(sheet, m, model)
    return found + _alias_problems(sheet)


def family_problems(sheets: Iterable[TokenSheet]) -> list[ConfigurationError]:
    """Return rates that lie far from the same weights' elsewhere: the trace of another unit."""
    rates: dict[tuple[str, str], list[Decimal]] = {}
    stated: list[tuple[TokenSheet, Location, str, str, Decimal]] = []
    for sheet in sheets:
        for m, model in enumerate(sheet.models):
            for e, entry in enumerate(model.prices):
                for meter, rate in entry.per_mtok.items():
                    if rate and model.family and sheet.currency == "USD":
                        rates.setdefault((model.family, meter), []).append(rate)
                        stated.append((sheet, ("models", m, "prices", e), model.family, meter, rate))
    found = []
    for sheet, here, family, meter, rate in stated:
        usual = median(rates[family, meter])
        if not usual / MOST_CHANGE < rate < usual * MOST_CHANGE:
            found.append(
                sheet.error(
                    here, f"{meter} of {rate} lies far from {usual}, usual for {family}; check the unit"
                )
            )
    return found


def _date_problems(sheet: TokenSheet, m: int, model: Model) -> list[ConfigurationError]:
    found = []
    seen: dict[tuple[str | None, datetime], datetime] = {}
    earlier_ones: dict[str | None, list[tuple[datetime, datetime]]] = {}
    for e, entry in enumerate(model.prices):
        here: Location = ("models", m, "prices", e)
        known = sheet.known_from(entry)
        earlier = seen.get((entry.region, entry.valid_from))
        if earlier is not None and known <= earlier:
            found.append(
                sheet.error(
                    here,
                    f"{model.model!r} has two prices from {entry.valid_from:%Y-%m-%d} known at one time; "
                    "give a correction a later `known_from`",
                )
            )
        elif earlier is None and any(
            valid_from > entry.valid_from and known_then >= known
            for valid_from, known_then in earlier_ones.get(entry.region, ())
        ):
            found.append(
                sheet.error(here, f"prices of {model.model!r} are not in order; put the newest last")
            )
        seen[entry.region, entry.valid_from] = known
        earlier_ones.setdefault(entry.region, []).append((entry.valid_from, known))
        if entry.priced_at != model.prices[0].priced_at:
            found.append(
                sheet.error((*here, "priced_at"), f"all prices of {model.model!r} need one `priced_at`")
            )
    return found


def _jump_problems(sheet: TokenSheet, m: int, model: Model) -> list[ConfigurationError]:
    found = []
    before: dict[tuple[str | None, str], Decimal] = {}
    for e, entry in enumerate(model.prices):
        for meter, rate in entry.per_mtok.items():
            if not rate:
                continue
            last = before.setdefault((entry.region, meter), rate)
            if not last / MOST_CHANGE < rate < last * MOST_CHANGE:
                found.append(
                    sheet.error(
                        ("models", m, "prices", e),
                        f"{meter} of {model.model!r} goes from {last} to {rate}; check the unit",
                    )
                )
            before[entry.region, meter] = rate
    return found


def _alias_problems(sheet: TokenSheet) -> list[ConfigurationError]:
    found = []
    taken: dict[str, list[tuple[datetime, datetime, str]]] = {}
    own = {model.model for model in sheet.models}
    for m, model in enumerate(sheet.models):
        for a, alias in enumerate(model.aliases):
            here: Location = ("models", m, "aliases", a)
            stops = alias.valid_to or _END
            if stops <= alias.valid_from:
                found.append(
                    sheet.error(here, f"alias {alias.name!r} ends before it starts; mend `valid_to`")
                )
            if alias.name in own:
                found.append(sheet.error(here, f"alias {alias.name!r} is a model of this sheet; remove it"))
            found += [
                sheet.error(here, f"alias {alias.name!r} also means {other!r}; date them apart")
                for start, stop, other in taken.get(alias.name, [])
                if alias.valid_from < stop and start < stops
            ]
            taken.setdefault(alias.name, []).append((alias.valid_from, stops, model.model))
    return found
