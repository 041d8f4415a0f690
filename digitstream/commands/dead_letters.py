"""`digitstream dead-letters`: list, show and resend the readings that could not be scored."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from contract.quantities import quantity
from contract.settings.programs import Settings
from contract.wire.reasons import REASONS, STAGES
from digitstream import flags, terminal
from digitstream.grid import Grid

if TYPE_CHECKING:
    from digitstream.dead_letters.detail import Detail
    from digitstream.dead_letters.listing import ListedLetter, Listing, Selection
    from digitstream.dead_letters.replay import ReplaySummary

app = typer.Typer(help="Readings that could not be scored.", no_args_is_help=True)

Stage = Annotated[
    str | None, typer.Option(help=f"Only this stage: {', '.join(STAGES)}. [default: all]")
]
Reason = Annotated[
    str | None, typer.Option(help=f"Only this reason: {', '.join(REASONS)}. [default: all]")
]
Since = Annotated[
    str | None,
    typer.Option(
        help="Only newer ones: 30m, 2h or 7d ago, or a time like 2026-01-31T09:15:00Z. "
        "[default: all]"
    ),
]
Last = Annotated[int, typer.Option(min=0, help="How many of the newest to list.")]
Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="The reading, topic/partition/offset, as `list` shows it."),
]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="Only these readings. [default: all]")
]
MostAttempts = Annotated[
    int, typer.Option(min=1, help="Most times to send a reading, including the first time.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only report what would be sent.")]


@app.command("list", short_help="Count them and list the newest.")
@flags.settings(Settings, *flags.KAFKA, "prefix")
def list_(
    inputs: flags.Inputs,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    last: Last = 20,
    as_json: flags.AsJson = False,
) -> None:
    """Count dead letters by stage and reason, and list the newest."""
    from digitstream.accounts import topic_reader
    from digitstream.dead_letters.listing import read_listing

    settings = inputs.load(Settings)
    selection = _selection(stage, reason, since)
    settings = flags.with_broker(settings)
    with terminal.activity("Reading"), topic_reader.open_reader(settings.kafka) as reader:
        listing = read_listing(reader, settings.topics, last, selection)
    terminal.report(asdict(listing), lambda: _listing_grids(listing), as_json)


@app.command(short_help="Show one in full, with its image.")
@flags.settings(Settings, *flags.KAFKA, "prefix")
def show(inputs: flags.Inputs, id: Id, as_json: flags.AsJson = False) -> None:
    """Show a dead letter in full, with its image drawn, or else its bytes in hex."""
    from digitstream.accounts import topic_reader
    from digitstream.dead_letters.detail import read_detail
    from digitstream.dead_letters.listing import parse_id

    settings = inputs.load(Settings)
    source = parse_id(id)
    settings = flags.with_broker(settings)
    with terminal.activity("Reading"), topic_reader.open_reader(settings.kafka) as reader:
        letter = read_detail(reader, settings.topics, source)
    terminal.report(asdict(letter), lambda: _detail_lines(letter), as_json)


@app.command(short_help="Send readings again.")
@flags.settings(Settings, *flags.KAFKA, "prefix")
def replay(
    inputs: flags.Inputs,
    ids: Ids = None,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    most_attempts: MostAttempts = 5,
    dry_run: DryRun = False,
    as_json: flags.AsJson = False,
) -> None:
    """Send readings again, to be checked by the current rules and scored by the current model.

    Each keeps the id of its first reading. Readings that have a score by now, or were already sent
    again, are skipped.
    """
    from digitstream.accounts import topic_reader
    from digitstream.dead_letters.replay import replay as send_again

    settings = inputs.load(Settings)
    selection = _selection(stage, reason, since, ids)
    settings = flags.with_broker(settings)
    with terminal.activity("Replaying"), topic_reader.open_reader(settings.kafka) as reader:
        summary = send_again(
            reader, settings.topics, settings.kafka, selection, most_attempts, dry_run=dry_run
        )
    terminal.report(asdict(summary), lambda: _replay_lines(summary), as_json)


def _selection(
    stage: str | None, reason: str | None, since: str | None, ids: list[str] | None = None
) -> Selection:
    from digitstream.dead_letters import listing

    return listing.Selection(
        stage=stage,
        reason=reason,
        since=None if since is None else listing.parse_since(since, datetime.now(UTC)),
        ids=frozenset(listing.parse_id(id) for id in ids or ()),
    )


def _listing_grids(listing: Listing) -> list[Grid | str]:
    counts = [(stage, reason, str(count)) for stage, reason, count in listing.by_reason]
    newest = [
        (letter.time, letter.id, _key(letter), _size(letter), letter.reason)
        for letter in listing.letters
    ]
    return [
        Grid(
            ("stage", "reason", "count"),
            counts,
            title=quantity(listing.total, "dead letter"),
            right=("count",),
        ),
        Grid(("time", "id", "key", "bytes", "reason"), newest, title="The newest"),
        *listing.foreign.sentences("dead letters"),
    ]


def _detail_lines(detail: Detail) -> list[Grid | str]:
    letter = detail.letter
    rows = [("stage", letter.stage), ("reason", letter.reason), ("time", letter.time)]
    rows.append(("attempt", str(letter.attempt)))
    if letter.replay_of is not None:
        rows.append(("replay", letter.id))
    rows.append(("key", _key(letter)))
    rows += [
        (f"header {name}", "null" if value is None else value) for name, value in detail.headers
    ]
    rows.append(("bytes", _size(letter)))
    facts = Grid(("what", "value"), rows, title=f"The dead letter of {detail.reading}")
    attempts = [f"Attempt {old.attempt}, {old.time}: {old.reason}" for old in detail.earlier]
    picture = detail.picture or detail.dump or ""
    return [facts, *attempts, *picture.splitlines()]


def _replay_lines(summary: ReplaySummary) -> list[str]:
    would = ("reading would be", "readings would be")
    sent = quantity(summary.sent, *(would if summary.dry_run else ("reading was", "readings were")))
    lines = [f"{sent} sent again."]
    lines += [f"  {count} {reason}" for reason, count in summary.by_reason.items()]
    lines += [
        f"{quantity(count, 'left: it', 'left: each')} {why}." for why, count in summary.left.items()
    ]
    return lines


def _key(letter: ListedLetter) -> str:
    return "-" if letter.key is None else letter.key


def _size(letter: ListedLetter) -> str:
    return "-" if letter.bytes is None else str(letter.bytes)
