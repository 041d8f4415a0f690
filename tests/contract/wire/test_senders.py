"""What real senders send: it is taken, or the reason tells what its sender can do."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.wire import images, remedies
from contract.wire.events import Reading
from contract.wire.headers import Header
from contract.wire.reasons import LONGEST_DETAIL, BadReading

SHAPE = (28, 28, 1)
DIGIT = np.random.default_rng(4).integers(0, 256, SHAPE, np.uint8)
PNG = images.encode(DIGIT, images.PNG)
ROWS = DIGIT[..., 0].tolist()

OURS: list[Header] = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"8f7c-1"),
    ("ce_source", b"/devices/7"),
    ("ce_type", b"digitstream.reading"),
    ("ce_time", b"2026-01-31T09:15:00.123Z"),
]


def typed(content_type: str) -> list[Header]:
    return [*OURS, ("content-type", content_type.encode())]


def renamed(*names: tuple[str, str], content_type: str = images.PNG) -> list[Header]:
    """Our headers under other names."""
    others = dict(names)
    return [(others.get(name, name), value) for name, value in typed(content_type)]


def taken(value: bytes | None, headers: list[Header]) -> images.Pixels:
    reading = Reading.of(b"device", value, headers)
    return images.decode(reading.payload, reading.content_type, SHAPE)


def reason(value: bytes | None, headers: list[Header]) -> str:
    with pytest.raises(BadReading) as error:
        taken(value, headers)
    assert len(error.value.reason) <= LONGEST_DETAIL + 30
    assert error.value.reason.isascii() and error.value.reason.isprintable()
    return error.value.reason


def picture(form: str, mode: str = "L", size: tuple[int, int] = (28, 28)) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 7).save(buffer, form)
    return buffer.getvalue()


def event(**other: object) -> bytes:
    body = {"specversion": "1.0", "id": "1", "source": "/d", "type": "t", **other}
    return json.dumps(body).encode()


TEXT = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        pytest.param(PNG, typed("image/png"), id="CloudEvents SDK for Java, binary mode"),
        pytest.param(DIGIT.tobytes(), typed("application/octet-stream"), id="Go, sarama"),
        pytest.param(
            event(datacontenttype="image/png", data_base64=TEXT),
            [("content-type", b"application/cloudevents+json; charset=UTF-8")],
            id="CloudEvents SDK for Java, structured mode",
        ),
        pytest.param(
            json.dumps({"pixels": DIGIT.tolist()}).encode(),
            typed("application/json"),
            id="numpy's tolist of 28 x 28 x 1",
        ),
    ],
)
def test_what_common_clients_send_is_taken(value: bytes, headers: list[Header]) -> None:
    np.testing.assert_array_equal(taken(value, headers), DIGIT)


AVRO = b"\0\0\0\0\x11" + bytes(range(40))
CSV = "\n".join(",".join(map(str, row)) for row in ROWS).encode()

SPRING = renamed(("content-type", "contentType"), content_type='"image/png"')
HTTP = renamed(("content-type", "Content-Type"), ("ce_id", "ce-id"), ("ce_source", "ce-source"))


@pytest.mark.parametrize(
    ("value", "headers", "told"),
    [
        (
            PNG,
            [("mqtt.topic", b"cameras/7")],
            "missing-header: content-type is required, and so are ce_id, ce_source, ce_type",
        ),
        (PNG, [], "missing-header: content-type is required, and so are ce_id, ce_source, ce_type"),
        (PNG, HTTP, "there is Content-Type: write content-type, exactly so"),
        (PNG, [*HTTP, ("content-type", b"image/png")], "there is ce-id: write ce_id, exactly so"),
        (PNG, renamed(("ce_id", "CE_ID")), "ce_id is required; there is CE_ID: write ce_id"),
        (PNG, renamed(("ce_id", "cloudEvents:id")), "there is cloudEvents:id: write ce_id"),
        (PNG, renamed(("ce_type", "ce_Type")), "there is ce_Type: write ce_type"),
        (PNG, SPRING, "there is contentType: write content-type"),
        (PNG, typed('"image/png"'), "take its quotes away"),
        (
            b"[" + event() + b"]",
            [("content-type", b"application/cloudevents-batch+json")],
            "unsupported-content-type: application/cloudevents-batch+json; known: "
            "application/octet-stream, image/png, application/json; send each event as a record of "
            "its own, application/cloudevents+json",
        ),
        (b"x", [("content-type", b"application/cloudevents+avro")], "send application/cloudevents"),
        (AVRO, [("content-type", b"application/avro")], "without a schema registry's serializer"),
        (AVRO, typed("application/vnd.apache.avro+json"), "without a schema registry's serializer"),
        (
            AVRO,
            [],
            "unsupported-content-type: none is named, and it begins as a schema registry's "
            "serializer writes it (schema 17); send raw bytes, a PNG or JSON",
        ),
        # A dark picture may begin so, too.
        (AVRO, typed("application/octet-stream"), "45 bytes; 28 x 28 x 1 has 784"),
        (AVRO, OURS, "missing-header: content-type is required"),
        (AVRO, typed("application/json"), "a schema registry's serializer writes it (schema 17)"),
        (event(data=1), typed("application/json")[-1:], "call it application/cloudevents+json"),
        (picture("JPEG"), typed("image/jpeg"), "it is a JPEG; convert it to a PNG"),
        (
            picture("JPEG"),
            typed("image/png"),
            "no PNG signature; it is a JPEG; convert it to a PNG",
        ),
        (picture("WEBP"), typed("image/webp"), "it is a WebP image; convert it to a PNG"),
        (picture("GIF"), typed("image/gif"), "it is a GIF; convert it to a PNG"),
        (picture("BMP"), typed("image/bmp"), "it is a BMP image; convert it to a PNG"),
        (picture("TIFF"), typed("image/tiff"), "it is a TIFF image; convert it to a PNG"),
        (b"\0\0\0\x18ftypheic" + bytes(99), typed("image/heic"), "it is a HEIC image; convert it"),
        (PNG, typed("application/octet-stream"), "it is a PNG; its content-type is image/png"),
        (TEXT.encode(), typed("image/png"), "base64 text of a PNG; send the bytes that it encodes"),
        (
            TEXT.encode(),
            typed("text/plain"),
            "base64 text of a PNG; send the bytes that it encodes",
        ),
        (
            json.dumps(TEXT).encode(),
            typed("text/plain"),
            "base64 text of a PNG; send the bytes that it encodes",
        ),
        (f"data:image/png;base64,{TEXT}".encode(), typed("image/png"), "it is a data: URL; send"),
        (
            base64.b64encode(DIGIT.tobytes()),
            typed("application/octet-stream"),
            "1048 bytes; 28 x 28 x 1 has 784; it looks like base64 text; send the bytes",
        ),
        (CSV, typed("text/csv"), 'it is CSV; send JSON, {"pixels": [[0, ...], ...]}'),
        (CSV, typed("application/octet-stream"), "it is CSV; send JSON"),
        (b"<svg/>", typed("image/svg+xml"), "it is XML or HTML; send raw bytes, a PNG or JSON"),
        (
            b"\x1f\x8b\x08" + bytes(30),
            typed("image/png"),
            "compressed with gzip; send it as it was",
        ),
        (json.dumps(ROWS).encode(), typed("application/json"), 'send {"pixels": [[0, ...], ...]}'),
        (
            json.dumps({"image": TEXT}).encode(),
            typed("application/json"),
            'not an object with "pixels"; send {"pixels": [[0, ...], ...]}',
        ),
        (
            json.dumps({"pixels": TEXT}).encode(),
            typed("application/json"),
            "they are text: send rows of numbers, or the image as image/png",
        ),
        (
            json.dumps({"pixels": DIGIT.ravel().tolist()}).encode(),
            typed("application/json"),
            "they are one list: send 28 rows of 28",
        ),
        (
            json.dumps({"pixels": np.repeat(DIGIT, 3, axis=2).tolist()}).encode(),
            typed("application/json"),
            "they have 3 channels; convert to grey",
        ),
        (bytes(28 * 28 * 3), typed("application/octet-stream"), "3 channels; convert to grey"),
    ],
)
def test_what_is_not_taken_tells_its_sender_what_to_do(
    value: bytes, headers: list[Header], told: str
) -> None:
    assert told in reason(value, headers)


def test_a_dark_picture_is_not_taken_for_another_kind_of_record() -> None:
    dark = b"\0\0\1\2\0" * 100
    assert reason(dark, OURS) == "missing-header: content-type is required"
    raw = reason(dark, typed("application/octet-stream"))
    assert raw == "wrong-size: 500 bytes; 28 x 28 x 1 has 784"


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("I;16", "wrong-shape: a PNG of 16 bits a pixel; send 8-bit grey"),
        ("RGB", "wrong-shape: a PNG of 3 channels; convert to grey"),
        ("P", "wrong-shape: a PNG of a palette; send 8-bit grey"),
        ("LA", "wrong-shape: a PNG of 2 channels with alpha; flatten it and send 8-bit grey"),
        ("RGBA", "wrong-shape: a PNG of 4 channels with alpha; flatten it and send 8-bit grey"),
    ],
)
def test_a_png_of_other_values_tells_which_to_send(mode: str, told: str) -> None:
    payload = picture("PNG", "L" if mode == "I;16" else mode)
    if mode == "I;16":
        buffer = io.BytesIO()
        Image.fromarray(np.zeros((28, 28), np.uint16)).save(buffer, "PNG")
        payload = buffer.getvalue()
    assert reason(payload, typed("image/png")) == told


def test_where_a_model_takes_colours_grey_is_told() -> None:
    with pytest.raises(BadReading, match="a PNG of 1 channel; send 8-bit RGB"):
        images.decode(PNG, images.PNG, (28, 28, 3))


@given(value=st.binary(max_size=40), name=st.text(max_size=20))
def test_a_remedy_of_anything_is_words_or_none(value: bytes, name: str) -> None:
    for found in (remedies.payload_remedy(value), remedies.content_type_remedy(name, value)):
        assert found is None or found.isascii()
    assert remedies.misspelled([name], "ce_id") in (None, name)
