"""Parses Caffe's files, and finds what is not compiled: unknown fields by their lines, and fields
that would change the computation by their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError

from keras2dml.caffe.messages import ENUMS, MESSAGES
from keras2dml.errors import InvalidData

_TOKEN = re.compile(
    r"#[^\n]*"
    r"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    r"|[^\s{}<>\[\]:;,\"'#]+"
    r"|[{}<>\[\]:]"
)


class Parsed(NamedTuple):
    """A message, with complaints about unknown fields."""

    message: Any
    complaints: list[str]


@cache
def message(name: str) -> Any:
    """The class of a message by its name."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"caffe.{name}"))


def parsed(path: Path, name: str) -> Parsed:
    """The message in a text file. Raises InvalidData if the file does not hold one."""
    text = _content(path).decode("utf-8", errors="replace")
    try:
        read = text_format.Parse(text, message(name)(), allow_unknown_field=True)
    except text_format.ParseError as error:
        reason = f"{path} cannot be parsed: {error}. Correct that line."
        raise InvalidData(reason) from error
    unknown = [
        f"Line {line} of {path.name} has {field!r}, which is not a field of Caffe's {kind}: leave"
        " it out, or correct its name."
        for line, field, kind in _unknown(text, name)
    ]
    return Parsed(read, unknown)


def weights(path: Path) -> Any:
    """The network in a `.caffemodel`. Raises InvalidData if the file does not hold one."""
    try:
        return message("Net").FromString(_content(path))
    except DecodeError as error:
        reason = f"{path} holds no Caffe weights ({error}): give a .caffemodel."
        raise InvalidData(reason) from error


def refused(parent: Any, prefix: str = "") -> Iterator[str]:
    """The qualified names of fields that are set to values that are not compiled."""
    for field, value in parent.ListFields():
        name = f"{prefix}{field.name}"
        if (parent.DESCRIPTOR.name, field.name) in _refused() and value != field.default_value:
            yield name
        elif field.type == field.TYPE_MESSAGE:
            for part in value if field.is_repeated else [value]:
                yield from refused(part, f"{name}.")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = f"{path} cannot be read ({error.strerror}): give the path of a Caffe file."
        raise InvalidData(reason) from error


def _unknown(text: str, name: str) -> Iterator[tuple[int, str, str]]:
    """The fields of a text that its message does not have: line, name and message of each. Skips
    what an unknown field holds, and Caffe's oldest form of layers.
    """
    stack = [message(name).DESCRIPTOR]
    field, expects = None, "name"
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token.startswith("#") or token == ":":
            continue
        if token in "{<":
            inside = field.message_type if field is not None else None
            stack.append(None if inside is None or inside.name == "V0Layer" else inside)
            expects = "name"
        elif token in "}>":
            stack = stack[:-1] or stack
            expects = "name"
        elif token == "[":
            expects = "list"
        elif token == "]":
            expects = "name"
        elif expects == "name" and token[0] not in "\"'":
            field = stack[-1].fields_by_name.get(token) if stack[-1] is not None else None
            if field is None and stack[-1] is not None:
                line = text.count("\n", 0, match.start()) + 1
                yield line, token, stack[-1].name
            expects = "value"
        elif expects == "value":
            expects = "name"


@cache
def _refused() -> frozenset[tuple[str, str]]:
    """The fields that are marked with `!` in the table, by message and name."""
    return frozenset(
        (line.split()[0], field.split(":")[1][1:])
        for line in MESSAGES.strip().splitlines()
        for field in line.split()[1:]
        if field.split(":")[1].startswith("!")
    )


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return pool


def _file() -> descriptor_pb2.FileDescriptorProto:
    """The description of all messages and enumerations."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for name, values in ENUMS.items():
        # Inside a message, so that values of two enumerations may have the same name.
        kind = file.message_type.add(name=f"{name}Values").enum_type.add(name=name)
        for place, value in enumerate(values.split()):
            label, _, number = value.partition(":")
            kind.value.add(name=label, number=int(number or place))
    for line in MESSAGES.strip().splitlines():
        name, *fields = line.split()
        described = file.message_type.add(name=name)
        for field in fields:
            _field(described, field)
    return file


def _field(described: descriptor_pb2.DescriptorProto, text: str) -> None:
    number, name, kind = text.split(":")
    kind, _, default = kind.partition("=")
    bare = kind.rstrip("*+")
    proto = descriptor_pb2.FieldDescriptorProto
    field = described.field.add(name=name.lstrip("!"), number=int(number))
    field.label = proto.LABEL_OPTIONAL if bare == kind else proto.LABEL_REPEATED
    field.options.packed = kind.endswith("+")
    if bare in ENUMS:
        field.type, field.type_name = proto.TYPE_ENUM, f".caffe.{bare}Values.{bare}"
    elif bare[0].isupper():
        field.type, field.type_name = proto.TYPE_MESSAGE, f".caffe.{bare}"
    else:
        field.type = getattr(proto, f"TYPE_{bare.upper()}")
    if default:
        field.default_value = default
