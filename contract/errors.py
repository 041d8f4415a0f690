"""The errors that a user sees: one sentence with the fact, the rule and the remedy."""

from __future__ import annotations


class DigitstreamError(Exception):
    """Something a user can mend; `str()` is the whole of what they need to read.

    `retriable` says of a class whether trying again without a change can help.
    """

    retriable = False


class SettingsError(DigitstreamError):
    """A flag, an environment variable or a line of digitstream.toml that cannot be obeyed."""


class BrokerUnavailable(DigitstreamError):
    """Nobody answers as Kafka at the address given."""

    retriable = True


class TlsFailed(DigitstreamError):
    """Kafka and we do not come to a connection by TLS, or one side does not trust the other."""


class AccessDenied(DigitstreamError):
    """Kafka does not know us, or does not let us do what a program must do."""


class TopicMissing(DigitstreamError):
    """A topic does not exist and may not be created by us."""


class CodecMissing(DigitstreamError):
    """Records are compressed in a way that this Python cannot undo."""


class BadEvent(DigitstreamError):
    """A record on one of our own topics that no codec of ours wrote."""


class RegistryUnavailable(DigitstreamError):
    """MLflow does not answer, or answers with an error of its own."""

    retriable = True


class NoChampion(DigitstreamError):
    """The registry has no model under the alias asked for."""


class BundleError(DigitstreamError):
    """A bundle's folder is not what its manifest says."""


class DataError(DigitstreamError):
    """A data set that cannot be read as images and labels."""
