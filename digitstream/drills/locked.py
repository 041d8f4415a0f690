"""A drill of users whose rights or passwords are revoked while their programs run."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialDeletion, UserScramCredentialUpsertion

from contract.errors import AccessDenied
from contract.kafka.clients import arguments, connecting
from contract.kafka.connection import Kafka
from contract.model import bundle
from contract.settings.programs import Scoring
from contract.settings.sources import load
from digitstream.accounts import topic_reader
from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import ENGINE, Ground, until
from digitstream.drills.outcome import NOTHING_LOST, Broken
from digitstream.installation import adopt, commands_of, start_kafka
from digitstream.kafka import security, server
from digitstream.kafka.acls import PROGRAMS, Right, grant, rights
from digitstream.machine.subcommands import Command, CommandFailed

SESSION_MS = 3_000
"""How soon a broker notices that a password is no longer valid."""

_NO_FILE = Path("no-such.toml")
_SCORER, _PRODUCER = (("--kafka-profile", user) for user in ("scorer", "producer"))


@drill(
    "user-revoked",
    "The scorer's right to write scores, then its password, and the producer's right to write "
    "readings are revoked while they work: each stops and says what it lacks, nothing is lost, and "
    "it goes on once it may.",
)
def _user_revoked(ground: Ground) -> str:
    with _start_secured(ground) as (secured, admin):
        topics = secured.settings.topics
        write_scores = Right("scorer", "WRITE", topics.scores)
        sent = secured.send(1_000, *_PRODUCER)
        revocations: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            topics.scores: (lambda: admin.revoke(write_scores), lambda: admin.grant(write_scores)),
            "[Aa]uthentication": (
                lambda: admin.invalidate_password("scorer"),
                lambda: admin.restore_password("scorer"),
            ),
        }
        sentences = []
        for lacking, (revoke, grant_again) in revocations.items():
            scorer = secured.score(*_SCORER)
            secured.await_line(scorer, "Ready: ")  # what it says of its start is another sentence
            secured.await_answers(sent, scorer)
            secured.announce("revokes a right or a password")
            revoke()
            sent += secured.send(1_000, *_PRODUCER)
            sentences.append(
                _await_failure(scorer, rf"does not let scorer .*{lacking}.*{NOTHING_LOST}")
            )
            secured.announce("grants it again")
            grant_again()
            secured.score("--available-now", *_SCORER).result()
        sent += _revoke_producer(secured, admin)
        secured.score("--available-now", *_SCORER).result()
        return f"it said: {sentences[0][:120]}...; then {secured.check_all_answered(sent)}"


def _revoke_producer(secured: Ground, admin: _Admin) -> int:
    """Revoke the producer's right while it sends, and grant it again; returns how many readings
    were stored.
    """
    topic = secured.settings.topics.readings
    right = Right("producer", "WRITE", topic)

    def stored() -> int:
        return sum(secured.reader.end(topic).values())

    before = stored()
    producer = secured.start_sending(50_000, *_PRODUCER, rate="500")
    until(lambda: stored() > before, "a reading sent")
    secured.announce("revokes the producer's right")
    admin.revoke(right)
    _await_failure(producer, "[Aa]uthoriz|may not|does not let")
    admin.grant(right)
    secured.send(500, *_PRODUCER)
    return stored() - before


def _await_failure(command: Command, pattern: str) -> str:
    """Wait for a command to fail; returns its message. Raises Broken if that lacks `pattern`."""
    until(lambda: command.has_ended, "the end of a program without its right")
    try:
        command.result()
    except CommandFailed as failure:
        sentence = str(failure)
    else:
        sentence = "nothing: it ended as if all was well"
    if re.search(pattern, sentence) is None or "Traceback" in sentence:
        message = f"it said {sentence}"
        raise Broken(message)
    return sentence.partition("failed: ")[2]


class _Admin:
    """Grants and revokes rights and passwords."""

    def __init__(self, home: Path, client: KafkaAdminClient) -> None:
        self._home, self._client = home, client

    def grant(self, right: Right) -> None:
        """Grant a right."""
        self._client.create_acls([right.acl])

    def revoke(self, right: Right) -> None:
        """Revoke a right."""
        [(_, acls, _)] = self._client.delete_acls([right.acl])
        if not acls:
            message = f"{right.user} did not have the right that was to be revoked"
            raise Broken(message)

    def invalidate_password(self, user: str) -> None:
        """Invalidate a user's passwords."""
        for name in self._mechanisms:
            self._alter(UserScramCredentialDeletion(user, name))

    def restore_password(self, user: str) -> None:
        """Make the password of a user's profile valid again."""
        password = (security.folder(self._home) / f"{user}.password").read_text("utf-8")
        for name in self._mechanisms:
            self._alter(UserScramCredentialUpsertion(user, name, password))

    @property
    def _mechanisms(self) -> list[str]:
        return [name for name in security.MECHANISMS if name.startswith("SCRAM")]

    def _alter(self, alteration: object) -> None:
        """Change a user; Kafka takes one change at a time."""
        faults = self._client.alter_user_scram_credentials([alteration])
        if any(faults.values()):
            raise AccessDenied(json.dumps(faults))


@contextmanager
def _start_secured(ground: Ground) -> Iterator[tuple[Ground, _Admin]]:
    """A ground with a secured Kafka of its own, and the admin of that."""
    with tempfile.TemporaryDirectory(prefix="digitstream-locked-") as name:
        home = Path(name)
        kafka = start_kafka(home, secure=True, session_ms=SESSION_MS)
        try:
            settings = _settings(home, ground, "reader")
            champion = bundle.load(ground.settings.registry.resolve().folder)
            adopt(settings, champion)
            admin = _settings(home, ground, "admin").kafka
            users = {program: program for program in PROGRAMS}
            topics = settings.topics
            grant(admin, [*rights(topics, users, settings.prefix, create=False)], topics, 2)
            anybody = replace(
                ground.settings,
                home=home,
                bootstrap_servers=kafka.bootstrap_servers,
                kafka_profile=None,
            )
            with (
                commands_of(anybody) as commands,
                topic_reader.open_reader(settings.kafka) as reader,
                _open_client(admin) as client,
            ):
                yield (
                    Ground(settings, commands, reader, announce=ground.announce),
                    _Admin(home, client),
                )
        finally:
            server.stop(home)


def _settings(home: Path, ground: Ground, profile: str) -> Scoring:
    flags = {"home": home, "kafka_profile": profile, "prefix": "revoked", "name": "revoked"}
    settings = load(Scoring, flags, {}, _NO_FILE)
    return replace(settings, master=ground.settings.master, engine=ENGINE)


@contextmanager
def _open_client(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    with connecting(kafka):
        client = KafkaAdminClient(**arguments(kafka))
    try:
        yield client
    finally:
        client.close()
