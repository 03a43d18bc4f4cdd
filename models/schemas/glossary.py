"""Words that are ours, or that we use in one sense only: data/glossary.yml, and docs/glossary.md made of it."""

from functools import cache
from importlib.resources import files

from models.documents import read_yaml

_HEAD = """\
# Glossary

Words that are ours, or that we use in one sense only. Columns are explained in the
[data dictionary](data_dictionary.md), formulas in [method.md](method.md). Generated from `data/glossary.yml` by
`make docs`.

| Word | Meaning |
|---|---|
"""


@cache
def glossary() -> dict[str, str]:
    """Return the meaning of each word, in alphabetical order."""
    text = (files("data") / "glossary.yml").read_text(encoding="utf-8")
    value: dict[str, str] = read_yaml(text, path="data/glossary.yml").value
    return value


def glossary_page() -> str:
    """Return the glossary as Markdown."""
    return _HEAD + "".join(f"| {word} | {meaning} |\n" for word, meaning in glossary().items())
