"""The rights that each program needs on Kafka, and no more."""

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
"""The programs with rights of their own. A reader only reads: reconcile, dead-letters, a dashboard.
Replaying dead letters means writing as any device, which is left to the admin.
"""


@dataclass(frozen=True)
class Right:
    """The right of a user to an operation on a topic or group, or on all with that prefix."""

    user: str
    operation: str
    name: str
    prefixed: bool = False
    kind: Literal["topic", "group"] = "topic"

    @property
    def command(self) -> str:
        """The arguments for Kafka's own tool that grant it."""
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return (
            f"--add --allow-principal User:{self.user} --operation {self.operation} "
            f"--{self.kind} {self.name}{pattern}"
        )

    @property
    def acl(self) -> ACL:
        """The right as an ACL of kafka-python."""
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
    """The rights of PROGRAMS for their `users`; with `create` some may also create topics.

    READ and WRITE on a topic include DESCRIBE, and WRITE includes idempotent writes. Spark assigns
    partitions itself and keeps offsets in its checkpoint; the scorer also needs rights to the group
    in which it commits its offsets, and to the topics' settings, whose retention it watches.
    Readers have groups of their own, with the prefix of the topics.
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


def grant(kafka: Kafka, granted: Sequence[Right], topics: Topics, partitions: int) -> None:
    """Create the topics and grant the rights; existing ones stay. Returns when they are in force.

    Raises AccessDenied if this user may not, or if that Kafka has no ACLs, and BrokerUnavailable if
    it accepted the rights but does not apply them within half a minute.
    """
    ensure(kafka, topics, partitions=partitions)
    with connecting(kafka):
        admin = KafkaAdminClient(**arguments(kafka))
        try:
            acls = [right.acl for right in granted]
            answer = admin.create_acls(acls)
            if answer["failed"]:
                reasons = sorted({error.__name__ for error in answer["failed"]})
                raise access_denied(kafka, f"it may not grant rights ({', '.join(reasons)})")
            _await_acls(admin, kafka, acls)
        finally:
            admin.close()


def _await_acls(admin: KafkaAdminClient, kafka: Kafka, acls: Sequence[ACL]) -> None:
    """Return when the broker applies these ACLs, which it gets from the controller."""
    pattern = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    every = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        present, _ = admin.describe_acls(every)
        if {*acls} <= {*present}:
            return
        if time.monotonic() > deadline:
            message = (
                f"Kafka at {kafka} accepted the rights, but does not apply them after "
                f"{PATIENCE_SECONDS:.0f} s. Its brokers get them from the controller. Check that "
                f"they can reach it, and grant the rights again."
            )
            raise BrokerUnavailable(message)
        time.sleep(_GLANCE_SECONDS)
