"""That an ONNX model is all in its own bytes, made of ONNX's own operators, and comes to an end.

A tensor may name a file beside the model instead of having values, an operator of another domain
may be whatever a program was taught, one that reads a file among them, and a Loop goes on for as
long as the images that come to it say.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError, Message

_OWN_DOMAINS = ("", "ai.onnx")
_ENDLESS = "Loop"


class ReachesOutside(ValueError):
    """A model that wants more than its own bytes, or may go on for ever."""


def check_self_contained(model: bytes) -> None:
    """Return if these bytes are an ONNX model that needs nothing else.

    Raises ReachesOutside, which says what it names, and ValueError if they are no ONNX model.
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
        message = "its file is no ONNX model"
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
            message = f"has a {_ENDLESS}, which need not end"
            raise ReachesOutside(message)


def _messages(whole: Message) -> Iterator[Message]:
    """A message and all that are in it, however deep: graphs, functions, attributes, tensors."""
    pending = [whole]
    while pending:
        message = pending.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                pending += value if field.is_repeated else [value]
