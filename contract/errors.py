"""The errors that a user sees: one sentence with the fact, the rule and the remedy.

Each is one of seven kinds, by what its remedy is about. A class lies where it is raised, or here
where several rooms raise it:

    DigitstreamError
      BrokerError
        AccessDenied
        BrokerUnavailable
        RecordsLost
        TlsFailed
        TopicMissing
        TopicRecreated (streaming.spark.topic_ids)
        TopicRefused (contract.kafka.subscription)
        Undelivered (producers.sending)
          Refused (producers.sending)
          Unanswered (producers.sending)
      InputError
        BadEvent
        CodecMissing
        DataError
      InstallationError
        CheckFailed (digitstream.health.doctor)
        JarsChanged (digitstream.machine.jars)
        JarsUnavailable (digitstream.machine.jars)
        JavaMissing (digitstream.machine.java)
        NotSecured (digitstream.kafka.server)
        PortTaken (digitstream.machine.ports)
        SecretsDamaged (digitstream.kafka.certificates)
      ModelError
        BundleError
        ModelFailed (streaming.errors)
        NoChampion
        RegistryUnavailable
        TookTooLong (streaming.engines.deadline)
      ProgramError
        ArchiveStopped (streaming.archive.failures)
        Broken (digitstream.drills.outcome)
        CommandFailed (digitstream.machine.subcommands)
        DemoFailed (digitstream.demo.demo)
        Impossible (digitstream.drills.outcome)
        QueryStopped (digitstream.machine.deadline)
        ReplayFailed (digitstream.dead_letters.replay)
        ScoringStopped (streaming.query.failures)
      StateError
        CheckpointDamaged (contract.home.checkpoint)
        CheckpointInUse (streaming.spark.locks)
        CheckpointUnusable (streaming.spark.locks)
        LockUnreadable (digitstream.health.status)
        LockUnusable (streaming.spark.locks)
        NoTables (streaming.archive.place)
        TableBusy (streaming.archive.place)
        TablesUnreadable (streaming.archive.failures)
        TablesUnwritable (streaming.archive.failures)
      UsageError
        BadQuery (digitstream.tables.sandbox)
        NoSuchLetter (digitstream.dead_letters.detail)
        NothingToCompare (digitstream.health.comparison)
        OtherTopic (streaming.archive.archiving)
        SettingsError
        Unsafe (digitstream.tables.maintenance)
"""

from __future__ import annotations


class DigitstreamError(Exception):
    """Something a user can mend; `str()` is the whole of what they need to read.

    `retriable` says of a class whether trying again without a change can help.
    """

    retriable = False


class UsageError(DigitstreamError):
    """What was asked for is not there, or cannot be done."""


class InputError(DigitstreamError):
    """Records or files that cannot be read as what they should be."""


class BrokerError(DigitstreamError):
    """Kafka, its topics, and the way to them."""


class ModelError(DigitstreamError):
    """A model, its bundle, and the registry that has it."""


class StateError(DigitstreamError):
    """What queries keep on disk: checkpoints, locks, tables."""


class InstallationError(DigitstreamError):
    """What this machine must have: Java, jars, ports, certificates."""


class ProgramError(DigitstreamError):
    """A program of ours that stopped before its work was done."""


class SettingsError(UsageError):
    """A flag, an environment variable or a line of digitstream.toml that cannot be obeyed."""


class BrokerUnavailable(BrokerError):
    """Nobody answers as Kafka at the address given."""

    retriable = True


class TlsFailed(BrokerError):
    """Kafka and we do not come to a connection by TLS, or one side does not trust the other."""


class AccessDenied(BrokerError):
    """Kafka does not know us, or does not let us do what a program must do."""


class TopicMissing(BrokerError):
    """A topic does not exist and may not be created by us."""


class RecordsLost(BrokerError):
    """Kafka no longer has records that were not read yet."""


class CodecMissing(InputError):
    """Records are compressed in a way that this Python cannot undo."""


class BadEvent(InputError):
    """A record on one of our own topics that no codec of ours wrote."""


class RegistryUnavailable(ModelError):
    """MLflow does not answer, or answers with an error of its own."""

    retriable = True


class NoChampion(ModelError):
    """The registry has no model under the alias asked for."""


class BundleError(ModelError):
    """A bundle's folder is not what its manifest says."""


class DataError(InputError):
    """A data set that cannot be read as images and labels."""
