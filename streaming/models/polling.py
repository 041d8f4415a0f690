"""Polls the registry: a thread asks for aliases, loads versions and writes results.

No micro-batch waits for the registry, however long it takes to answer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from contract.errors import BundleError, DigitstreamError, NoChampion
from contract.model import bundle
from contract.model.bundle import Bundle
from contract.model.registry import CHALLENGER, CHAMPION, RegisteredVersion, Registry
from contract.notices import Notice
from streaming.models.loaded import Loaded, Loader, Tell, check_same_images
from streaming.spark.stopping import Stopping

T = TypeVar("T")

PAUSE_SECONDS = 0.5
"""Seconds between an answer of the registry and the next request."""

# How long a stopping program waits for the registry's answer, or for a model that is being loaded.
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Aliases:
    """The latest versions with an alias that could be loaded."""

    champion: Loaded
    challenger: Loaded | None = None


@dataclass(frozen=True)
class _Note:
    """A pending write to the registry, and what a person does if it fails."""

    fact: str
    remedy: str
    write: Callable[[], None]


class Poller:
    """Polls the registry, after `begin`, and provides the versions that are ready to score.

    Never provides a version that cannot be loaded or fails its golden set. Writes to the registry
    are retried until they succeed; `close` reports those that did not through `tell`. `previous`
    returns the previous champion while that is loaded.
    """

    def __init__(
        self,
        registry: Registry,
        loader: Loader,
        tell: Tell,
        previous: Callable[[], Loaded | None],
        *,
        has_challenger: bool,
    ) -> None:
        self._registry, self._loader, self._tell, self._previous = registry, loader, tell, previous
        self._has_challenger = has_challenger
        self._aliases: Aliases | None = None
        self._refused: dict[str, str] = {}
        self._lock = threading.Lock()
        self._notes: deque[_Note] = deque()
        self._asked_at: float | None = None
        self._is_away = False
        self._vacancy = ""
        self._woken, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)

    def begin(self, *, watched: bool) -> Loaded | None:
        """Load the models at once, then poll in a thread.

        With `watched`, returns the previous champion if the current one is new or its watch was not
        finished. Raises NoChampion, RegistryUnavailable, SettingsError and BundleError if no model
        can score.
        """
        previous = self._load_previous() if watched else None
        registered = self._registry.resolve()
        if previous is None:
            self._aliases = Aliases(self._loader.load(registered, bundle.load(registered.folder)))
        else:
            self._aliases = Aliases(previous)
            self._assign(CHAMPION, registered)
        if self._has_challenger:
            self._guarded(partial(self._look, CHALLENGER))
        self._thread.start()
        return previous

    @property
    def aliases(self) -> Aliases:
        """The versions that score now."""
        if self._aliases is None:
            message = "The registry was not asked for a version yet: call begin() first."
            raise RuntimeError(message)
        return self._aliases

    @property
    def silent_s(self) -> float:
        """Seconds since a request that the registry has not answered; 0 if there is none."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def confirm(self, champion: Loaded) -> None:
        """Record in the registry that a version no longer needs to be watched."""
        version = champion.model.version
        self._note(
            f"version {version} did as well as the previous one",
            "The next start watches it again.",
            partial(self._registry.mark_passed, version),
        )

    def remove(self, alias: str, loaded: Loaded, why: str, instead: Loaded | None) -> None:
        """Remove the alias from a version: here at once, in the registry as soon as it answers;
        `instead` gets it.
        """
        version = loaded.model.version
        successor = None if instead is None else instead.model.version
        with self._lock:
            self._refused[alias] = version
            if instead is not None:
                self._aliases = replace(self.aliases, champion=instead)
            else:
                self._aliases = replace(self.aliases, challenger=None)
        self._note(
            f"version {version} is no longer {alias}",
            f"Do it with `digitstream models {'dismiss' if instead is None else 'rollback'}`.",
            partial(self._registry.remove_alias, version, alias, why, instead=successor),
        )

    def close(self) -> None:
        """Stop the thread once it has written what is pending; report what it could not write."""
        self._closed.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_SECONDS)
        for note in self._notes:
            self._warn(f"The registry could not record that {note.fact}. {note.remedy}")

    def _run(self) -> None:
        while not self._closed.is_set():
            self._woken.wait(PAUSE_SECONDS)
            self._woken.clear()
            self._guarded(self._ask)
        self._guarded(self._write)

    def _ask(self) -> None:
        """Write what is pending, then ask for the aliases."""
        self._write()
        self._look(CHAMPION)
        if self._has_challenger:
            self._look(CHALLENGER)

    def _write(self) -> None:
        """Write what is pending; raises RegistryUnavailable and keeps what is left."""
        while self._notes:
            try:
                self._answered(self._notes[0].write)
            except NoChampion as error:  # the version is gone
                self._warn(str(error))
            self._notes.popleft()

    def _answered(self, question: Callable[[], T]) -> T:
        """The registry's answer; `silent_s` counts while it is outstanding."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        try:
            answer = question()
        except NoChampion:
            self._asked_at = None
            raise
        self._asked_at = None
        return answer

    def _guarded(self, ask: Callable[[], None]) -> None:
        """Ask the registry; report once that it does not answer, and once that it does again."""
        try:
            ask()
        except Exception as error:  # whatever it is, scoring continues
            if not self._is_away and not self._closed.is_set():
                self._is_away = True
                self._warn(f"{_reason(error)} {self._continuation()} Retrying until it answers.")
        else:
            if self._is_away:
                self._warn("The registry answers again.")
            self._is_away = False

    def _look(self, alias: str) -> None:
        """Ask who has the alias, and load that version; raises RegistryUnavailable."""
        try:
            registered = self._answered(partial(self._registry.resolve, alias))
        except NoChampion as error:
            self._vacate(alias, error)
            return
        if alias == CHAMPION:
            self._vacancy = ""
        self._assign(alias, registered)

    def _vacate(self, alias: str, error: NoChampion) -> None:
        """Handle an alias that no version has: a challenger is dropped; a champion stays, which is
        reported once.
        """
        with self._lock:
            self._refused.pop(alias, None)
            if alias == CHALLENGER:
                self._aliases = replace(self.aliases, challenger=None)
        if alias == CHALLENGER:
            return
        if self._vacancy != str(error):
            self._vacancy = str(error)
            self._warn(f"{error} {self._continuation()}")

    def _assign(self, alias: str, registered: RegisteredVersion) -> None:
        """Load the version that has the alias, and let it score, if that is a new one."""
        with self._lock:
            current = self.aliases.champion if alias == CHAMPION else self.aliases.challenger
            if registered.version == self._refused.get(alias):
                return
            self._refused.pop(alias, None)
        if current is not None and current.model.version == registered.version:
            return
        loaded = self._load(alias, registered)
        if loaded is None or self._closed.is_set():
            return
        with self._lock:
            self._aliases = replace(self.aliases, **{alias: loaded})
        if alias == CHAMPION:
            self._tell(f"Version {registered.version} of {registered.name} scores from now on.")

    def _load(self, alias: str, registered: RegisteredVersion) -> Loaded | None:
        """Check and load the version; None if it may not score, which is reported."""
        previous = self._previous() if alias == CHAMPION else None
        if previous is not None and previous.model.version == registered.version:
            return previous
        try:
            checked = bundle.load(registered.folder)
            check_same_images(self.aliases.champion.bundle, checked)
            return self._loader.load(registered, checked)
        except Stopping:
            return None
        except Exception as error:  # whatever is wrong with it, scoring continues
            if not self._closed.is_set():
                with self._lock:
                    self._refused[alias] = registered.version
                fault = f"Version {registered.version} cannot be {alias}: {_reason(error)}"
                self._warn(f"{fault} {self._continuation()}")
            return None

    def _load_previous(self) -> Loaded | None:
        """Load the previous champion, if it is to watch the current one and can score."""
        registered = self._registry.baseline()
        if registered is None:
            return None
        try:
            previous = bundle.load(registered.folder)
            champion = _intact(self._registry.resolve())
            if champion is not None:
                check_same_images(champion, previous)
            return self._loader.load(registered, previous)
        except BundleError as error:
            self._warn(
                f"Version {registered.version} cannot be compared with the champion: {error}"
            )
            return None

    def _note(self, fact: str, remedy: str, write: Callable[[], None]) -> None:
        self._notes.append(_Note(fact, remedy, write))
        self._woken.set()

    def _warn(self, sentence: str) -> None:
        self._tell(Notice(sentence))

    def _continuation(self) -> str:
        return f"Version {self.aliases.champion.model.version} continues as champion."


def _intact(registered: RegisteredVersion) -> Bundle | None:
    """The version's bundle; None if it cannot be read."""
    try:
        return bundle.load(registered.folder)
    except BundleError:
        return None


def _reason(error: Exception) -> str:
    """An error as text for users."""
    return str(error) if isinstance(error, DigitstreamError) else f"{type(error).__name__}: {error}"
