"""`digitstream dead-letters`: what could not be scored, looked at and sent again."""

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
    from digitstream.dead_letters.detail import Shown
    from digitstream.dead_letters.listing import Listed, Listing, Wanted
    from digitstream.dead_letters.replay import Replayed

app = typer.Typer(help="Readings that could not be scored.", no_args_is_help=True)

Stage = Annotated[
    str | None, typer.Option(help=f"Only those of a stage: {', '.join(STAGES)}. [default: all]")
]
Reason = Annotated[
    str | None, typer.Option(help=f"Only those of a reason: {', '.join(REASONS)}. [default: all]")
]
Since = Annotated[
    str | None,
    typer.Option(
        help="Only those since then: 30m, 2h or 7d ago, or a time like 2026-01-31T09:15:00Z. "
        "[default: all]"
    ),
]
Last = Annotated[int, typer.Option(min=0, help="How many of the newest are listed one by one.")]
Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="The reading, topic/partition/offset, as `list` shows it."),
]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="Only these readings. [default: all]")
]
MostAttempts = Annotated[
    int, typer.Option(min=1, help="How often a reading is sent at most, the first time included.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only report what would be sent.")]


@app.command("list", short_help="Count them, and list the newest.")
@flags.settings(Settings, *flags.KAFKA, "prefix")
def list_(
    given: flags.Given,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    last: Last = 20,
    as_json: flags.AsJson = False,
) -> None:
    """Count dead letters by stage and reason, and list the newest."""

    settings = given.load(Settings)
    from digitstream.accounts import topic_reader
    from digitstream.dead_letters.listing import listing

    wanted = _wanted(stage, reason, since)
    settings = flags.connected(settings)
    with terminal.activity("Reading"), topic_reader.reading(settings.kafka) as reader:
        found = listing(reader, settings.topics, last, wanted)
    terminal.report(asdict(found), lambda: _letters(found), as_json)


@app.command(short_help="Show one in full, its image drawn.")
@flags.settings(Settings, *flags.KAFKA, "prefix")
def show(given: flags.Given, id: Id, as_json: flags.AsJson = False) -> None:
    """Show a dead letter in full, its image drawn, or else its bytes in hex."""

    settings = given.load(Settings)
    from digitstream.accounts import topic_reader
    from digitstream.dead_letters.detail import shown
    from digitstream.dead_letters.listing import place

    wanted = place(id)
    settings = flags.connected(settings)
    with terminal.activity("Reading"), topic_reader.reading(settings.kafka) as reader:
        found = shown(reader, settings.topics, wanted)
    terminal.report(asdict(found), lambda: _shown(found), as_json)


@app.command(short_help="Send readings again.")
@flags.settings(Settings, *flags.KAFKA, "prefix")
def replay(
    given: flags.Given,
    ids: Ids = None,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    most_attempts: MostAttempts = 5,
    dry_run: DryRun = False,
    as_json: flags.AsJson = False,
) -> None:
    """Send readings again, to be checked by the rules and scored by the model of now.

    Each is answered under the id of its first reading; none is sent that has a score, or that was
    sent since its dead letter.
    """

    settings = given.load(Settings)
    from digitstream.accounts import topic_reader
    from digitstream.dead_letters.replay import replay as sent_again

    wanted = _wanted(stage, reason, since, ids)
    settings = flags.connected(settings)
    with terminal.activity("Replaying"), topic_reader.reading(settings.kafka) as reader:
        found = sent_again(
            reader, settings.topics, settings.kafka, wanted, most_attempts, dry_run=dry_run
        )
    terminal.report(asdict(found), lambda: _replayed(found), as_json)


def _wanted(
    stage: str | None, reason: str | None, since: str | None, ids: list[str] | None = None
) -> Wanted:
    from digitstream.dead_letters import listing

    return listing.Wanted(
        stage=stage,
        reason=reason,
        since=None if since is None else listing.since(since, datetime.now(UTC)),
        ids=frozenset(listing.place(each) for each in ids or ()),
    )


def _letters(found: Listing) -> list[Grid | str]:
    counts = [(stage, reason, str(count)) for stage, reason, count in found.by_reason]
    newest = [
        (letter.time, letter.id, _key(letter), _size(letter), letter.reason)
        for letter in found.letters
    ]
    return [
        Grid(
            ("stage", "reason", "count"),
            counts,
            title=quantity(found.total, "dead letter"),
            right=("count",),
        ),
        Grid(("time", "id", "key", "bytes", "reason"), newest, title="The newest"),
        *found.foreign.told("dead letters"),
    ]


def _shown(found: Shown) -> list[Grid | str]:
    letter = found.letter
    rows = [("stage", letter.stage), ("reason", letter.reason), ("time", letter.time)]
    rows.append(("attempt", str(letter.attempt)))
    if letter.replay_of is not None:
        rows.append(("replay", letter.id))
    rows.append(("key", _key(letter)))
    rows += [
        (f"header {name}", "null" if value is None else value) for name, value in found.headers
    ]
    rows.append(("bytes", _size(letter)))
    facts = Grid(("what", "value"), rows, title=f"The dead letter of {found.reading}")
    attempts = [f"Attempt {each.attempt}, {each.time}: {each.reason}" for each in found.earlier]
    picture = found.picture or found.dump or ""
    return [facts, *attempts, *picture.splitlines()]


def _replayed(found: Replayed) -> list[str]:
    would = ("reading would be", "readings would be")
    sent = quantity(found.sent, *(would if found.dry_run else ("reading was", "readings were")))
    lines = [f"{sent} sent again."]
    lines += [f"  {count} {reason}" for reason, count in found.by_reason.items()]
    lines += [
        f"{quantity(count, 'left: it', 'left: each')} {why}." for why, count in found.left.items()
    ]
    return lines


def _key(letter: Listed) -> str:
    return "-" if letter.key is None else letter.key


def _size(letter: Listed) -> str:
    return "-" if letter.bytes is None else str(letter.bytes)
