"""Messages of a running program, besides its report."""

from __future__ import annotations


class Notice(str):
    """A message that is shown even in quiet mode.

    Other messages report progress.
    """
