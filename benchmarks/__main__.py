"""Every benchmark of this folder, one after another: each prints ratios against a named peer in the same run."""

import importlib
import pkgutil
import sys

import benchmarks


def main() -> None:
    wanted = set(sys.argv[1:])
    for item in pkgutil.iter_modules(benchmarks.__path__):
        if item.name.startswith("bench_") and (not wanted or item.name.removeprefix("bench_") in wanted):
            importlib.import_module(f"benchmarks.{item.name}").main()


main()
