"""CloudEvents' structured JSON mode: a record's value has the whole event, attributes and data."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from contract.wire import reasons
from contract.wire.headers import VERSION, media_type
from contract.wire.images import JSON
from contract.wire.reasons import BadReading
from contract.wire.values import strict_json

CONTENT_TYPE = "application/cloudevents+json"

# Base64 as in the schema. Python accepts more, and what differs between its releases.
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def attribute(event: dict[str, Any], name: str) -> str:
    """A required context attribute; raises BadReading unless it is text and not empty."""
    value = optional(event, name)
    if value is None:
        raise BadReading(reasons.MISSING_HEADER, f"the event has no {name}")
    if not value:
        raise BadReading(reasons.BAD_HEADER, f"{name} is empty")
    return value


def optional(event: dict[str, Any], name: str) -> str | None:
    """A context attribute, None if missing or null; raises BadReading unless it is text."""
    value = event.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _encodable(value):
        raise BadReading(reasons.BAD_HEADER, f"{name} is not text")
    return value


def event_of(value: bytes | None) -> dict[str, Any]:
    """The event in a record's value; raises BadReading unless it is a JSON object."""
    if not value:
        raise BadReading(reasons.EMPTY, "the record has no value")
    try:
        event = strict_json.loads(value)
    except ValueError as exc:
        raise BadReading(reasons.MALFORMED, f"the event is no JSON: {exc}") from exc
    if not isinstance(event, dict):
        raise BadReading(reasons.MALFORMED, "the event is no JSON object")
    return event


def check_version(event: dict[str, Any]) -> None:
    """Raise BadReading if the event names a version of CloudEvents other than ours."""
    if event.get("specversion", VERSION) != VERSION:
        raise BadReading(reasons.BAD_HEADER, f"specversion is not {VERSION!r}")


def check_data(event: dict[str, Any]) -> None:
    """Raise BadReading if the event has no data."""
    if "data" not in event and "data_base64" not in event:
        raise BadReading(reasons.EMPTY, "the event has neither data nor data_base64")


def data_of(event: dict[str, Any]) -> tuple[str, bytes | None]:
    """The content type and bytes of an event's data; raises BadReading if they are invalid."""
    content_type = optional(event, "datacontenttype") or JSON
    if "data" in event and "data_base64" in event:
        raise BadReading(reasons.MALFORMED, "the event has both data and data_base64")
    if "data_base64" in event:
        text = event["data_base64"]
        if not isinstance(text, str) or _BASE64.fullmatch(text) is None:
            raise BadReading(reasons.MALFORMED, "data_base64 is no base64")
        return content_type, base64.b64decode(text)
    match event.get("data"):
        case str() as text if media_type(content_type) != JSON:
            return content_type, text.encode("utf-8", "surrogatepass")
        case None:
            return content_type, None
        case data:
            return content_type, json.dumps(data).encode()


def _encodable(text: str) -> bool:
    """Whether UTF-8 can encode the text; it cannot if JSON has half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
