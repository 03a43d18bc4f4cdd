"""How old prices are: a list that was read long ago may have changed since, and every figure made of it says so."""

from collections.abc import Iterable
from datetime import date

OLD_AFTER_DAYS = 30
"""From this age on a price list is called old."""


def age_lines(read: Iterable[tuple[str, date, int]], *, what: str, today: date) -> list[str]:
    """Say which prices are old, the oldest first: one sentence a provider or file.

    Args:
        read: whose prices they are, the day on which they were read, and how many things they are of.
        what: what is counted, such as `attempts`.
        today: the day to count from.
    """
    oldest: dict[str, tuple[date, int]] = {}
    for whose, read_on, number in read:
        if (today - read_on).days >= OLD_AFTER_DAYS:
            first, count = oldest.get(whose, (read_on, 0))
            oldest[whose] = min(first, read_on), count + number
    return [
        f"prices of {whose} were read {(today - read_on).days} days ago, on {read_on} ({number:,} {what})"
        for whose, (read_on, number) in sorted(oldest.items(), key=lambda item: (item[1][0], item[0]))
    ]
