"""LiteLLM-shaped JSONL to marts, against a bare DuckDB scan of the same bytes and against SQL written by hand.

python -m benchmarks pipeline      NANODOLLAR_BENCH_ROWS=1000000 for another size
"""

import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.measure import machine, measured, run_by_stage

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

    row = duckdb.connect().execute(_SCAN.format(glob=glob)).fetchone()
    return int(row[0]) if row else 0


def rival(folder: Path) -> tuple[int, int]:
    """Compute the hourly mart by hand-written SQL, and return how many cells there are and how many equal ours."""
    from benchmarks.sql_rival import by_hour, equal_cells
    from pipelines.project import find_project
    from pipelines.warehouse.connect import connect_read_only

    with connect_read_only(find_project(folder)) as con:
        return equal_cells(con, by_hour(con))


def main() -> None:
    from pipelines.samples import write_fleet

    folder = Path(tempfile.mkdtemp(prefix="nanodollar-bench-"))
    try:
        write_fleet(folder, days=DAYS, requests_per_day=int(ROWS / GATEWAY_SHARE) // DAYS)
        for other in ("sdk", "fleet", "replicas"):
            shutil.rmtree(folder / "landing" / other, ignore_errors=True)
        settings = folder / "nanodollar.toml"
        head, _, rest = settings.read_text().partition("[[sources]]")
        gateway = next(part for part in rest.split("[[sources]]") if "litellm_spend_logs" in part)
        settings.write_text(f"{head}[[sources]]{gateway}")
        files = list((folder / "landing" / "gateway").rglob("*.jsonl*"))
        size = sum(file.stat().st_size for file in files)
        bare = measured(scan, f"{folder}/landing/gateway/**/*.jsonl*")
        ours = run_by_stage(folder)
        computed = ours.wall["facts"] + ours.wall["marts"] + ours.wall["checks"]
        seconds = ours.wall["landing"] + computed
        spent = sum(ours.cpu[stage] for stage in ("landing", "facts", "marts", "checks"))
        print(f"pipeline: {bare.result:,} LiteLLM rows, {size / 1e6:,.0f} MB, {machine()}")
        print(f"  bare DuckDB read_json scan    {bare.seconds:7.2f} s  {bare.peak_mib:7.0f} MiB")
        print(f"  logs to marts, with checks    {seconds:7.2f} s  {ours.peak_mib:7.0f} MiB")
        print(
            f"  ratio                         {seconds / bare.seconds:7.2f} x (target at most {TARGET_RATIO:.0f} x)"
        )
        print(f"  the same of processor seconds {spent / bare.cpu_seconds:7.2f} x")
        rate = bare.result / computed
        print(f"  landed rows to marts          {rate:7,.0f} rows a second (target at least {TARGET_RATE:,})")
        print(f"  the whole run                 {ours.cpu_seconds:7.2f} s of processor: {ours.shares()}")
        print(f"    of which                    {ours.parts()}")
        peaks = ", ".join(f"{stage} {peak:,.0f}" for stage, peak in ours.peaks.items())
        print(f"    most MiB by the end of      {peaks} (target at most {TARGET_MIB:,})")
        by_hand = measured(rival, folder)
        cells, equal = by_hand.result
        print(f"  landed to hours, SQL by hand  {by_hand.seconds:7.2f} s  {by_hand.peak_mib:7.0f} MiB")
        print(f"    cells that are equal        {equal:,} of {cells:,}")
        print(
            f"  ratio to it                   {computed / by_hand.seconds:7.2f} x; of processor seconds "
            f"{(spent - ours.cpu['landing']) / by_hand.cpu_seconds:.2f} x, for all tables and checks"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
