"""The command line. Every error is one sentence, never a traceback."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from contract.errors import DigitstreamError
from digitstream import flags, terminal
from digitstream.commands import (
    accounts,
    broker,
    dead_letters,
    demo,
    doctor,
    drill,
    history,
    models,
    programs,
    score,
    status,
)
from keras2dml import Keras2DMLError

# The exit code after Ctrl-C.
_INTERRUPTED = 130

app = typer.Typer(
    name="digitstream",
    help="Scores streams of sensor images with Keras models compiled to Apache SystemDS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich would take [default: ...] for markup, and draw boxes into pipes.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(short_help="Train, stream, score and report, end to end.")(demo.demo)
app.add_typer(broker.app, name="broker")
app.command(short_help="Train LeNet on SystemDS and register it.")(programs.train)
app.command(short_help="Send images as simulated devices.")(programs.produce)
app.command(short_help="Score readings as they arrive.")(score.score)
app.command(short_help="Show whether scoring runs and how far it is behind.")(status.status)
app.command(short_help="Archive the topics in Delta tables.")(history.archive)
app.add_typer(models.app, name="models")
app.command(short_help="Check that each reading has one answer.")(accounts.reconcile)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(history.tables, name="tables")
app.command(short_help="Query the tables in SQL.")(history.sql)
app.command(short_help="Cause a failure on purpose, and check the outcome.")(drill.drill)
app.command(short_help="Check this machine and the data folder.")(doctor.doctor)


def main() -> None:
    """Run a command. An error that the user can fix is one sentence, with exit code 1."""
    terminal.begin()
    logging.getLogger().addFilter(_is_ours)
    try:
        command()()
    except (DigitstreamError, Keras2DMLError) as error:
        terminal.complain(error)
        sys.exit(1)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            terminal.complain(KeyboardInterrupt("Stopped."))
        raise


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a log record is not py4j's, which logs a traceback when Ctrl-C ends a call."""
    return "py4j" not in Path(record.pathname).parts


def command() -> Any:
    """The whole command line; every command takes --verbose and --quiet."""
    root = typer.main.get_command(app)
    volume, version = (typer.main.get_command(shared).params for shared in (_volume, _version))
    for subcommand in _commands(root):
        subcommand.params += volume
    root.params += version
    return root


_volume, _version = (typer.Typer(add_completion=False) for _ in range(2))


@_volume.command(context_settings={"help_option_names": []})
def _set_volume(verbose: flags.Verbose = False, quiet: flags.Quiet = False) -> None:
    """Options of every command."""


@_version.command(context_settings={"help_option_names": []})
def _show_version(version: flags.Version = False) -> None:
    """Options of `digitstream` itself."""


def _commands(command: Any) -> Iterator[Any]:
    """A command and all below it."""
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from _commands(below)
