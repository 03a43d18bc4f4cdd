"""How many planted routing mistakes are found, by kind and rate, and how near their dollars are.

python -m benchmarks planted_routes      NANODOLLAR_BENCH_CALLS=10000 calls a kind by default
"""

import os

CALLS = int(os.environ.get("NANODOLLAR_BENCH_CALLS", "10000"))
SHARES = (0.0, 0.002, 0.02, 0.1)
SEEDS = 3


def main() -> None:
    import polars as pl

    from benchmarks.planted_routes import planted, scores

    print(f"planted routing mistakes: {CALLS:,} calls a kind and day, {SEEDS} days at each rate")
    print("| kind | planted of calls | planted | flagged | precision | recall | planted $ | found $ |")
    print("|---|---|---|---|---|---|---|---|")
    for share in SHARES:
        days = pl.concat(
            scores(planted(calls_per_kind=CALLS, share=share, seed=seed)).with_columns(
                pl.col("precision") * pl.col("flagged"), pl.col("recall") * pl.col("planted")
            )
            for seed in range(SEEDS)
        )
        total = days.group_by("kind", maintain_order=True).agg(pl.all().sum())
        for row in total.iter_rows(named=True):
            precision = f"{row['precision'] / row['flagged']:.3f}" if row["flagged"] else "none flagged"
            recall = f"{row['recall'] / row['planted']:.3f}" if row["planted"] else "none planted"
            print(
                f"| {row['kind']} | {share:.1%} | {row['planted']} | {row['flagged']} | {precision} | {recall} "
                f"| {row['planted_usd']:.6f} | {row['found_usd']:.6f} |"
            )
