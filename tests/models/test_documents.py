"""The one reader of YAML: values as they are written, every error with file and line, no file that takes for ever."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from models.documents import Instant, Strict, read_documents, read_yaml
from models.errors import ConfigurationError

BOMBS = {
    "aliases": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)),
        "line 5: aliases repeat more than 10,000 values",
    ),
    "square": ("a: &a [" + "x," * 9000 + "]\nb: [" + "*a," * 9000 + "]", "line 2: aliases repeat more than"),
    "itself": ("a: &a [*a]", "line 1: the alias *a has no anchor &a before it"),
    "lists": ("a:\n  " + "[" * 300_000, "line 2: values are nested more than 40 deep"),
    "mappings": ("{a: " * 300_000, "line 1: values are nested more than 40 deep"),
    "dashes": ("- " * 300_000, "nested more than 40 deep"),
    "indents": (
        "".join(" " * i + "a:\n" for i in range(2000)),
        "line 41: values are nested more than 40 deep",
    ),
    "keys": ("? " * 300_000, "a mapping or list cannot be one"),
    "values": ("- a\n" * 900_000, "line 200000: the file has more than 200,000 values"),
    "documents": ("--- a\n" * 300_000, "line 1001: the file has more than 1,000 documents"),
    "size": ("a: " + "x" * 5_000_000, "the file has 5 million characters; at most 4 are read"),
    "number": (
        "a: 1\nb: " + "9" * 10_000,
        "line 2: '9999999999999999999999999999999999999999...' is no whole number",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_would_take_for_ever_is_refused_with_its_line(name: str) -> None:
    text, sentence = BOMBS[name]
    with pytest.raises(ConfigurationError) as refused:
        read_documents(text, path="policies/routing.yml")
    assert str(refused.value).startswith("policies/routing.yml")
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2026-13-45", "p.yml, line 2: '2026-13-45' is no date; write it like 2026-11-20 or"),
        ("a:\n  - 2026-02-30T10:00:00Z", "p.yml, line 2: '2026-02-30T10:00:00Z' is no date"),
        ("a: 1\nb:\n  c: 2\n  c: 3", "p.yml, line 4: key 'c' is written twice; keep one of them"),
        (
            "a: !!python/object:os.system x",
            "line 1: the tag tag:yaml.org,2002:python/object:os.system is not known",
        ),
        ("a: !mine {b: 1}", "line 1: the tag !mine is not known; leave it out"),
        ("a: 1\n\tb: 2", "line 2: not valid YAML"),
        ("a: [1,\nb", "not valid YAML"),
        ("a: \0", "line 1: not valid YAML"),
        ("a: 1\nb: *c", "line 2: the alias *c has no anchor &c before it"),
        ("a: 1\n---\nb: 2", "line 3: a second document begins"),
        ("[a]: 1", "line 1: a key is a word"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_yaml(text, path="p.yml")
    assert sentence in str(refused.value)


def test_values_are_as_they_are_written() -> None:
    text = """
        rate: 0.10
        large: 1_000.5
        count: 12
        day: 2026-11-20
        quoted: "2026-11-20"
        flag: yes
        nothing: ~
        base: &base {a: 1, b: 2}
        merged: {<<: *base, b: 3}
        several: {<<: [*base, {c: 4}]}
        again: *base
        words: {on: 1, 7: 2}
    """
    document = read_yaml(text, path="p.yml")

    assert document.value == {
        "rate": Decimal("0.10"),
        "large": Decimal("1000.5"),
        "count": 12,
        "day": date(2026, 11, 20),
        "quoted": "2026-11-20",
        "flag": True,
        "nothing": None,
        "base": {"a": 1, "b": 2},
        "merged": {"a": 1, "b": 3},
        "several": {"a": 1, "b": 2, "c": 4},
        "again": {"a": 1, "b": 2},
        "words": {True: 1, 7: 2},
    }
    assert str(document.value["rate"]) == "0.10"
    assert document.line(("words", 7)) == 13
    assert document.line(("merged", "b")) == 10
    assert document.line(("merged", "nowhere")) == 10


class Dated(Strict):
    at: Instant


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-20",
        '"2026-11-20"',
        "2026-11-20T00:00:00Z",
        "'2026-11-20T00:00:00Z'",
        '"2026-11-20 01:00:00+01:00"',
    ],
)
def test_an_instant_may_be_quoted_or_not(written: str) -> None:
    assert read_yaml(f"at: {written}", path="p.yml").parse(Dated).at == datetime(2026, 11, 20, tzinfo=UTC)


def test_an_instant_that_is_none_names_its_line() -> None:
    with pytest.raises(ConfigurationError, match=r"p\.yml, line 2: at: write a date such as 2026-01-01"):
        read_yaml("# a date\nat: soon", path="p.yml").parse(Dated)
