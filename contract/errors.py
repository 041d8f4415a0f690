"""The errors that a user sees. Their message says what is wrong, what must hold, and what to do.

Each is of one of seven kinds. A class is defined where it is raised, or here if several packages
raise it:

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
    """An error that a user can fix; `str()` is the complete message.

    `retriable` says whether trying again without a change can help.
    """

    retriable = False


class UsageError(DigitstreamError):
    """Something requested does not exist or cannot be done."""


class InputError(DigitstreamError):
    """Records or files with invalid content."""


class BrokerError(DigitstreamError):
    """Kafka, its topics, or the connection to it."""


class ModelError(DigitstreamError):
    """A model, its bundle, or the registry."""


class StateError(DigitstreamError):
    """State of queries on disk: checkpoints, locks, tables."""


class InstallationError(DigitstreamError):
    """Requirements on this machine: Java, jars, ports, certificates."""


class ProgramError(DigitstreamError):
    """A program that stopped before its work was done."""


class SettingsError(UsageError):
    """An invalid flag, environment variable or line of digitstream.toml."""


class BrokerUnavailable(BrokerError):
    """No Kafka broker answers at the address."""

    retriable = True


class TlsFailed(BrokerError):
    """A TLS connection to Kafka failed, or one side does not trust the other."""


class AccessDenied(BrokerError):
    """Kafka refuses our login, or a right that the program needs."""


class TopicMissing(BrokerError):
    """A topic does not exist, and we may not create it."""


class RecordsLost(BrokerError):
    """Kafka deleted records before they were read."""


class CodecMissing(InputError):
    """Records use a compression whose Python package is missing."""


class BadEvent(InputError):
    """A record on one of our topics that is not a valid event of that topic."""


class RegistryUnavailable(ModelError):
    """MLflow does not answer, or answers with an error."""

    retriable = True


class NoChampion(ModelError):
    """The registry has no model version with that alias or number."""


class BundleError(ModelError):
    """A bundle's folder does not match its manifest."""


class DataError(InputError):
    """A data set without valid images and labels."""
