"""Token price sheets, read: YAML text becomes checked sheets, or sentences that say what is wrong and where."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from models.documents import Document, read_yaml
from models.errors import ConfigurationError
from models.prices.fields import Examined, load_sheets, readable
from models.prices.sheet_checks import order_problems
from models.prices.sheet_schema import CURRENCY, IN_USD, SECTIONS, TokenSheet
from models.yaml_values import Location


def load_token_sheets(texts: Mapping[str, str]) -> list[TokenSheet]:
    """Parse and check sheets, given as path and YAML text; the first thing wrong is raised."""
    return load_sheets(examine_token_sheet, texts)


@lru_cache(maxsize=64)
def examine_token_sheet(path: str, text: str) -> Examined[TokenSheet]:
    """Parse a sheet, once for a text: the built-in sheets are long, and a sheet never changes once it is read."""
    try:
        document = read_yaml(text, path=path)
    except ConfigurationError as error:
        return None, (error,)
    if not isinstance(document.value, dict):
        what = "a sheet is a mapping with provider, source_url, checked_on and models"
        return None, (document.error((), what),)
    value, problems = in_currency(document.value, document)
    try:
        sheet = TokenSheet.model_validate(value)
    except ValidationError as error:
        return None, (*problems, *readable(error, document, top=TokenSheet, sections=SECTIONS))
    sheet._document = document  # noqa: SLF001 (how a private attribute is filled)
    return sheet, (*problems, *order_problems(sheet))


def in_currency(value: Any, document: Document) -> tuple[Any, list[ConfigurationError]]:
    """Read `eur_per_mtok` and `per_call_eur` of a sheet in EUR as the fields that a USD sheet has.

    A key of another currency than the sheet's is a problem: it would be converted by the wrong rate.
    """
    currency = value.get("currency", "USD")
    problems: list[ConfigurationError] = []
    if not re.fullmatch(CURRENCY, str(currency)) or currency == "USD":
        return value, problems
    code = str(currency).lower()
    own = {name.replace("usd", code): name for name in IN_USD}

    def renamed(node: Any, location: Location) -> Any:
        if isinstance(node, list):
            return [renamed(child, (*location, index)) for index, child in enumerate(node)]
        if not isinstance(node, dict):
            return node
        for key, theirs in own.items():
            if theirs in node:
                here = (*location, theirs)
                problems.append(
                    document.error(here, f"the sheet is in {currency}; write {key!r} for {theirs!r}")
                )
        return {own.get(key, key): renamed(child, (*location, key)) for key, child in node.items()}

    return renamed(value, ()), problems
