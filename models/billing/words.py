"""The words of bills: units and their size, and which class of token or meter a line bills.

Spellings are those of public documentation, price lists and exports of AWS (Bedrock usage types), Azure (meter names),
Google (SKU descriptions), OpenAI (line items) and Anthropic (token types), looked up 2026-11-28; docs/bills.md lists
them.
"""

import polars as pl

_MAGNITUDES = (
    ("millions", 1_000_000),
    ("million", 1_000_000),
    ("thousand", 1_000),
    ("m", 1_000_000),
    ("k", 1_000),
)
_UNITS = (
    (r"(?:gb|gib|tb|vcpu|core)[ -]*(?:hours?|hrs?|months?|mo)", None, 1),
    (r"tokens?[ -]*(?:hours?|hrs?)\b", "token_hours", 1),
    (r"\bccus?\b|consumption units?", "consumption_units", 1),
    (r"gpu[ -]*(?:hours?|hrs?)\b", "seconds", 3_600),
    (r"\b(?:hours?|hrs?)\b", "seconds", 3_600),
    (r"\b(?:minutes?|mins?)\b", "seconds", 60),
    (r"\b(?:seconds?|secs?|s)\b", "seconds", 1),
    (r"\b(?:tokens?|tkns?|toks?)\b|mtok", "tokens", 1),
    (r"\b(?:calls?|requests?|queries|query|searches|search units?|sessions?)\b", "calls", 1),
    (r"\bimages?\b", "images", 1),
    (r"\b(?:characters?|chars?)\b", "characters", 1),
)
"""Words of a unit, our name of it, and how many of ours it is. Sizes such as 1K or 1M stand before it."""
_SHORT = (
    (r"\b(?:inpt?|in)\b", "input"),
    (r"\b(?:outpt?|out|opt)\b", "output"),
    (r"\b(?:cd|c?cchd)\b", "cached"),
    (r"\bwr\b", "write"),
)
"""Short words of meters and what they stand for; in prose they are words like others."""
_CLASSES = (
    (r"uncached", "input_uncached"),
    (r"grounding|google search", "web_search"),
    (r"web[ _-]?search|search[ _-]?units?|\bsearch(?:es)?\b", "web_search"),
    (r"file[ _-]?search", "file_search"),
    (r"code[ _-]?(?:interpreter|execution)", "code_execution"),
    (r"storage|hosting|hstng|training|trng|fine[ _-]?tun|provisioned|model ?units?|\btpm\b", None),
    (
        r"(?:cached?|caching).{0,8}(?:write|creation).*1 ?h|1 ?h.*cached?.?(?:write|creation)",
        "cache_write_1h",
    ),
    (r"cached?.{0,3}(?:write|creation)|cachewrite", "cache_write_5m"),
    (r"\btext[ ,]+(?:input[ ,]+)?(?:cached|caching)|cached text|input text caching", "cache_read"),
    (r"audio.*cached|(?:cached?|caching).*audio", "cache_read_audio"),
    (r"image.*cached|(?:cached?|caching).*image", "cache_read_image"),
    (r"cache.{0,3}read|cached|caching", "cache_read"),
    (r"thinking text output", "reasoning"),
    (r"\btext[ ,]+output|output text", "output_text"),
    (r"\btext[ ,]+input|input text", "input_uncached"),
    (r"audio.*output|output.*audio", "audio_output"),
    (r"image.*output|output.*image", "image_output"),
    (r"audio.*input|input.*audio", "audio_input"),
    (r"image.*input|input.*image", "image_input"),
    (r"video.*input|input.*video", "video_input"),
    (r"reasoning.*\binput|\binput.*reasoning", "input_uncached"),
    (r"reasoning", "reasoning"),
    (r"output|completion|generated", "output_text"),
    (r"input|prompt", "input_uncached"),
)
"""Words of a meter and the class that it bills; the first that fits counts. NULL: neither tokens nor calls."""
_TIERS = (
    (r"batch", "batch"),
    (r"priority|\bpp\b", "priority"),
    (r"flex", "flex"),
    (r"provisioned|modelunits|reserved|\bptu\b", "provisioned"),
)


def single_units(quantity: pl.Expr, unit: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return a quantity in single units, and their name; NULL where the unit is not known.

    `1K tokens` and `1000 Tokens` are thousands of tokens, `1M` millions of what the meter counts, hours and minutes
    become seconds.

    Args:
        quantity: as billed, a decimal.
        unit: as written.
    """
    lower = unit.str.to_lowercase().str.replace_all(r"(\d),(\d{3})", "$1$2").str.replace_all("_", " ")
    stated = lower.str.extract(r"^\s*(\d+)", 1).cast(pl.Int64, strict=False).fill_null(1)
    size: pl.Expr = pl.lit(1, dtype=pl.Int64)
    for word, factor in reversed(_MAGNITUDES):
        size = pl.when(lower.str.contains(rf"^\s*\d*\s*{word}\b")).then(factor).otherwise(size)
    size = pl.when(lower.str.contains("mtok")).then(1_000_000).otherwise(size)
    name: pl.Expr = pl.lit(None, dtype=pl.String)
    each: pl.Expr = pl.lit(1, dtype=pl.Int64)
    for words, single, count in reversed(_UNITS):
        is_so = lower.str.contains(words)
        name = pl.when(is_so).then(pl.lit(single, dtype=pl.String)).otherwise(name)
        each = pl.when(is_so).then(count).otherwise(each)
    # A size alone (1K, 1M), `count` and `units` are units of whatever the meter counts.
    is_bare = lower.str.contains(r"^\s*\d*\s*(?:k|m|thousand|million|count|units?)?\s*$")
    name = (
        pl.when(name.is_null() & is_bare & (lower.str.strip_chars() != ""))
        .then(pl.lit("units"))
        .otherwise(name)
    )
    return quantity * (stated * size * each), name


def model_words(words: pl.Expr, model: pl.Expr) -> pl.Expr:
    """Return words in small letters without the model's name, whose own words (reasoning, search) bill nothing."""
    spaced = _spaced(words)
    name = _spaced(model).str.strip_chars()
    return pl.coalesce(spaced.str.split(by=pl.when(name != "").then(name)).list.join(" "), spaced)


def token_class(words: pl.Expr, *, is_prose: bool = False) -> pl.Expr:
    """Return the class of token, or the meter, that a line bills by its words; NULL where they do not tell.

    Args:
        words: of a meter, or of a description for people.
        is_prose: whether they are for people: `in US East` is no input there.
    """
    lower = _spaced(words)
    if not is_prose:
        for short, whole in _SHORT:
            lower = lower.str.replace_all(short, whole)
    return _named(lower, _CLASSES)


def service_tier(words: pl.Expr) -> pl.Expr:
    """Return the tier that a line bills by its words; NULL where they name none."""
    return _named(_spaced(words), _TIERS)


def _named(words: pl.Expr, names: tuple[tuple[str, str | None], ...]) -> pl.Expr:
    """Return the name of the first pattern that fits."""
    found: pl.Expr = pl.lit(None, dtype=pl.String)
    for pattern, name in reversed(names):
        found = pl.when(words.str.contains(pattern)).then(pl.lit(name, dtype=pl.String)).otherwise(found)
    return found


def _spaced(meter: pl.Expr) -> pl.Expr:
    """Return a meter's words in small letters with blanks between them: `InputTokenCount` is `input token count`."""
    return (
        meter.str.replace_all(r"([a-z0-9])([A-Z])", "$1 $2")
        .str.to_lowercase()
        .str.replace_all(r"[-_:/.]+", " ")
    )
