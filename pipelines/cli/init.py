"""nanodollar init: a new project folder."""

from pathlib import Path

import click

_FILES = {
    "nanodollar.toml": "nanodollar.toml",
    "routing.yml": "policies/routing.yml",
    "token_prices.yml": "prices/tokens/example.yml.txt",
    "gpu_prices.yml": "prices/gpu/example.yml.txt",
}
"""Template in data/templates -> file of the project. An example sheet is read once its name ends in .yml."""
_NOT_FOR_GIT = ".dagster/ .hash_key .nanodollar.* landing/ reports/ warehouse/"


@click.command(name="init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Make a project folder: settings, an example policy, example price sheets, and a place for your logs."""
    from importlib.resources import files

    from models.errors import ConfigurationError
    from pipelines.settings import SETTINGS_FILE
    from pipelines.written_files import write_schemas

    if (folder / SETTINGS_FILE).exists():
        raise ConfigurationError(
            f"{folder / SETTINGS_FILE} is there already and stays as it is; name another folder."
        )
    templates = files("data") / "templates"
    texts = {target: (templates / name).read_text(encoding="utf-8") for name, target in _FILES.items()}
    texts[".gitignore"] = "".join(f"/{name}\n" for name in _NOT_FOR_GIT.split())
    for target, text in texts.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text, encoding="utf-8")
    write_schemas(folder / "schemas")
    landing = folder / "landing" / "gateway"
    landing.mkdir(parents=True, exist_ok=True)
    click.echo(f"Made a project in {folder}. Next:")
    click.echo(f"  1. put LiteLLM exports (.jsonl or .jsonl.gz) into {landing}")
    click.echo(f"     or describe other sources in {folder / SETTINGS_FILE}")
    click.echo(f"     what ARNs and deployments mean: {folder / 'deployments.yml'} (docs/deployments.md)")
    click.echo(f"  2. nanodollar run --project {folder}")
    click.echo(f'  3. nanodollar sql --project {folder} "FROM mart.cost_per_token_daily LIMIT 5"')
