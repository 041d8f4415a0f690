"""`python -m keras2dml`: compile a saved Keras model to programs for SystemDS' command line, or
print which parts of Keras are compiled.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from keras2dml.backend import check_backend
from keras2dml.errors import InvalidData, Keras2DMLError, UnsupportedModel, writing
from keras2dml.printable import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors that a user can fix are printed as a sentence, with exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except Keras2DMLError as error:
        lines = map(printable, str(error).split("\n"))  # a file's name may hold control characters
        sys.stderr.write("\n".join(lines) + "\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m keras2dml", description=__doc__.removeprefix("`python -m keras2dml`: ")
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    summary = "write score.dml and the weights of a Keras model, and train.dml if it can be trained"
    compiling = commands.add_parser("compile", help=summary, description=summary)
    compiling.add_argument("model", type=Path, help="a .keras or .h5 file that model.save() wrote")
    compiling.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the folder to write into; it is created if it does not exist",
    )
    compiling.add_argument(
        "--force", action="store_true", help="write even if the folder is not empty"
    )
    compiling.add_argument(
        "--iterations",
        type=_count,
        default=10_000,
        metavar="STEPS",
        help="maximum training steps of train.dml, if the learning rate follows a schedule, which"
        " is written out for each step (default: 10000)",
    )
    compiling.add_argument(
        "--input-shape",
        type=_sizes,
        action="append",
        metavar="C,H,W",
        help="the input's sizes without the batch, if the model leaves some open: C,H,W of images,"
        " T,D of sequences; repeat it for each of several inputs, in their order (default: the"
        " model's)",
    )
    compiling.set_defaults(command=compile_model)
    summary = "print which parts of Keras are compiled, as Markdown"
    page = commands.add_parser("support", help=summary, description=summary)
    page.set_defaults(command=print_support)
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError as error:
        message = f"{text!r} is not a list of sizes: give whole numbers with commas, like 3,28,28"
        raise argparse.ArgumentTypeError(message) from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r} is not a number of steps: give a whole number of 1 or more, like 10000"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def print_support(_: argparse.Namespace) -> None:
    """`support`. Raises NoBackend."""
    check_backend()
    from keras2dml.export.support_page import page  # noqa: PLC0415

    sys.stdout.write(page())


def compile_model(options: argparse.Namespace) -> None:
    """`compile`. Raises InvalidData, NoBackend, UnsupportedModel."""
    out: Path = options.out
    if out.exists() and not out.is_dir():
        message = f"{out} is a file: give -o a folder."
        raise InvalidData(message)
    if out.is_dir() and any(out.iterdir()) and not options.force:
        message = f"The folder {out} is not empty: give another one, or --force."
        raise InvalidData(message)
    check_backend()

    from keras2dml.compilation import Compilation  # noqa: PLC0415
    from keras2dml.export.model_files import load  # noqa: PLC0415
    from keras2dml.systemds.session import systemds_jar  # noqa: PLC0415

    compilation = Compilation.of(load(options.model), input_shape=options.input_shape)
    compilation.check_scorable()
    programs = _programs(compilation, options.iterations)
    jar = systemds_jar()
    with writing(out):
        programs.save(out)
    training = programs.training
    files = ("score.dml", "train.dml") if training else ("score.dml",)
    written = ", ".join(f"{out}/{file}" for file in files)
    lines = [
        f"Wrote {written} and {out}/weights. To score {'and to train ' if training else ''}with"
        " Java 17, from files of rows:",
        "",
        f"cd {quote(str(out))}",
        programs.scoring.command(jar),
        *([training.command(jar)] if training else []),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def _programs(compilation: Any, iterations: int) -> Any:
    """The programs of a compilation; says on stderr why there is none for training."""
    from keras2dml.export.programs import Programs  # noqa: PLC0415

    try:
        compilation.check_trainable()
        return Programs.of(compilation, iterations)
    except UnsupportedModel as error:
        reason = " ".join(error.complaints)
    except InvalidData as error:
        reason = str(error)
    sys.stderr.write(printable(f"No train.dml is written: {reason}") + "\n")
    return Programs.of(compilation, iterations, trained=False)


if __name__ == "__main__":
    sys.exit(main())
