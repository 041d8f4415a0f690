"""Checks that an ONNX model needs no other file, uses only ONNX's own operators, and terminates.

A tensor may name a file instead of having values, an operator of another domain may be any
extension, including one that reads files, and a Loop runs for as long as its input says.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError, Message

_OWN_DOMAINS = ("", "ai.onnx")
_ENDLESS = "Loop"


class ReachesOutside(ValueError):
    """A model that needs more than its own bytes, or may never terminate."""


def check_self_contained(model: bytes) -> None:
    """Check that these bytes are an ONNX model that needs nothing else and terminates.

    Raises ReachesOutside, which names the offending part, and ValueError if the bytes are not an
    ONNX model.
    """
    from onnx import (  # noqa: PLC0415  (the driver, when it loads a model)
        FunctionProto,
        ModelProto,
        NodeProto,
        TensorProto,
    )

    try:
        parsed = ModelProto.FromString(model)
    except DecodeError as exc:
        message = "its file is not an ONNX model"
        raise ValueError(message) from exc
    for part in _messages(parsed):
        if isinstance(part, TensorProto) and (
            part.data_location == TensorProto.EXTERNAL or part.external_data
        ):
            message = f"keeps the tensor {part.name!r:.80} in another file"
            raise ReachesOutside(message)
        if isinstance(part, NodeProto | FunctionProto) and part.domain not in _OWN_DOMAINS:
            operator = part.op_type if isinstance(part, NodeProto) else part.name
            message = f"has the operator {operator!r:.80} of the domain {part.domain!r:.80}"
            raise ReachesOutside(message)
        if isinstance(part, NodeProto) and part.op_type == _ENDLESS:
            message = f"has a {_ENDLESS}, which may never end"
            raise ReachesOutside(message)


def _messages(whole: Message) -> Iterator[Message]:
    """A message and all nested messages: graphs, functions, attributes, tensors."""
    pending = [whole]
    while pending:
        message = pending.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                pending += value if field.is_repeated else [value]
