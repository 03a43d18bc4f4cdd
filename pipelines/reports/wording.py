"""How a report writes numbers: dollars, rates, shares, counts, times. Missing is a word, never 0."""

import re
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from markupsafe import Markup

NOT_PRICED = "not priced"
UNKNOWN = "unknown"
NONE = "–"
_CENT = Decimal("0.01")
_SMALL = Decimal("0.10")
_MINUS = "−"


def money(usd: Decimal | None, missing: str = NOT_PRICED) -> Markup:
    """Write dollars to cents, less than ten cents with two significant digits; the exact figure rides along."""
    if usd is None:
        return word(missing)
    return _exact(usd, _dollars(usd))


def change(usd: Decimal | None) -> Markup:
    """Write a difference in dollars with its sign."""
    if usd is None:
        return word("no data")
    return _exact(usd, _dollars(usd, plus="+"))


def rate(usd_per_mtok: float | None, missing: str = NOT_PRICED) -> Markup:
    """Write dollars per million tokens: cents from one dollar up, three significant digits below."""
    if usd_per_mtok is None:
        return word(missing)
    text = f"{usd_per_mtok:,.2f}" if usd_per_mtok >= 1 or not usd_per_mtok else _significant(usd_per_mtok)
    return Markup("${}").format(text)


def share(ratio: float | None, missing: str = UNKNOWN) -> str | Markup:
    """Write a share of a whole; only the whole is 100% and only nothing is 0%."""
    if ratio is None:
        return word(missing)
    if ratio in (0, 1):
        return f"{ratio:.0%}"
    if ratio < 0.0001:  # noqa: PLR2004  less than the last digit shown
        return "<0.01%"
    return f"{min(ratio, 0.9999):.2%}"


def filled(ratio: float | None) -> str | Markup:
    """Write how full something is; from twice full on as a multiple of it."""
    if ratio is None:
        return word(UNKNOWN)
    if ratio >= 2:  # noqa: PLR2004  twice full
        return f"{ratio:,.1f} times"
    return f"{max(ratio, 1.0001):.2%}" if ratio > 1 else share(ratio)


def change_ratio(new: Decimal | float | None, old: Decimal | float | None) -> str | Markup:
    """Write a relative change with its sign; there is none from nothing or from the unknown."""
    if new is None or not old:
        return word(NONE)
    ratio = (float(new) - float(old)) / abs(float(old))
    if ratio and abs(ratio) < 0.0005:  # noqa: PLR2004  less than the last digit shown
        return f"{'+' if ratio > 0 else _MINUS}<0.1%"
    text = f"{ratio:+.1%}" if abs(ratio) < 10 else f"{ratio:+,.0%}"  # noqa: PLR2004  1,000% needs no decimals
    return text.replace("-", _MINUS)


def count(number: int | None, missing: str = UNKNOWN) -> str | Markup:
    """Write a whole number with thousands separators."""
    return word(missing) if number is None else f"{number:,}".replace("-", _MINUS)


def duration(seconds: float | None) -> str | Markup:
    """Write seconds as a person says them."""
    if seconds is None:
        return word(UNKNOWN)
    if seconds < 100:  # noqa: PLR2004
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:  # noqa: PLR2004
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def clock(instant: datetime, time_zone: str, *, with_seconds: bool = False) -> str:
    """Write an instant as the wall clock of the reporting zone shows it."""
    return instant.astimezone(ZoneInfo(time_zone)).strftime("%H:%M:%S" if with_seconds else "%H:%M")


def plural(number: int, noun: str, many: str | None = None) -> str:
    """Write a count with its noun."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def compact(usd: Decimal) -> str:
    """Write dollars as short as a plot's label: $9.4k."""
    size = Decimal(f"{abs(usd):.2e}")
    if size < 100:  # noqa: PLR2004
        return _dollars(usd)
    units = ((Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"), (Decimal(1), ""))
    unit, suffix = next(pair for pair in units if size >= pair[0])
    return f"{_MINUS if usd < 0 else ''}${float(size / unit):g}{suffix}"


def breakable(text: str) -> Markup:
    """Let a long path or model name break where a person would."""
    return Markup("<wbr>").join(re.split(r"(?<=[./_])", text))


def word(text: str) -> Markup:
    """Mark a word that stands where a number would."""
    return Markup('<span class="word">{}</span>').format(text)


def _dollars(usd: Decimal, plus: str = "") -> str:
    size = abs(usd)
    text = f"{size.quantize(_CENT, ROUND_HALF_EVEN):,}" if size >= _SMALL or not size else _significant(size)
    sign = _MINUS if usd < 0 else plus if usd else ""
    return f"{sign}${text}"


def _significant(size: Decimal | float) -> str:
    digits = 2 if isinstance(size, Decimal) else 3
    exact = Decimal(repr(size)) if isinstance(size, float) else size
    places = digits - 1 - exact.adjusted()
    return f"{exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):f}"


def _exact(usd: Decimal, text: str) -> Markup:
    return Markup('<data value="{0}" title="${0}">{1}</data>').format(f"{usd:f}", text)
