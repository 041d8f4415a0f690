"""Checks whether certificates are valid now."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from contract import files

PEM_BYTES = 1 << 24
"""Largest file of certificates and keys; a system's CA bundle has a few hundred KB."""


def invalidity(chain: Path, now: datetime) -> str | None:
    """Why the PEM file's certificates are not valid now, as the rest of a sentence that begins with
    the file: "expired at ..."; None if all are valid, or the file cannot be read.
    """
    # A slow import, needed only with client certificates.
    from cryptography import x509  # noqa: PLC0415

    try:
        certificates = x509.load_pem_x509_certificates(files.read(chain, PEM_BYTES))
    except (OSError, ValueError):
        return None  # using it raises a clearer error
    for number, certificate in enumerate(certificates):
        name = certificate.subject.rfc4514_string()
        prefix = "" if number == 0 else f"has an authority ({name}) "
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if ends <= now:
            return f"{prefix}{'that ' if prefix else ''}expired at {ends:%Y-%m-%d %H:%M} UTC"
        if begins > now:
            verb = "that is" if prefix else "is"
            return f"{prefix}{verb} not valid before {begins:%Y-%m-%d %H:%M} UTC"
    return None
