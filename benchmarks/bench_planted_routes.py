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

    print(f"planted routing mistakes: {CALLS:,} calls a kind and day, {SEEDS} days at each rate;")
    print("planted: precision, recall, dollars found of those planted")
    print(
        "| kind | " + " | ".join("clean" if not share else f"{share:.1%} of calls" for share in SHARES) + " |"
    )
    print("|---" * (len(SHARES) + 1) + "|")
    cells: dict[str, list[str]] = {}
    for share in SHARES:
        days = pl.concat(
            scores(planted(calls_per_kind=CALLS, share=share, seed=seed)).with_columns(
                pl.col("precision") * pl.col("flagged"), pl.col("recall") * pl.col("planted")
            )
            for seed in range(SEEDS)
        )
        for row in days.group_by("kind", maintain_order=True).agg(pl.all().sum()).iter_rows(named=True):
            text = f"{row['flagged']} flagged"
            if row["planted"]:
                usd = f"{row['found_usd'] / row['planted_usd']:.4f}" if row["planted_usd"] else "no regret"
                precision, recall = row["precision"] / row["flagged"], row["recall"] / row["planted"]
                text = f"{row['planted']}: {precision:.3f}, {recall:.3f}, {usd}"
            cells.setdefault(row["kind"], []).append(text)
    for kind, texts in cells.items():
        print(f"| {kind} | " + " | ".join(texts) + " |")
