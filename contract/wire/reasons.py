"""Why a reading was not scored: a closed list of slugs, each with the stage that uses it."""

from __future__ import annotations

from typing import Literal, get_args

Stage = Literal["decode", "validate", "score", "publish"]

STAGES: tuple[Stage, ...] = get_args(Stage)

MISSING_HEADER = "missing-header"
REPEATED_HEADER = "repeated-header"
BAD_HEADER = "bad-header"
UNSUPPORTED_CONTENT_TYPE = "unsupported-content-type"
EMPTY = "empty"
OVERSIZED = "oversized"
TOO_MANY_HEADERS = "too-many-headers"
UNREADABLE = "unreadable"
MALFORMED = "malformed"
NOT_AN_IMAGE = "not-an-image"
WRONG_SIZE = "wrong-size"
WRONG_SHAPE = "wrong-shape"
OUT_OF_RANGE = "out-of-range"
MODEL_FAILED = "model-failed"
TOO_LARGE = "too-large"
UNANSWERABLE = "unanswerable"

REASONS: dict[str, Stage] = {
    MISSING_HEADER: "decode",
    REPEATED_HEADER: "decode",
    BAD_HEADER: "decode",
    UNSUPPORTED_CONTENT_TYPE: "decode",
    EMPTY: "decode",
    OVERSIZED: "decode",
    TOO_MANY_HEADERS: "decode",
    UNREADABLE: "decode",
    MALFORMED: "decode",
    NOT_AN_IMAGE: "decode",
    WRONG_SIZE: "validate",
    WRONG_SHAPE: "validate",
    OUT_OF_RANGE: "validate",
    MODEL_FAILED: "score",
    TOO_LARGE: "publish",
    UNANSWERABLE: "publish",
}
"""Slug -> the stage that uses it. A dead letter's `reason` is `"slug: detail"`."""

LONGEST_DETAIL = 200


class BadReading(Exception):
    """A reading that becomes a dead letter: `stage`, `slug` and `reason` ("slug: detail").

    The reason is short and printable ASCII, whatever the reading contains.
    """

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(slug, detail)
        self.slug = slug
        self.stage: Stage = REASONS[slug]
        self.reason = reason(slug, detail)

    def __str__(self) -> str:
        return self.reason


def reason(slug: str, detail: str) -> str:
    """`"slug: detail"`, the detail cut to 200 characters of printable ASCII."""
    return f"{slug}: {printable(detail)}"


def printable(text: str) -> str:
    """Untrusted text made safe for a header, a log line and a terminal."""
    plain = text[:LONGEST_DETAIL].encode("unicode_escape").decode("ascii")
    return plain if len(plain) <= LONGEST_DETAIL else f"{plain[: LONGEST_DETAIL - 3]}..."
