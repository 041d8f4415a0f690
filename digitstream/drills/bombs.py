"""Drills of records that are small on the wire and large in memory."""

from __future__ import annotations

import psutil

from contract.model import bundle
from contract.wire import images
from contract.wire.events import DeadLetter, Reading
from contract.wire.reasons import TOO_MANY_HEADERS
from digitstream.drills.drill import drill
from digitstream.drills.ground import raw_batches
from digitstream.drills.ground.ground import Ground
from digitstream.drills.outcome import Broken
from digitstream.machine.subcommands import Command

HEADERS = 8_000_000
IN_ONE_FETCH = 10
"""Number of bombs in one fetch."""

MOST_MORE_MIB = 512
"""What bombs may add to the scorer's Java, which takes some 450 without one. Reading the headers of
one bomb would take more than the heap's limit of 2,048.
"""


@drill(
    "header-bomb",
    "A good image with 8,000,000 headers, 16 KB as its client compressed it, then ten of them in "
    "one fetch: each becomes a dead letter without its headers, and the scorer goes on.",
)
def _header_bomb(ground: Ground) -> str:
    bomb, sent, seen = _bomb(ground), 0, []
    for bombs in (0, 1, IN_ONE_FETCH):
        for _ in range(bombs):
            topic, broker = ground.settings.topics.readings, ground.settings.kafka.servers
            raw_batches.send(broker, topic, 0, bomb)
        sent += bombs + ground.send(500)
        scorer = ground.score()
        ground.await_answers(sent, scorer)
        seen.append(_java_mib(scorer))
        scorer.stop()
    letters = [
        DeadLetter.of(record.key, record.value, record.headers)
        for records in ground.reader.records(ground.settings.topics.dead_letters)
        for record in records
    ]
    bare = [letter for letter in letters if letter.slug == TOO_MANY_HEADERS and not letter.headers]
    memory = f"Java had {seen[0]} MiB without a bomb, {seen[1]} with one, {seen[2]} with ten"
    answered = ground.check_all_answered(sent)
    if (
        len(bare) != 1 + IN_ONE_FETCH
        or len(letters) != len(bare)
        or max(seen) - seen[0] > MOST_MORE_MIB
    ):
        message = (
            f"{len(bare)} of {1 + IN_ONE_FETCH} bombs have such a letter; {memory}; {answered}"
        )
        raise Broken(message)
    return f"bombs of {len(bomb)} bytes; {memory}; {answered}"


def _bomb(ground: Ground) -> bytes:
    """A batch of one good reading with HEADERS headers."""
    image = bundle.load(ground.settings.registry.resolve().folder).golden.inputs[0]
    payload = images.encode(image)
    sent = Reading("bomb", "hostile", None, images.RAW, payload, "/devices/hostile").message()
    return raw_batches.batch([raw_batches.record(*sent, empty_headers=HEADERS)])


def _java_mib(scorer: Command) -> int:
    """The resident memory of the scorer's Java, in MiB."""
    family = psutil.Process(scorer.pid).children(recursive=True)
    return max(process.memory_info().rss for process in family if "java" in process.name()) >> 20
