"""From the fields of a bill to a canonical line: decimals as written, units in ones, and what is wrong with it."""

from collections.abc import Callable, Iterable, Mapping

import polars as pl

from models.billing.words import model_words, service_tier, single_units, token_class
from models.records import first_reason, instant, text
from models.schemas.invoice_columns import CHARGE_CATEGORIES, QUANTITY, invoice_line_columns

TEXTS = tuple(
    column.name
    for column in invoice_line_columns()
    if column.dtype == pl.String and column.name not in {"source", "source_kind"}
)
INSTANTS = ("billing_period_start", "billing_period_end", "charge_period_start", "charge_period_end")
AMOUNTS = ("billed_cost", "effective_cost", "list_cost", "pricing_quantity", "consumed_quantity")
_UNITS_OF = ("web_search", "file_search", "code_execution")
_TIMES = ("seconds", "token_hours")

Names = Mapping[str, tuple[str, ...]]
"""Name of ours -> the issuer's names of the field, in whatever version; the first that is filled counts."""


def line_columns(*fields: Names) -> dict[str, str]:
    """Return the columns that a reader of tables asks for, each as text."""
    return dict.fromkeys((name for held in fields for names in held.values() for name in names), "VARCHAR")


def line_select(
    fields: Names,
    instants: Names,
    *,
    stated: Callable[[str], str] = text,
    moment: Callable[[str], str] = instant,
) -> str:
    """Return the SQL of a line a record, as most exports have them: fields as texts, and instants.

    Args:
        fields: texts.
        instants: instants.
        stated: SQL of a field's text, NULL where it says nothing.
        moment: SQL of the instant in such a text.
    """

    def first(names: tuple[str, ...]) -> str:
        return f"coalesce({', '.join(stated(_quoted(name)) for name in names)}, NULL)"

    chosen = [f"{first(names)} AS {name}" for name, names in fields.items()]
    chosen += [f"{moment(first(names))} AS {name}" for name, names in instants.items()]
    return f"SELECT line_number, 1::INTEGER AS record_number, {', '.join(chosen)} FROM records"


def _quoted(name: str) -> str:
    return f'"{name}"'


