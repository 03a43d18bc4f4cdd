"""chargeback.yml and signoffs.yml: who pays for what nobody asked for, and what payers say of their statements."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import AfterValidator, Field, model_validator

from models.documents import Document, Instant, Strict, in_order, read_documents
from models.schemas import table
from models.schemas.cost_kinds import COST_KINDS

SCOPE = ("provider", "region", "chip", "deployment", "commitment")
Method = Literal["by_usage", "fixed_shares", "reserving_team", "central"]
Share = Annotated[Decimal, Field(gt=0, le=10**9, decimal_places=9, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]
_CENTS = 2


def known_kind(word: str) -> str:
    """Return a word that is a kind of cost."""
    if word not in COST_KINDS:
        raise ValueError(f"{word!r} is no kind of cost; there are {', '.join(COST_KINDS)}")
    return word


class Rule(Strict):
    """Who pays for some kinds of cost that no request of a known team or tenant is behind.

    Of several rules that hold for a cost on a day the last in the file counts.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kinds: Annotated[tuple[Annotated[str, AfterValidator(known_kind)], ...], Field(min_length=1)]
    provider: str | None = None
    region: str | None = None
    chip: str | None = None
    deployment: str | None = None
    commitment: str | None = None
    method: Method
    usage_of: Literal["pool", "chip", "provider", "everything"] | None = None
    measure: Literal["usd", "tokens"] | None = None
    shares: dict[Name, Share] = Field(default_factory=dict)
    shares_of: Literal["team", "tenant", "cost_centre"] = "team"
    payer: Name | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    known_from: Instant | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _says_what_its_method_needs(self) -> "Rule":
        if (self.method == "central") != (self.payer is not None):
            raise ValueError("payer goes with the method central, and it with payer")
        if self.method == "fixed_shares" and not self.shares:
            raise ValueError("fixed_shares needs shares, such as {search: 60, chat: 40}")
        if self.shares and self.method not in {"fixed_shares", "reserving_team"}:
            raise ValueError("shares go with fixed_shares or reserving_team")
        if self.method != "by_usage" and (self.usage_of or self.measure):
            raise ValueError("usage_of and measure go with by_usage")
        in_order(self.valid_from, self.valid_to)
        return self


class CostCentre(Strict):
    """Which cost centre pays for a team, a tenant, or a team of a tenant; an entry with both beats one with one."""

    tenant: Name | None = None
    team: Name | None = None
    cost_centre: Name
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    known_from: Instant | None = None

    @model_validator(mode="after")
    def _is_for_somebody(self) -> "CostCentre":
        if self.tenant is None and self.team is None:
            raise ValueError("a cost centre is for a team or a tenant; write one of them")
        in_order(self.valid_from, self.valid_to)
        return self


class SmallGroups(Strict):
    """Groups that are shown together, lest a statement tells of single people."""

    fewer_requests_than: Annotated[int, Field(ge=2, le=10**6)]


class ChargebackFile(Strict):
    """A `chargeback.yml`."""

    version: Literal[1]
    small_groups: SmallGroups | None = None
    cost_centres: tuple[CostCentre, ...] = ()
    rules: tuple[Rule, ...] = ()


class Signoff(Strict):
    """What a payer says of its statement of a month; it counts while the statement has the signed amount."""

    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    payer: Name
    answer: Literal["accepted", "disputed"]
    usd: Annotated[Decimal, Field(ge=-(10**12), le=10**12, decimal_places=12, allow_inf_nan=False)]
    signed_by: Name
    signed_on: date
    note: str | None = None


class SignoffFile(Strict):
    """A `signoffs.yml`."""

    version: Literal[1]
    signoffs: tuple[Signoff, ...] = ()


def load_chargeback(text: str, *, path: str) -> dict[str, pl.DataFrame]:
    """Return ref.chargeback_rules and ref.cost_centres.

    Args:
        text: YAML of the file; empty when the project has none.
        path: the file, for messages.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    rules: list[dict[str, Any]] = []
    centres: list[dict[str, Any]] = []
    number = 0
    for document in read_documents(text, path=path):
        file = document.parse(ChargebackFile)
        if file.small_groups is not None:
            rules.append(_small_groups(file.small_groups, document))
        for place, rule in enumerate(file.rules):
            number += 1
            rules += _rule_rows(rule, {"rule_number": number, **document.place(("rules", place))})
        centres += [
            entry.model_dump()
            | {"entry_number": len(centres) + place, **document.place(("cost_centres", place))}
            for place, entry in enumerate(file.cost_centres)
        ]
    return {
        "ref.chargeback_rules": table("ref.chargeback_rules").frame(rules),
        "ref.cost_centres": table("ref.cost_centres").frame(centres),
    }


def _small_groups(entry: SmallGroups, document: Document) -> dict[str, Any]:
    return {
        "rule_number": 0,
        "name": "small_groups",
        "cost_kind": "all",
        "method": "suppress",
        "share": Decimal(entry.fewer_requests_than),
        **document.place(("small_groups",)),
    }


def _rule_rows(rule: Rule, place: dict[str, Any]) -> Iterable[dict[str, Any]]:
    head = rule.model_dump(
        include={"name", "method", "usage_of", "valid_from", "valid_to", "known_from", *SCOPE}
    )
    payers: list[dict[str, Any]] = [{}]
    if rule.method == "by_usage":
        head["measure"] = rule.measure or "usd"
    elif rule.payer is not None:
        payers = [{"payer": rule.payer, "share": Decimal(1), "payer_dimension": rule.shares_of}]
    elif rule.shares:
        payers = [
            {"payer": payer, "share": share, "payer_dimension": rule.shares_of}
            for payer, share in sorted(rule.shares.items())
        ]
    return [
        head | payer | place | {"cost_kind": kind} for kind in sorted(set(rule.kinds)) for payer in payers
    ]


def load_signoffs(text: str, *, path: str) -> pl.DataFrame:
    """Return ref.signoffs.

    Args:
        text: YAML of the file; empty when the project has none.
        path: the file, for messages.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    rows: list[dict[str, Any]] = []
    for document in read_documents(text, path=path):
        for place, entry in enumerate(document.parse(SignoffFile).signoffs):
            exponent = entry.usd.as_tuple().exponent
            rows.append(
                entry.model_dump(exclude={"month", "usd"})
                | {
                    "entry_number": len(rows),
                    "month_on": date.fromisoformat(f"{entry.month}-01"),
                    "signed_usd": entry.usd,
                    # Dollars are signed to the cent at least, however they are written.
                    "signed_digits": max(_CENTS, -exponent if isinstance(exponent, int) else 0),
                    **document.place(("signoffs", place)),
                }
            )
    return table("ref.signoffs").frame(rows)
