"""`digitstream doctor`: check this machine and this installation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from contract.settings.programs import Settings
from digitstream import flags, terminal
from digitstream.grid import Grid

if TYPE_CHECKING:
    from digitstream.health.doctor import Finding


@flags.settings(Settings, *flags.KAFKA, "prefix", *flags.REGISTRY)
def doctor(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """Check this machine and the data folder (--home); if a check fails, says how to fix it and
    exits with 1.
    """
    from digitstream.health.doctor import examine

    settings = inputs.load(Settings)
    with terminal.activity("Looking"):
        findings = examine(settings, os.environ)
    well = all(finding.ok for finding in findings)

    value = {"well": well, "findings": [asdict(finding) for finding in findings]}
    terminal.report(value, lambda: table(findings), as_json)
    raise typer.Exit(0 if well else 1)


def table(findings: Sequence[Finding]) -> Grid:
    """The findings, for a person."""
    rows = [("ok" if finding.ok else "FAIL", finding.name, finding.detail) for finding in findings]
    return Grid(("", "what", "found"), rows)
