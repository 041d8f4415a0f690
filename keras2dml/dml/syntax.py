"""DML's syntax, which only this module knows, and access to the function library in `dml/`."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from keras2dml.errors import InvalidGraph
from keras2dml.graph import Scalar
from keras2dml.printable import printable

_FUNCTION = re.compile(
    r"(?P<comment>(?:^#[^\n]*\n)*)"
    r"^(?P<name>\w+) = function\((?P<arguments>[^)]*)\)\s*return \((?P<results>[^)]*)\) \{\n"
    r".*?^\}$",
    re.MULTILINE | re.DOTALL,
)
_BEGUN = re.compile(r"^\s*(\w+)\s*=\s*function\b", re.MULTILINE)
_CALLED = re.compile(r"\b(\w+)\(")
_EXTREME, _FUSED = re.compile(r"\b(?:max|min)\("), re.compile(r"\b(?:max|min|max_pool)\(")
_PARAMETER = re.compile(r"(matrix\[double\]|double|integer|boolean) (\w+)")


BATCH_FUNCTIONS = ("step", "evaluate", "score")
OWN = (*BATCH_FUNCTIONS, "check", "gradients", "aggregation")
"""The functions that scripts have of their own, which no other may be called."""


@dataclass(frozen=True)
class Function:
    """A library function: the names of its parameters and results, and its text."""

    name: str
    arguments: tuple[str, ...]
    results: tuple[str, ...]
    text: str


_DEFINED: dict[str, Function] = {}


@cache
def library() -> Mapping[str, Function]:
    """All functions by name: those of this package, and those added by `define`."""
    return ChainMap(_DEFINED, dict(_shipped()))


@cache
def _shipped() -> Mapping[str, Function]:
    """The functions of this package's `.dml` files."""
    files = sorted(
        resources.files("keras2dml").joinpath("dml").iterdir(), key=lambda file: file.name
    )
    texts = (file.read_text(encoding="utf-8") for file in files if file.name.endswith(".dml"))
    return {function.name: function for text in texts for function in functions(text)}


def define(source: str | Path) -> None:
    """Add the functions in DML text, or in the file at a Path, to those that rules may call;
    replaces functions that were defined before.

    Raises InvalidGraph for a function with the name of one of this package, or in another form.
    """
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    definitions = {definition.name: definition for definition in functions(text)}
    unread = [name for name in _BEGUN.findall(text) if name not in definitions]
    if unread or not definitions:
        message = (
            f"{', '.join(unread) or 'No function'} could be read. Write each as 'name ="
            " function(matrix[double] X, integer C) return (matrix[double] out) {', with the types"
            " matrix[double], double, integer and boolean, and its last '}' on a separate line."
        )
        raise InvalidGraph(message)
    clashes = sorted(definitions.keys() & {*_shipped(), *OWN})
    if clashes:
        message = f"keras2dml has {', '.join(clashes)} already: give your functions other names."
        raise InvalidGraph(message)
    _DEFINED.update(definitions)


def functions(text: str) -> Iterable[Function]:
    """The functions defined in DML source in the library's form."""
    for match in _FUNCTION.finditer(text):
        arguments, results = (
            tuple(name for _, name in _PARAMETER.findall(match[part]))
            for part in ("arguments", "results")
        )
        if _fully(match["arguments"], arguments) and _fully(match["results"], results):
            yield Function(match["name"], arguments, results, match[0].lstrip("\n"))


def _fully(declared: str, names: Sequence[str]) -> bool:
    """Whether every declared parameter has a known type."""
    return len(names) == declared.count(",") + bool(declared.strip())


def function(name: str) -> Function:
    """The library function of this name; raises InvalidGraph if there is none."""
    try:
        return library()[name]
    except KeyError:
        message = (
            f"The DML library has no function {name!r}: give its text to keras2dml.define(), or"
            " put it into a file in keras2dml/dml/."
        )
        raise InvalidGraph(message) from None


def call(name: str, results: Sequence[str], arguments: Mapping[str, str]) -> str:
    """A statement that calls a library function with arguments by name."""
    target = function(name)
    missing = [argument for argument in target.arguments if argument not in arguments]
    if missing:
        message = f"{name} takes {', '.join(missing)}, which its rule does not give."
        raise InvalidGraph(message)
    bound = ", ".join(f"{argument}={arguments[argument]}" for argument in target.arguments)
    left = results[0] if len(results) == 1 else f"[{', '.join(results)}]"
    return f"{left} = {name}({bound})"


def script(
    header: Sequence[str],
    statements: Iterable[str],
    body: Sequence[str],
    own: Iterable[str] = (),
) -> str:
    """A script: comments, the library functions that `statements` call, functions of its `own`, and
    its body, which has these statements or calls functions that have them.
    """
    texts = [*(function(name).text for name in with_called(called(statements))), *own]
    return "\n\n".join([comments(header), *texts, "\n".join(body)]) + "\n"


def comments(lines: Iterable[str]) -> str:
    """Lines of comments. Unprintable characters are escaped, so that no name in them can end its
    line.
    """
    return "\n".join(f"# {printable(line)}".rstrip() for line in lines)


def called(statements: Iterable[str]) -> list[str]:
    """The library functions that statements call, in their order."""
    present = library()
    names = (name for statement in statements for name in _CALLED.findall(statement))
    return [name for name in names if name in present]


def with_called(names: Iterable[str]) -> list[str]:
    """These functions and the library functions that they call, each once and before its
    callers.
    """
    ordered: dict[str, None] = {}
    for name in names:
        named = {*_CALLED.findall(function(name).text)} - {name}
        called = sorted(other for other in named if other in library())
        ordered |= dict.fromkeys([*with_called(called), name])
    return list(ordered)


def makes_extremes(name: str) -> bool:
    """Whether a function, or one that it calls, computes a maximum or a minimum."""
    return any(_EXTREME.search(function(called).text) for called in with_called([name]))


def takes_extremes(name: str) -> bool:
    """Whether SystemDS fuses part of the function, or of its gradient, with a preceding maximum or
    minimum.
    """
    return any(_FUSED.search(function(called).text) for called in with_called([name]))


def block(head: str, body: Iterable[str]) -> list[str]:
    """`head { body }`, indented."""
    return [f"{head} {{", *(f"  {line}".rstrip() for line in body), "}"]


def identifier(name: str) -> str:
    """`name` with characters replaced that DML does not allow in an identifier."""
    cleaned = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_")
    return cleaned if cleaned[:1].isalpha() else f"layer_{cleaned}"


def literal(value: Scalar | tuple[float, ...]) -> str:
    """A number as a DML literal, exact to the last bit; several numbers as a row."""
    if isinstance(value, tuple):
        return f"matrix({quoted(' '.join(map(repr, value)))}, rows=1, cols={len(value)})"
    return str(value).upper() if isinstance(value, bool) else repr(value)


def shape(sizes: Sequence[int]) -> str:
    """A shape for a comment."""
    return " x ".join(map(str, sizes))


def write(variable: str, file: Path, kind: str) -> str:
    """A statement that writes a matrix to a local file, in SystemDS' format `kind`."""
    return f"write({variable}, {quoted(f'file:{file}')}, format={quoted(kind)})"


def read(variable: str, file: Path) -> str:
    """A statement that reads a matrix from a local file that `write` wrote."""
    return f"{variable} = read({quoted(f'file:{file}')})"


def quoted(value: str) -> str:
    """A string as a DML literal."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
