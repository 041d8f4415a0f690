"""What clients send that is not as we send it, right and wrong."""

from __future__ import annotations

import base64
import json

from contract.wire import images
from contract.wire.messages import Message
from contract.wire.structured import CONTENT_TYPE
from tests.streaming.records import image, reading


def structured(**changes: object) -> Message:
    """A reading in CloudEvents' structured mode; None takes an attribute away."""
    event = {
        "specversion": "1.0",
        "id": "structured-1",
        "source": "/devices/8",
        "type": "digitstream.reading",
        "time": "2026-03-01T12:00:00Z",
        "datacontenttype": images.RAW,
        "data_base64": base64.b64encode(images.encode(image(8))).decode(),
        **changes,
    }
    body = json.dumps({name: value for name, value in event.items() if value is not None}).encode()
    return Message(
        b"device-008", body, [("content-type", CONTENT_TYPE.encode() + b"; charset=utf-8")]
    )


ODD = {
    "null-value": reading()._replace(value=None),
    "empty-value": reading()._replace(value=b""),
    "null-key": reading()._replace(key=None),
    "empty-key": reading()._replace(key=b""),
    "key-not-utf8": reading()._replace(key=b"\xff\xfe7"),
    "no-headers": reading()._replace(headers=[]),
    "short": reading(payload=bytes(783)),
    "long": reading(payload=bytes(785)),
    "huge": reading(payload=bytes(1_000_000)),
    "png": reading(content_type=images.PNG),
    "json": reading(content_type=images.JSON),
    "png-of-another-size": reading(
        content_type=images.PNG, payload=images.encode(image(0, (27, 28, 1)), images.PNG)
    ),
    "damaged-png": reading(content_type=images.PNG, payload=b"\x89PNG\r\n\x1a\nno"),
    "json-out-of-range": reading(content_type=images.JSON, payload=b'{"pixels": [[256]]}'),
    "json-not": reading(content_type=images.JSON, payload=b"{"),
    "unknown-type": reading(content_type="video/mp4", payload=b"x"),
    "type-with-parameters": reading(
        content_type="Application/Octet-Stream; v=1", payload=images.encode(image())
    ),
    "no-time": reading(time=None),
    "quotes-in-id": reading(id='a"b\\c\n\x00'),
    "id-beyond-ascii": reading(id="Gerät-\U0001f4f7", device="Küche"),
}
for name in ("ce_id", "ce_source", "ce_type", "content-type", "ce_time"):
    others = [header for header in reading().headers if header[0] != name]
    ODD |= {
        f"{name}-missing": reading()._replace(headers=others),
        f"{name}-twice": reading()._replace(headers=[*reading().headers, (name, b"again")]),
        f"{name}-null": reading()._replace(headers=[*others, (name, None)]),
        f"{name}-empty": reading()._replace(headers=[*others, (name, b"")]),
        f"{name}-not-utf8": reading()._replace(headers=[*others, (name, b"\xc3\x28")]),
    }
for time in (
    b"2026-03-01T12:00:00Z",
    b"2026-03-01t12:00:00.5z",
    b"2026-03-01T14:00:00.123456789+02:00",
    b"2026-12-31T23:59:60Z",
    b"2026-02-30T12:00:00Z",
    b"2026-03-01 12:00:00Z",
    b"0900-03-01T12:00:00Z",
    b"yesterday",
):
    others = [header for header in reading().headers if header[0] != "ce_time"]
    ODD[f"time-{time.decode()}"] = reading()._replace(headers=[*others, ("ce_time", time)])
ODD |= {
    "structured": structured(),
    "structured-pixels": structured(
        datacontenttype=None, data_base64=None, data={"pixels": image(9)[..., 0].tolist()}
    ),
    "structured-without-id": structured(id=None),
    "structured-without-data": structured(data_base64=None),
    "structured-half-a-surrogate": structured(id="\ud800"),
    "structured-bad-base64": structured(data_base64="?"),
    "structured-not-json": structured()._replace(value=b"\xff{"),
}
