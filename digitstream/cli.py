"""The command line: one sentence for each thing that goes wrong, never a traceback."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import typer

from contract.errors import DigitstreamError
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
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.add_typer(broker.app, name="broker")
app.command()(programs.train)
app.command()(programs.produce)
app.command()(programs.score)
app.command()(status.status)
app.command()(history.archive)
app.add_typer(models.app, name="models")
app.command()(accounts.reconcile)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(history.tables, name="tables")
app.command()(history.sql)
app.command()(drill.drill)
app.command()(doctor.doctor)


def main() -> None:
    """Run a command; what a user can mend is told in one sentence, with exit code 1."""
    logging.getLogger().addFilter(_is_ours)
    try:
        app()
    except (DigitstreamError, Keras2DMLError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            sys.stderr.write("Stopped.\n")
        raise


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line of the log is worth showing: py4j logs a trace when Ctrl-C ends a call."""
    return "py4j" not in Path(record.pathname).parts
