"""What each program must be allowed to do on Kafka, and nothing beyond it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from contract.errors import BrokerUnavailable
from contract.kafka.clients import access_denied, arguments, connecting
from contract.kafka.connection import Kafka
from contract.kafka.topics import ensure
from contract.wire.topics import Topics

PATIENCE_SECONDS = 30.0
_GLANCE_SECONDS = 0.1

PROGRAMS = ("producer", "scorer", "reader")
"""Those whose rights are told; a reader is whoever reads: reconcile, dead-letters, a dashboard. Who
replays dead letters may write as any device, and is none of them: let it be the admin.
"""


@dataclass(frozen=True)
class Right:
    """That a user may do something with a topic or group, or with all whose names begin so."""

    user: str
    operation: str
    name: str
    prefixed: bool = False
    kind: Literal["topic", "group"] = "topic"

    @property
    def command(self) -> str:
        """The arguments of Kafka's own tool that give it."""
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return (
            f"--add --allow-principal User:{self.user} --operation {self.operation} "
            f"--{self.kind} {self.name}{pattern}"
        )

    @property
    def acl(self) -> ACL:
        """The same for kafka-python."""
        kind = ACLResourcePatternType.PREFIXED if self.prefixed else ACLResourcePatternType.LITERAL
        return ACL(
            principal=f"User:{self.user}",
            host="*",
            operation=ACLOperation[self.operation],
            permission_type=ACLPermissionType.ALLOW,
            resource_pattern=ResourcePattern(ResourceType[self.kind.upper()], self.name, kind),
        )


def rights(
    topics: Topics, users: Mapping[str, str], prefix: str, *, create: bool
) -> Iterator[Right]:
    """The rights of PROGRAMS, by the users that they are; with `create` they make topics, too.

    Who may READ or WRITE a topic may also DESCRIBE it, and who may WRITE one may do so
    idempotently. Spark assigns partitions to itself and keeps offsets in its checkpoint; the group
    in which the scorer notes how far it is needs a right of its own, and so does the retention that
    it watches. Readers have groups of their own, whose names begin as the topics do.
    """
    written = (topics.scores, topics.dead_letters, topics.progress, topics.shadow_scores)
    scorer = [
        (operation, topic)
        for topic in (topics.readings, topics.replays)
        for operation in ("READ", "DESCRIBE_CONFIGS")
    ]
    needs = {
        "producer": [("WRITE", topics.readings), ("WRITE", topics.labels)],
        "scorer": [*scorer, *(("WRITE", topic) for topic in written)],
        "reader": [("READ", topic) for topic in (*topics.answered, topics.labels, *written)],
    }
    for program in PROGRAMS:
        for operation, topic in needs[program]:
            yield Right(users[program], operation, topic)
    for program, operation in (("scorer", "READ"), ("reader", "DESCRIBE")):
        yield Right(users[program], operation, f"{prefix}-", prefixed=True, kind="group")
    yield Right(users["reader"], "READ", f"{prefix}.", prefixed=True, kind="group")
    if create:
        for program in ("producer", "scorer"):
            yield Right(users[program], "CREATE", f"{prefix}.", prefixed=True)


def give(kafka: Kafka, given: Sequence[Right], topics: Topics, partitions: int) -> None:
    """Make the topics and give the rights; those that are there stay. Returns when they hold.

    Raises AccessDenied if we may not, or if that Kafka asks nobody for rights, and
    BrokerUnavailable if it took them, but does not have them in half a minute.
    """
    ensure(kafka, topics, partitions=partitions)
    with connecting(kafka):
        admin = KafkaAdminClient(**arguments(kafka))
        try:
            acls = [right.acl for right in given]
            answer = admin.create_acls(acls)
            if answer["failed"]:
                reasons = sorted({error.__name__ for error in answer["failed"]})
                raise access_denied(kafka, f"it may not give rights ({', '.join(reasons)})")
            _wait(admin, kafka, acls)
        finally:
            admin.close()


def _wait(admin: KafkaAdminClient, kafka: Kafka, acls: Sequence[ACL]) -> None:
    """Return when the broker goes by these: it takes them from the controller some time later."""
    pattern = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    every = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        held, _ = admin.describe_acls(every)
        if {*acls} <= {*held}:
            return
        if time.monotonic() > deadline:
            message = (
                f"Kafka at {kafka} took the rights, but does not have them after "
                f"{PATIENCE_SECONDS:.0f} s. Its brokers take them from the controller. See whether "
                f"that is reached, and give them again."
            )
            raise BrokerUnavailable(message)
        time.sleep(_GLANCE_SECONDS)
