"""Fuzzing by coverage of the readers of logs, bills and sheets: `python -m benchmarks fuzz [MINUTES]`.

Needs `pip install atheris` (libFuzzer for Python). The first byte of an input chooses what reads the rest: a kind of
source, or the sheets that people write. What lands must hold together, a sheet must be read or refused in a sentence;
the input of the first fault is kept beside the corpus, whose folder is printed.
"""

import sys
import tempfile
from pathlib import Path

_LONGEST = 4096
_SLOWEST_SECONDS = 120
_MOST_MB = 6144
_READERS = ["pipelines.landing", "models.logs", "models.lifecycle", "models.billing", "models.counters"]
_SHEETS = ["models.documents", "models.prices", "models.routing"]


def main(minutes: int = 60) -> None:
    """Fuzz for some minutes; the process ends with libFuzzer's figures, and exit code 77 where a fault was found."""
    import atheris

    with atheris.instrument_imports(include=[*_READERS, *_SHEETS]):
        from models.errors import NanodollarError
        from models.prices.sheets import load_token_sheets
        from tests.pipelines.landing.test_fuzz import EXAMPLES, land_alone, lines_of

    kinds = sorted(EXAMPLES)

    def one_input(data: bytes) -> None:
        chosen, content = (data[0] if data else 0) % (len(kinds) + 1), data[1:]
        if chosen < len(kinds):
            assert land_alone(kinds[chosen], content).holds_together(), kinds[chosen]
            return
        try:
            load_token_sheets({"prices/tokens/house.yml": content.decode(errors="replace")})
        except NanodollarError:
            return

    corpus = Path(tempfile.mkdtemp(prefix="nanodollar-fuzz-"))
    sheets = sorted(Path("data/prices/tokens").glob("*.yml"), key=lambda file: file.stat().st_size)[:5]
    seeds = {kind: b"\n".join(lines_of(kind)[:3]) for kind in kinds}
    for number, kind in enumerate(kinds):
        (corpus / kind).write_bytes(bytes([number]) + seeds[kind][: _LONGEST - 1])
    for sheet in sheets:
        (corpus / sheet.name).write_bytes(bytes([len(kinds)]) + sheet.read_bytes()[: _LONGEST - 1])
    print(f"fuzz: {len(kinds)} kinds and token sheets; corpus and faults in {corpus}", flush=True)
    options = {
        "max_total_time": 60 * minutes,
        "max_len": _LONGEST,
        "timeout": _SLOWEST_SECONDS,
        "rss_limit_mb": _MOST_MB,
        "print_final_stats": 1,
        "artifact_prefix": f"{corpus}/fault-",
    }
    atheris.Setup(
        [sys.argv[0], str(corpus), *(f"-{name}={value}" for name, value in options.items())], one_input
    )
    atheris.Fuzz()
