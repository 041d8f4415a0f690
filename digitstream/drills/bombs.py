"""Drills of records that are small on the wire and large for whoever reads them."""

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
TOGETHER = 10
"""Bombs in one fetch."""

MOST_MORE_MIB = 512
"""What bombs may add to the scorer's Java, which without one has some 450. Whoever reads the
headers takes more for one bomb than the 2,048 that the heap may have.
"""


@drill(
    "header-bomb",
    "A good image with 8,000,000 headers, 16 KB as its client compressed it, then ten of them in "
    "one fetch: each becomes a dead letter without its headers, and the scorer goes on.",
)
def _header_bomb(ground: Ground) -> str:
    bomb, sent, seen = _bomb(ground), 0, []
    for bombs in (0, 1, TOGETHER):
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
    bare = [each for each in letters if each.slug == TOO_MANY_HEADERS and not each.headers]
    memory = f"Java had {seen[0]} MiB without a bomb, {seen[1]} with one, {seen[2]} with ten"
    answered = ground.all_answered(sent)
    if (
        len(bare) != 1 + TOGETHER
        or len(letters) != len(bare)
        or max(seen) - seen[0] > MOST_MORE_MIB
    ):
        message = f"{len(bare)} of {1 + TOGETHER} bombs have such a letter; {memory}; {answered}"
        raise Broken(message)
    return f"bombs of {len(bomb)} bytes; {memory}; {answered}"


def _bomb(ground: Ground) -> bytes:
    """A good reading with all those headers, as a batch."""
    image = bundle.load(ground.settings.registry.resolve().folder).golden.inputs[0]
    payload = images.encode(image)
    sent = Reading("bomb", "hostile", None, images.RAW, payload, "/devices/hostile").message()
    return raw_batches.batch([raw_batches.record(*sent, empty_headers=HEADERS)])


def _java_mib(scorer: Command) -> int:
    """The memory that the scorer's Java takes now."""
    family = psutil.Process(scorer.pid).children(recursive=True)
    return max(each.memory_info().rss for each in family if "java" in each.name()) >> 20
