"""Errors that a person reads: one sentence saying what, where and what to do."""


class NanodollarError(Exception):
    """Something the user can mend; the message is one sentence with the place and the remedy."""


class ConfigurationError(NanodollarError):
    """Wrong usage, settings, price sheet or policy (exit code 2)."""


class DataError(NanodollarError):
    """Input that cannot be used as a whole, such as a file of no known format (exit code 1)."""


class NoWarehouseError(DataError):
    """Nothing has run in the project yet, so that there is nothing to read."""
