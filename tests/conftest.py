"""The order in which the workers of a test run take the files."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of `tests/models` last: they are short, so that no worker waits long for the end of another."""
    items.sort(key=lambda item: "models" in item.path.parts)
