"""LiteLLM-shaped JSONL to marts, against a bare DuckDB scan of the same bytes and against SQL written by hand.

Two sizes are run, the one a fifth of the other: what they differ by is what a row costs, apart from what any run costs.

python -m benchmarks pipeline      NANODOLLAR_BENCH_ROWS=1000000 for another size
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import STEPS_SHOWN, Measured, Stages, machine, measured, run_by_stage

ROWS = int(os.environ.get("NANODOLLAR_BENCH_ROWS", "1000000"))
DAYS = 7
TARGET_RATIO = 12.0
TARGET_RATE = 200_000
"""Rows a second from landed rows to marts, checks on."""
TARGET_MIB = 2_500
GATEWAY_SHARE = 0.57
"""Share of the sample company's calls that its gateway logs."""

_SCAN = """
SELECT count(*), sum(prompt_tokens), sum(completion_tokens), sum(spend), max(length(metadata)), max("endTime"),
       count(DISTINCT model)
FROM read_json('{glob}', format = 'newline_delimited', ignore_errors = true, columns = {{
  request_id: 'VARCHAR', call_type: 'VARCHAR', api_key: 'VARCHAR', spend: 'DOUBLE', total_tokens: 'BIGINT',
  prompt_tokens: 'BIGINT', completion_tokens: 'BIGINT', "startTime": 'VARCHAR', "endTime": 'VARCHAR',
  "completionStartTime": 'VARCHAR', model: 'VARCHAR', model_group: 'VARCHAR', model_id: 'VARCHAR',
  custom_llm_provider: 'VARCHAR', api_base: 'VARCHAR', "user": 'VARCHAR', team_id: 'VARCHAR', end_user: 'VARCHAR',
  organization_id: 'VARCHAR', cache_hit: 'VARCHAR', request_tags: 'VARCHAR', session_id: 'VARCHAR',
  status: 'VARCHAR', metadata: 'VARCHAR'}})
"""


def scan(glob: str) -> int:
    import duckdb

    con = duckdb.connect()
    con.execute("SET enable_progress_bar = false")
    row = con.execute(_SCAN.format(glob=glob)).fetchone()
    return int(row[0]) if row else 0


def rival(folder: Path) -> tuple[int, int]:
    """Compute the hourly mart by hand-written SQL, and return how many cells there are and how many equal ours."""
    from benchmarks.sql_rival import by_hour, equal_cells
    from pipelines.project import find_project
    from pipelines.warehouse.connect import connect_read_only

    with connect_read_only(find_project(folder)) as con:
        return equal_cells(con, by_hour(con))


@dataclass(frozen=True)
class Run:
    """The pipeline over so many rows, and its peers over the same."""

    rows: int
    bytes: int
    bare: Measured
    ours: Stages
    by_hand: Measured

    def cpu(self, *stages: str) -> float:
        return sum(self.ours.cpu[stage] for stage in stages)

    def wall(self, *stages: str) -> float:
        return sum(self.ours.wall[stage] for stage in stages)


COMPUTED = ("facts", "marts", "checks")


def run_of(rows: int) -> Run:
    """Write a fleet's gateway logs of about so many rows, and run the pipeline and its peers on them."""
    from pipelines.samples import write_fleet

    folder = Path(tempfile.mkdtemp(prefix="nanodollar-bench-"))
    try:
        write_fleet(folder, days=DAYS, requests_per_day=int(rows / GATEWAY_SHARE) // DAYS)
        for other in ("sdk", "fleet", "replicas"):
            shutil.rmtree(folder / "landing" / other, ignore_errors=True)
        # The SQL by hand knows list prices alone.
        (folder / "contracts.yml").unlink(missing_ok=True)
        settings = folder / "nanodollar.toml"
        head, _, rest = settings.read_text().partition("[[sources]]")
        gateway = next(part for part in rest.split("[[sources]]") if "litellm_spend_logs" in part)
        settings.write_text(f"{head}[[sources]]{gateway}")
        files = (folder / "landing" / "gateway").rglob("*.jsonl*")
        bare = measured(scan, f"{folder}/landing/gateway/**/*.jsonl*")
        return Run(
            rows=bare.result,
            bytes=sum(file.stat().st_size for file in files),
            bare=bare,
            ours=run_by_stage(folder),
            by_hand=measured(rival, folder),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tell(run: Run) -> None:
    """Print a run with all that it costs, whatever the number of rows."""
    ours, bare, by_hand = run.ours, run.bare, run.by_hand
    print(f"pipeline: {run.rows:,} LiteLLM rows, {run.bytes / 1e6:,.0f} MB, {machine()}")
    print(f"  bare DuckDB read_json scan    {bare.seconds:7.2f} s  {bare.peak_mib:7.0f} MiB")
    print(
        f"  logs to marts, with checks    {run.wall('landing', *COMPUTED):7.2f} s  {ours.peak_mib:7.0f} MiB"
    )
    print(f"  the whole run                 {ours.cpu_seconds:7.2f} s of processor: {ours.shares()}")
    print(f"    of which                    {ours.parts()}")
    peaks = ", ".join(f"{stage} {peak:,.0f}" for stage, peak in ours.peaks.items())
    print(f"    most MiB by the end of      {peaks} (target at most {TARGET_MIB:,})")
    cells, equal = by_hand.result
    print(f"  landed to hours, SQL by hand  {by_hand.seconds:7.2f} s  {by_hand.peak_mib:7.0f} MiB")
    print(f"    cells that are equal        {equal:,} of {cells:,}")


def tell_rows(small: Run, large: Run) -> None:
    """Print what a row costs: what two runs differ by, so that what any run costs is in neither figure."""
    rows = large.rows - small.rows
    print(f"a row, by the {rows:,} rows that the runs differ by:")
    shares = ", ".join(
        f"{stage} {(large.ours.cpu[stage] - small.ours.cpu[stage]) * 1e6 / rows:.1f}"
        for stage in ("landing", *COMPUTED, "report", "publish")
    )
    print(f"  microseconds of processor     {shares}")
    steps = {
        step: (spent - small.ours.steps.get(step, 0.0)) * 1e6 / rows
        for step, spent in large.ours.steps.items()
    }
    most = sorted(steps.items(), key=lambda item: -item[1])[:STEPS_SHOWN]
    print(f"    of which                    {', '.join(f'{step} {spent:.1f}' for step, spent in most)}")
    computed = large.cpu(*COMPUTED) - small.cpu(*COMPUTED)
    whole = computed + large.cpu("landing") - small.cpu("landing")
    bare = large.bare.cpu_seconds - small.bare.cpu_seconds
    by_hand = large.by_hand.cpu_seconds - small.by_hand.cpu_seconds
    print(f"  logs to marts, to a bare scan {whole / bare:7.2f} x (target at most {TARGET_RATIO:.0f} x)")
    print(f"  landed to marts, SQL by hand  {computed / by_hand:7.2f} x, for all tables and checks")
    seconds = large.wall(*COMPUTED) - small.wall(*COMPUTED)
    print(
        f"  landed rows to marts          {rows / seconds:7,.0f} rows a second (target at least {TARGET_RATE:,}); "
        f"{rows * (os.cpu_count() or 1) / computed:,.0f} with all cores busy"
    )


def main() -> None:
    small, large = run_of(ROWS // 5), run_of(ROWS)
    tell(large)
    tell_rows(small, large)
