"""What a program that runs says beside its report."""

from __future__ import annotations


class Notice(str):
    """A sentence that somebody must read: it is told however quiet the program is to be.

    Other sentences are news of how far it is.
    """
