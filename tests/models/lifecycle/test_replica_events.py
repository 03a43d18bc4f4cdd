"""A fraction is read as people write it, or refused; never taken for the whole."""

from decimal import Decimal

import pytest

from tests.models.logs.reading import read_records

READ = {
    "0.142857": "0.142857", "0,142857": "0.142857", "1/7": "0.142857", " 3 / 7 ": "0.428571", "14.3%": "0.143",
    "12,5 %": "0.125", "100%": "1", "1": "1", ".5": "0.5", "5e-1": "0.5",
}  # fmt: skip
REFUSED = ("0", "1/0", "8/7", "150%", "-0.5", "a seventh", "1e-9", "nan", "inf", "1e30", "12345", "1:7")


@pytest.mark.parametrize("written", [*READ, *REFUSED])
def test_a_fraction_is_read_as_it_is_written_or_refused(written: str) -> None:
    event = {
        "replica_id": "r",
        "event": "ready",
        "event_at": "2026-11-02T09:00:00Z",
        "deployment": "chat",
        "fraction": written,
    }
    (row,) = read_records("replica_events", [event]).iter_rows(named=True)
    if written in READ:
        assert (row["quarantine_reason"], row["fraction"]) == (None, Decimal(READ[written]))
    else:
        assert row["quarantine_reason"] == "bad_value"
