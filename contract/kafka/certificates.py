"""Until when certificates are valid."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from contract import files

PEM_BYTES = 1 << 24
"""Of a file of certificates and keys at most; a system's authorities are some hundred KB."""


def invalidity(chain: Path, now: datetime) -> str | None:
    """That a certificate of a PEM file expired, or is not valid yet, for "FILE ..."; None if all
    are valid, or the file cannot be read.
    """
    # Few have a certificate, and nobody else should wait for this import.
    from cryptography import x509  # noqa: PLC0415

    try:
        certificates = x509.load_pem_x509_certificates(files.read(chain, PEM_BYTES))
    except (OSError, ValueError):
        return None  # the attempt to use it says more
    for number, certificate in enumerate(certificates):
        whose = "" if number == 0 else f"has an authority ({certificate.subject.rfc4514_string()}) "
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if ends <= now:
            return f"{whose}{'that ' if whose else ''}expired at {ends:%Y-%m-%d %H:%M} UTC"
        if begins > now:
            verb = "that is" if whose else "is"
            return f"{whose}{verb} not valid before {begins:%Y-%m-%d %H:%M} UTC"
    return None
