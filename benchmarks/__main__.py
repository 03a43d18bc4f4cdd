"""Every benchmark of this folder, one after another: each prints ratios against a named peer in the same run.

`python -m benchmarks torture [ROUNDS]`, `machines [MINUTES]`, `histories [COUNT] [SEED]` and `fuzz [MINUTES]` run what
is named there instead.
"""

import importlib
import pkgutil
import sys

import benchmarks


def main() -> None:
    if sys.argv[1:2] in (["torture"], ["machines"], ["histories"], ["fuzz"]):
        importlib.import_module(f"benchmarks.{sys.argv[1]}").main(*(int(number) for number in sys.argv[2:]))
        return
    wanted = set(sys.argv[1:])
    for item in pkgutil.iter_modules(benchmarks.__path__):
        if item.name.startswith("bench_") and (not wanted or item.name.removeprefix("bench_") in wanted):
            importlib.import_module(f"benchmarks.{item.name}").main()


main()
