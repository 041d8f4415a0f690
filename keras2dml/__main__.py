"""`python -m keras2dml`: a Keras model's file compiled to programs for SystemDS' command line, and
what of Keras is compiled.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from keras2dml.backend import check_backend
from keras2dml.errors import InvalidData, Keras2DMLError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; what a user can mend is told in a sentence, with exit code 1."""
    given = _parser().parse_args(arguments)
    try:
        given.command(given)
    except Keras2DMLError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m keras2dml", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser(
        "compile", help="write score.dml, train.dml and the weights of a Keras model"
    )
    one.add_argument("model", type=Path, help="a .keras or .h5 file that model.save() wrote")
    one.add_argument("-o", "--out", type=Path, required=True, help="the folder to write into")
    one.add_argument("--force", action="store_true", help="write although the folder holds files")
    one.add_argument(
        "--iterations",
        type=int,
        default=10_000,
        help="training steps to write learning rates for, where they change (10000)",
    )
    one.add_argument(
        "--input-shape",
        type=_sizes,
        action="append",
        metavar="C,H,W",
        help="the sizes of an input that the model leaves open, as T,D of sequences; of several"
        " inputs once for each, in their order",
    )
    one.set_defaults(command=compile_model)
    page = commands.add_parser("support", help="print what of Keras is compiled, as Markdown")
    page.set_defaults(command=support)
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def support(_: argparse.Namespace) -> None:
    """`support`. Raises NoBackend."""
    check_backend()
    from keras2dml.support import page  # noqa: PLC0415

    sys.stdout.write(page())


def compile_model(given: argparse.Namespace) -> None:
    """`compile`. Raises InvalidData, NoBackend, UnsupportedModel."""
    out: Path = given.out
    if out.exists() and not out.is_dir():
        message = f"{out} is a file: give -o a folder."
        raise InvalidData(message)
    if out.is_dir() and any(out.iterdir()) and not given.force:
        message = f"The folder {out} is not empty: give another one, or --force."
        raise InvalidData(message)
    if given.iterations < 1:
        message = f"--iterations is {given.iterations}: give a whole number of 1 or more."
        raise InvalidData(message)
    check_backend()
    model = _loaded(given.model)

    from keras2dml.compilation import Compilation  # noqa: PLC0415
    from keras2dml.session import systemds_jar  # noqa: PLC0415
    from keras2dml.standalone import Programs  # noqa: PLC0415

    compilation = Compilation.of(model, input_shape=given.input_shape)
    compilation.scores()
    compilation.trains()
    programs = Programs.of(compilation, given.iterations)
    jar = systemds_jar()
    programs.save(out)
    sys.stdout.write(
        f"Wrote {out}/score.dml, {out}/train.dml and {out}/weights. To score and to train with Java"
        f" 17, from files of rows:\n\ncd {quote(str(out))}\n"
        f"{programs.scoring.command(jar)}\n{programs.training.command(jar)}\n"
    )


def _loaded(path: Path) -> Any:
    """The Keras model of a file."""
    if not path.is_file():
        message = f"There is no file {path}: give one that model.save() wrote."
        raise InvalidData(message)
    import keras  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # Of an optimizer that has made no step yet: it has no state to load.
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            return keras.models.load_model(path)
    except (ValueError, OSError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        message = f"{path} holds no Keras model ({reason}): give a file that model.save() wrote."
        raise InvalidData(message) from error


if __name__ == "__main__":
    sys.exit(main())
