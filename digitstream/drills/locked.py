"""A drill of users whose rights or passwords are taken away while their programs run."""

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
from digitstream.kafka.acls import PROGRAMS, Right, give, rights
from digitstream.machine.subcommands import Command, CommandFailed

SESSION_MS = 3_000
"""How soon a broker notices that a password does not count any more."""

_NO_FILE = Path("no-such.toml")
_SCORER, _PRODUCER = (("--kafka-profile", user) for user in ("scorer", "producer"))


@drill(
    "user-revoked",
    "The scorer's right to write scores, then its password, and the producer's right to write "
    "readings are taken away while they work: each stops with a sentence that says what it lacks, "
    "nothing is lost, and it goes on once it may.",
)
def _user_revoked(ground: Ground) -> str:
    with _locked(ground) as (locked, admin):
        topics = locked.settings.topics
        write_scores = Right("scorer", "WRITE", topics.scores)
        sent = locked.send(1_000, *_PRODUCER)
        revocations: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            topics.scores: (lambda: admin.take(write_scores), lambda: admin.give(write_scores)),
            "[Aa]uthentication": (
                lambda: admin.lock_out("scorer"),
                lambda: admin.let_in("scorer"),
            ),
        }
        sentences = []
        for lacking, (take, give_back) in revocations.items():
            scorer = locked.score(*_SCORER)
            locked.await_said(scorer, "Ready: ")  # what it says of its start is another sentence
            locked.await_answers(sent, scorer)
            locked.tell("takes a right or a password away")
            take()
            sent += locked.send(1_000, *_PRODUCER)
            sentences.append(_sentence(scorer, rf"does not let scorer .*{lacking}.*{NOTHING_LOST}"))
            locked.tell("gives it back")
            give_back()
            locked.score("--available-now", *_SCORER).result()
        sent += _sending_revoked(locked, admin)
        locked.score("--available-now", *_SCORER).result()
        return f"it said: {sentences[0][:120]}...; then {locked.all_answered(sent)}"


def _sending_revoked(locked: Ground, admin: _Admin) -> int:
    """Take the producer's right away while it sends, and give it back; how many readings came."""
    topic = locked.settings.topics.readings
    right = Right("producer", "WRITE", topic)

    def stored() -> int:
        return sum(locked.reader.end(topic).values())

    before = stored()
    producer = locked.sending(50_000, *_PRODUCER, rate="500")
    until(lambda: stored() > before, "a reading sent")
    locked.tell("takes the producer's right away")
    admin.take(right)
    _sentence(producer, "[Aa]uthoriz|may not|does not let")
    admin.give(right)
    locked.send(500, *_PRODUCER)
    return stored() - before


def _sentence(command: Command, pattern: str) -> str:
    """What a command says that ends because it lacks something; raises Broken if it does not."""
    until(lambda: command.ended, "the end of a program without its right")
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
    """Who may give and take rights and passwords."""

    def __init__(self, home: Path, client: KafkaAdminClient) -> None:
        self._home, self._client = home, client

    def give(self, right: Right) -> None:
        """Give a right."""
        self._client.create_acls([right.acl])

    def take(self, right: Right) -> None:
        """Take a right away."""
        [(_, acls, _)] = self._client.delete_acls([right.acl])
        if not acls:
            message = f"{right.user} did not have the right that was to be taken"
            raise Broken(message)

    def lock_out(self, user: str) -> None:
        """Let a user's passwords count no more."""
        for name in self._mechanisms:
            self._alter(UserScramCredentialDeletion(user, name))

    def let_in(self, user: str) -> None:
        """Let the password of a user's profile count again."""
        password = (security.folder(self._home) / f"{user}.password").read_text("utf-8")
        for name in self._mechanisms:
            self._alter(UserScramCredentialUpsertion(user, name, password))

    @property
    def _mechanisms(self) -> list[str]:
        return [name for name in security.MECHANISMS if name.startswith("SCRAM")]

    def _alter(self, alteration: object) -> None:
        """Kafka takes one change of a user at a time."""
        faults = self._client.alter_user_scram_credentials([alteration])
        if any(faults.values()):
            raise AccessDenied(json.dumps(faults))


@contextmanager
def _locked(ground: Ground) -> Iterator[tuple[Ground, _Admin]]:
    """A ground with a Kafka of its own that lets in only whom it knows, and who gives rights."""
    with tempfile.TemporaryDirectory(prefix="digitstream-locked-") as name:
        home = Path(name)
        kafka = start_kafka(home, locked=True, session_ms=SESSION_MS)
        try:
            settings = _settings(home, ground, "reader")
            champion = bundle.load(ground.settings.registry.resolve().folder)
            adopt(settings, champion)
            admin = _settings(home, ground, "admin").kafka
            users = {program: program for program in PROGRAMS}
            topics = settings.topics
            give(admin, [*rights(topics, users, settings.prefix, create=False)], topics, 2)
            anybody = replace(
                ground.settings,
                home=home,
                bootstrap_servers=kafka.bootstrap_servers,
                kafka_profile=None,
            )
            with (
                commands_of(anybody) as commands,
                topic_reader.reading(settings.kafka) as reader,
                _client(admin) as client,
            ):
                yield Ground(settings, commands, reader, tell=ground.tell), _Admin(home, client)
        finally:
            server.stop(home)


def _settings(home: Path, ground: Ground, profile: str) -> Scoring:
    flags = {"home": home, "kafka_profile": profile, "prefix": "revoked", "name": "revoked"}
    settings = load(Scoring, flags, {}, _NO_FILE)
    return replace(settings, master=ground.settings.master, engine=ENGINE)


@contextmanager
def _client(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    with connecting(kafka):
        client = KafkaAdminClient(**arguments(kafka))
    try:
        yield client
    finally:
        client.close()