def completed(
    frame: pl.LazyFrame, *, key: Iterable[str], cases: Iterable[tuple[pl.Expr, str, str]] = ()
) -> pl.LazyFrame:
    """Complete lines of a bill, and say what is wrong with each.

    The billing period is the calendar month of the charge where the bill states none. What a line bills is told by its
    meter's words where no field tells it; of quantities the consumed one counts, else the priced one.

    Args:
        frame: `TEXTS`, `INSTANTS` and `AMOUNTS` (those as texts); missing columns are NULL.
        key: columns by which a line that is delivered again is known; none: only its file and line.
        cases: what else may be wrong, with reason and detail; it comes first.
    """
    names = set(frame.collect_schema().names())
    frame = frame.with_columns(
        *(pl.lit(None, dtype=pl.String).alias(name) for name in (*TEXTS, *AMOUNTS) if name not in names),
        *(pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias(name) for name in INSTANTS if name not in names),
    )
    amounts = {name: decimal(pl.col(name)) for name in AMOUNTS}
    bad = [
        (pl.col(name).is_not_null() & amount.is_null(), "bad_value", name) for name, amount in amounts.items()
    ]
    meter, prose = (model_words(pl.col(name), pl.col("model")) for name in ("meter", "charge_description"))
    frame = frame.with_columns(
        *(amount.alias(f"{name}_number") for name, amount in amounts.items()),
        charge_category=pl.coalesce(_category(pl.col("charge_category")), pl.lit("Usage")),
        charge_class=pl.when(pl.col("charge_class").str.to_lowercase() == "correction").then(
            pl.lit("Correction")
        ),
        currency=pl.col("currency").str.to_uppercase(),
        stated_class=pl.col("token_class"),
        token_class=pl.coalesce("token_class", token_class(meter), token_class(prose, is_prose=True)),
        service_tier=pl.coalesce("service_tier", service_tier(meter), service_tier(prose)),
        month=pl.col("charge_period_start").dt.truncate("1mo"),
    )
    quantity = pl.coalesce("consumed_quantity_number", "pricing_quantity_number")
    unit = (
        pl.when(pl.col("consumed_quantity_number").is_not_null())
        .then("consumed_unit")
        .otherwise("pricing_unit")
    )
    single, name = single_units(quantity, unit)
    counted: pl.Expr = (
        pl.when(name != "units").then(name)
        .when(pl.col("token_class").is_in(_UNITS_OF)).then(pl.lit("calls"))
        .when(pl.col("token_class").is_not_null()).then(pl.lit("tokens"))
    )  # fmt: skip
    # A meter that counts tokens in `requests` (Google) counts tokens.
    counted = (
        pl.when(
            (counted == "calls")
            & pl.col("token_class").is_not_null()
            & ~pl.col("token_class").is_in(_UNITS_OF)
        )
        .then(pl.lit("tokens"))
        .otherwise(counted)
    )
    # What is billed by time is no token by its words alone.
    is_time = name.is_in(_TIMES).fill_null(value=False) | pl.col("chip").is_not_null()
    frame = frame.with_columns(
        *first_reason(
            *cases,
            *bad,
            (pl.col("charge_period_start").is_null(), "missing_started_at", "charge_period_start"),
            (pl.col("billed_cost").is_null(), "bad_value", "billed_cost is missing"),
            (
                (pl.col("charge_period_end") < pl.col("charge_period_start")).fill_null(value=False),
                "bad_value",
                "charge_period_end is before its start",
            ),
        ),
        token_class=pl.when(is_time).then("stated_class").otherwise("token_class"),
        consumed_quantity=pl.when(counted.is_not_null()).then(single).cast(QUANTITY, strict=False),
        consumed_unit=pl.when(quantity.is_not_null()).then(counted),
        pricing_quantity=pl.col("pricing_quantity_number"),
        billed_cost=pl.col("billed_cost_number"),
        effective_cost=pl.col("effective_cost_number"),
        list_cost=pl.col("list_cost_number"),
        billing_period_start=pl.coalesce("billing_period_start", "month"),
        billing_period_end=pl.coalesce(
            "billing_period_end", pl.coalesce("billing_period_start", "month").dt.offset_by("1mo")
        ),
    )
    identity = [pl.col(name).cast(pl.String).fill_null("") for name in key]
    return frame.with_columns(
        dedupe_key=pl.concat_str(identity, separator="|") if identity else pl.lit("line")
    )


def decimal(amount: pl.Expr) -> pl.Expr:
    """Return a number as written, exponent notation included, as a decimal of 12 places; NULL where it is none.

    A dollar, euro or pound sign, brackets around a negative amount, and commas between thousands are read where nothing
    else can be meant (`$10,100.00`); a comma that may part decimals (`1,500`) is no number.
    """
    bare = amount.str.strip_chars().str.replace(r"^\(\s*[$\u20ac\u00a3]?\s*([\d.,]+)\s*\)$", "-$1")
    bare = bare.str.replace(r"^([+-]?)\s*[$\u20ac\u00a3]\s*([+-]?[\d.])", "$1$2")
    is_grouped = bare.str.contains(r"^[+-]?\d{1,3}(,\d{3})+\.\d+$|^[+-]?\d{1,3}(,\d{3}){2,}$")
    amount = pl.when(is_grouped).then(bare.str.replace_all(",", "", literal=True)).otherwise(bare)
    plain = amount.str.strip_chars().cast(pl.Decimal(38, 12), strict=False)
    is_exponent = amount.str.contains(r"(?i)^\s*[+-]?\d*\.?\d+e[+-]?\d+\s*$")
    # Exponents come from doubles: 17 digits are what they hold.
    rounded = amount.str.strip_chars().cast(pl.Float64, strict=False).cast(pl.Decimal(38, 12), strict=False)
    return pl.when(is_exponent).then(rounded).otherwise(plain)


def _category(written: pl.Expr) -> pl.Expr:
    """Return FOCUS's category of a charge in whatever letters; other words stay and are refused by the table."""
    lower = written.str.to_lowercase()
    return lower.replace_strict(
        {name.lower(): name for name in CHARGE_CATEGORIES}, default=written, return_dtype=pl.String
    )
