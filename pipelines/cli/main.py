"""nanodollar: one command per file of this folder; an error is one sentence."""

import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

import click

import pipelines.cli
from models.errors import ConfigurationError, NanodollarError
from pipelines.project import SETTINGS_FILE, Project, find_project


class Context:
    """What every command gets: the project, opened when it is asked for."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def project(self) -> Project:
        return find_project(self._folder)

    def project_here(self) -> Project | None:
        """Return the project that is named or that this folder is; None where a command can do without."""
        is_named = self._folder is not None or bool(os.environ.get("NANODOLLAR_PROJECT"))
        return self.project() if is_named or Path(SETTINGS_FILE).exists() else None


class _Commands(click.Group):
    """Find commands by the folder's listing, and import only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        names = [item.name for item in pkgutil.iter_modules(pipelines.cli.__path__)]
        return sorted(name for name in names if name not in {"main", "progress"})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module: Any = importlib.import_module(f"pipelines.cli.{cmd_name}")
        command: click.Command = module.command
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--project", "folder", type=click.Path(path_type=Path), help="Project folder.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="nanodollar")
@click.pass_context
def cli(ctx: click.Context, folder: Path | None, debug: bool) -> None:
    """Know what every LLM token really cost."""
    del debug  # read by main(), which turns errors into sentences
    ctx.obj = Context(folder)


def main() -> None:
    """Run a command: exit 0 done, 1 a check or a run failed, 2 wrong usage or configuration."""
    # --debug is heard wherever it stands, as people add it to the end of what has just failed.
    debug = "--debug" in sys.argv
    try:
        cli([word for word in sys.argv[1:] if word != "--debug"], standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except ConfigurationError as error:
        _fail(error, 2, debug=debug)
    except NanodollarError as error:
        _fail(error, 1, debug=debug)
    except Exception as error:  # noqa: BLE001
        _fail(error, 1, debug=debug, hint=" Run again with --debug to see where.")


def _fail(error: Exception, code: int, *, debug: bool, hint: str = "") -> None:
    if debug:
        raise error
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    click.echo(f"Error: {first}{hint}", err=True)
    sys.exit(code)
