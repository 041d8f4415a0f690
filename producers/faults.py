"""Deliberately faulty readings, of the kinds that real devices produce."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.errors import SettingsError
from contract.wire import headers, images
from contract.wire.headers import Header
from contract.wire.messages import Message

Pixels = images.Pixels
Damage = Callable[[Message, Pixels, int], Message]
"""Damages a good message of pixels (H, W, C); a random number selects the variant."""

GOOD = 0
"""The number of a reading without a fault; the kinds count from 1 in the order of KINDS."""


def _malformed(message: Message, pixels: Pixels, chance: int) -> Message:
    """Truncated JSON."""
    payload = images.encode(pixels, images.JSON)
    return _typed(message, images.JSON, payload[: 1 + chance % (len(payload) - 1)])


def _wrong_shape(message: Message, pixels: Pixels, chance: int) -> Message:
    """A PNG with an additional row."""
    taller = np.concatenate([pixels, pixels[-1:]])
    return _typed(message, images.PNG, images.encode(taller, images.PNG))


def _empty(message: Message, pixels: Pixels, chance: int) -> Message:
    """No value: null or empty."""
    return message._replace(value=b"" if chance % 2 else None)


def _oversized(message: Message, pixels: Pixels, chance: int) -> Message:
    """More bytes than any payload of this shape may have."""
    height, width, channels = pixels.shape
    return message._replace(value=bytes(images.largest((height, width, channels)) + 1))


def _not_an_image(message: Message, pixels: Pixels, chance: int) -> Message:
    """Bytes declared as a PNG that are none."""
    return _typed(message, images.PNG, pixels.tobytes()[::-1])


def _bad_headers(message: Message, pixels: Pixels, chance: int) -> Message:
    """A header that is missing, repeated, not UTF-8 or not a time."""
    name = headers.REQUIRED[chance % len(headers.REQUIRED)]
    others = [header for header in message.headers if header[0] != name]
    variants: list[list[Header]] = [
        others,
        [*message.headers, (name, b"again")],
        [*others, (name, b"\xff\xfe")],
        [*_without(message, headers.TIME), (headers.TIME, b"yesterday")],
    ]
    return message._replace(headers=variants[chance // len(headers.REQUIRED) % len(variants)])


def _duplicate(message: Message, pixels: Pixels, chance: int) -> Message:
    """The previous good reading again, with the same id; `producers.records` sends it."""
    return message


KINDS: dict[str, Damage] = {
    "malformed": _malformed,
    "wrong-shape": _wrong_shape,
    "empty": _empty,
    "oversized": _oversized,
    "not-an-image": _not_an_image,
    "bad-headers": _bad_headers,
    "duplicate": _duplicate,
}
NAMES = tuple(KINDS)
DUPLICATE = 1 + NAMES.index("duplicate")


@dataclass(frozen=True)
class Faults:
    """The share of each kind in all readings, 0 to 1; the rest is good."""

    shares: Mapping[str, float]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse shares: `malformed=0.5%,duplicate=0.01`, or `1%` spread evenly over all kinds.

        Raises SettingsError that lists everything that is wrong.
        """
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        shares: dict[str, float] = {}
        complaints = []
        for entry in entries:
            kind, equals, amount = entry.rpartition("=")
            share = _share(amount)
            if share is None:
                complaints.append(f"{amount!r} is no share from 0 to 1 or from 0% to 100%")
            elif not equals and len(entries) == 1:
                shares = dict.fromkeys(NAMES, share / len(NAMES))
            elif kind not in KINDS:
                complaints.append(f"{kind!r} is none of the kinds {', '.join(NAMES)}")
            elif kind in shares:
                complaints.append(f"{kind} is repeated")
            else:
                shares[kind] = share
        if sum(shares.values()) > 1:
            complaints.append("the shares add up to more than 100%")
        if complaints:
            message = (
                f"--faults {text!r} is invalid: {'; '.join(complaints)}. Write KIND=SHARE,... like "
                f"malformed=1%,empty=0.005, or one share for all kinds, like 1%."
            )
            raise SettingsError(message)
        return cls(shares)

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int8]:
        """Random kinds (count,) for so many readings, GOOD or a kind's number."""
        limits = np.cumsum([self.shares.get(name, 0.0) for name in NAMES])
        kinds = np.searchsorted(limits, rng.random(count), side="right") + 1
        return np.where(kinds > len(NAMES), GOOD, kinds).astype(np.int8)


def _share(text: str) -> float | None:
    number, percent, rest = text.partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        return None
    return share if not rest and 0 <= share <= 1 else None


def _typed(message: Message, content_type: str, payload: bytes) -> Message:
    """The message with another payload, declared as `content_type`."""
    others = _without(message, headers.CONTENT_TYPE)
    header = (headers.CONTENT_TYPE, content_type.encode())
    return message._replace(value=payload, headers=[*others, header])


def _without(message: Message, name: str) -> list[Header]:
    return [header for header in message.headers if header[0] != name]
