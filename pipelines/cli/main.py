"""nanodollar: one command per file of this folder; an error is one sentence."""

import difflib
import importlib
import itertools
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

import click

import pipelines.cli
from pipelines.cli.json_lines import JsonLines, is_wanted
from pipelines.cli.wording import explained
from pipelines.masking import MaskedStream
from pipelines.project import Project, find_project
from pipelines.settings import SETTINGS_FILE

_NO_COMMANDS = frozenset({"dates", "json_lines", "main", "ports", "progress", "shell_words", "wording"})
"""Files of this folder that commands share."""
_INTERRUPTED = "Query interrupted"
"""What DuckDB says in Python when Ctrl-C ends a query."""


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
        return sorted(name for name in names if name not in _NO_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module: Any = importlib.import_module(f"pipelines.cli.{cmd_name}")
        command: click.Command = module.command
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--project", "folder", type=click.Path(path_type=Path), help="Project folder.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, for a report to the developers.")
@click.version_option(package_name="nanodollar")
@click.pass_context
def cli(ctx: click.Context, folder: Path | None, debug: bool) -> None:
    """Know what every LLM token really cost."""
    del debug  # taken out by main(), which turns errors into sentences
    ctx.obj = Context(folder)


def main() -> None:
    """Run a command: exit 0 done, 1 a check or a run failed, 2 wrong usage or configuration, 130 interrupted."""
    words, is_debugging = _options_anywhere(sys.argv[1:])
    with _masked_streams(), _private_files():
        try:
            if is_wanted():
                sys.stderr = cast("TextIO", JsonLines(sys.stderr))
            cli(words, standalone_mode=False)
        except click.ClickException as error:
            error.show()
            if (hint := _meant(error)) is not None:
                click.echo(hint, err=True)
            sys.exit(2)
        except (click.Abort, KeyboardInterrupt):
            _stop()
        except BrokenPipeError:
            # Whoever reads the output, such as `head`, has enough; nothing is left to be flushed to them.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.exit(0)
        except Exception as error:  # noqa: BLE001
            if str(error) == _INTERRUPTED:
                _stop()
            if is_debugging:
                click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
            code, sentence = explained(error)
            click.echo(f"Error: {sentence}", err=True)
            sys.exit(code)


def _stop() -> NoReturn:
    click.echo("Stopped. What was committed stays; the same command goes on from there.", err=True)
    sys.exit(130)


def _options_anywhere(words: list[str]) -> tuple[list[str], bool]:
    """Move --project and its folder to the front and take --debug out: both are heard before and after the command."""
    front: list[str] = []
    rest: list[str] = []
    is_debugging = False
    pending = iter(words)
    for word in pending:
        if word == "--":
            rest += [word, *pending]
        elif word == "--debug":
            is_debugging = True
        elif word == "--project":
            front += [word, *itertools.islice(pending, 1)]
        elif word.startswith("--project="):
            front.append(word)
        else:
            rest.append(word)
    return [*front, *rest], is_debugging


@contextmanager
def _masked_streams() -> Iterator[None]:
    """Let no secret through to the terminal or a file that the output goes to."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast("TextIO", MaskedStream(out)), cast("TextIO", MaskedStream(err))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


@contextmanager
def _private_files() -> Iterator[None]:
    """Make what a command writes readable for its user only: logs and costs name tenants, keys and prices."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _meant(error: click.ClickException) -> str | None:
    """Return what was probably meant by a word that click does not know."""
    typed = re.search(r"'([^']*)'", error.message)
    context = getattr(error, "ctx", None)
    param = getattr(error, "param", None)
    known: list[str] = []
    if typed and error.message.startswith("No such command") and context is not None:
        known = context.command.list_commands(context)
    elif typed and param is not None and isinstance(param.type, click.Choice):
        known = [str(choice) for choice in param.type.choices]
    near = difflib.get_close_matches(typed[1], known, 1) if typed else []
    if "did you mean" in error.format_message().lower() or not known:
        return None
    return f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}."
