"""`digitstream doctor`: whether all is well here."""

from __future__ import annotations

import os
from dataclasses import asdict

import typer
from rich.table import Table

from digitstream import display, flags


def doctor(
    home: flags.Home = None,
    bootstrap_servers: flags.BootstrapServers = None,
    kafka_profile: flags.KafkaProfile = None,
    prefix: flags.Prefix = None,
    tracking_uri: flags.TrackingUri = None,
    model: flags.Model = None,
    as_json: flags.AsJson = False,
) -> None:
    """Check everything that must be right; exits with 1 and the remedies if something is not."""
    from contract.settings import Settings
    from digitstream.doctor import examine

    settings = flags.loaded(Settings, locals())
    with display.activity("Looking"):
        findings = examine(settings, os.environ)
    well = all(finding.ok for finding in findings)

    def table() -> Table:
        rows = Table("", "what")
        rows.add_column("found", overflow="fold")
        for finding in findings:
            rows.add_row("ok" if finding.ok else "[red]no[/red]", finding.name, finding.detail)
        return rows

    value = {"well": well, "findings": [asdict(finding) for finding in findings]}
    display.report(value, table, as_json)
    raise typer.Exit(0 if well else 1)
