"""The registry beside the stream: who has which alias is asked, loaded and written by a thread.

An answer may take as long as the registry likes: no micro-batch waits for one.
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
"""From one answer of the registry to the next question."""

# What a program that ends waits for an answer of the registry, or a model that is being loaded.
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Aliases:
    """The versions with an alias, as the registry last said and could be loaded; a value."""

    champion: Loaded
    challenger: Loaded | None = None


@dataclass(frozen=True)
class _Note:
    """What the registry has to be told, and what a person does where it cannot be."""

    fact: str
    remedy: str
    write: Callable[[], None]


class Poller:
    """Asks the registry again and again, once it was begun, and hands over who is ready to score.

    A version that cannot be loaded, or fails its golden set, is never handed over. What the
    registry is told is kept until it has it; what it does not have when this is closed is said by
    `tell`. `previous` gives the champion before this one while that is loaded.
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
        """Load who scores, here and now, and go on asking beside.

        With `watched`, returns the champion before this one where this one is new or was not
        watched to the end. Raises NoChampion, RegistryUnavailable, SettingsError and BundleError
        while nobody can score.
        """
        before = self._before() if watched else None
        registered = self._registry.resolve()
        if before is None:
            self._aliases = Aliases(self._loader.load(registered, bundle.load(registered.folder)))
        else:
            self._aliases = Aliases(before)
            self._settle(CHAMPION, registered)
        if self._has_challenger:
            self._guarded(partial(self._look, CHALLENGER))
        self._thread.start()
        return before

    @property
    def aliases(self) -> Aliases:
        """Who scores as far as is known."""
        if self._aliases is None:
            message = "No version is known before the registry was asked: call begin() first."
            raise RuntimeError(message)
        return self._aliases

    @property
    def silent_s(self) -> float:
        """Seconds for which the registry owes an answer; 0 where it owes none."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def confirm(self, champion: Loaded) -> None:
        """Let the registry know that a version need not be watched any more."""
        version = champion.model.version
        self._note(
            f"version {version} did as well as the one before it",
            "The next start watches it again.",
            partial(self._registry.mark_passed, version),
        )

    def remove(self, alias: str, loaded: Loaded, why: str, instead: Loaded | None) -> None:
        """Take the alias from a version at once here, and in the registry as soon as it answers;
        `instead` has it then.
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
            f"version {version} is {alias} no longer",
            f"Do it with `digitstream models {'dismiss' if instead is None else 'rollback'}`.",
            partial(self._registry.remove_alias, version, alias, why, instead=successor),
        )

    def close(self) -> None:
        """End the thread, once it has written what is left, and tell what it could not write."""
        self._closed.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_SECONDS)
        for note in self._notes:
            self._warn(f"The registry could not be told that {note.fact}. {note.remedy}")

    def _run(self) -> None:
        while not self._closed.is_set():
            self._woken.wait(PAUSE_SECONDS)
            self._woken.clear()
            self._guarded(self._ask)
        self._guarded(self._write)

    def _ask(self) -> None:
        """Write what is to be written, then look who has which alias."""
        self._write()
        self._look(CHAMPION)
        if self._has_challenger:
            self._look(CHALLENGER)

    def _write(self) -> None:
        """Tell the registry what it has to know; raises RegistryUnavailable, and keeps the rest."""
        while self._notes:
            try:
                self._answered(self._notes[0].write)
            except NoChampion as error:  # the version is gone
                self._warn(str(error))
            self._notes.popleft()

    def _answered(self, question: Callable[[], T]) -> T:
        """The registry's answer; how long one is owed is known meanwhile."""
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
        """Ask the registry; that it does not answer is told once, until it answers again."""
        try:
            ask()
        except Exception as error:  # of whatever kind: those that score go on
            if not self._is_away and not self._closed.is_set():
                self._is_away = True
                self._warn(f"{_reason(error)} {self._goes_on()} It is asked until it answers.")
        else:
            if self._is_away:
                self._warn("The registry answers again.")
            self._is_away = False

    def _look(self, alias: str) -> None:
        """Hand over the version that has the alias; raises RegistryUnavailable."""
        try:
            registered = self._answered(partial(self._registry.resolve, alias))
        except NoChampion as error:
            self._vacate(alias, error)
            return
        if alias == CHAMPION:
            self._vacancy = ""
        self._settle(alias, registered)

    def _vacate(self, alias: str, error: NoChampion) -> None:
        """Nobody has the alias: a challenger goes, a champion stays, and that is told once."""
        with self._lock:
            self._refused.pop(alias, None)
            if alias == CHALLENGER:
                self._aliases = replace(self.aliases, challenger=None)
        if alias == CHALLENGER:
            return
        if self._vacancy != str(error):
            self._vacancy = str(error)
            self._warn(f"{error} {self._goes_on()}")

    def _settle(self, alias: str, registered: RegisteredVersion) -> None:
        """Hand over the version that has the alias, if it is another one than had it."""
        with self._lock:
            current = self.aliases.champion if alias == CHAMPION else self.aliases.challenger
            if registered.version == self._refused.get(alias):
                return
            self._refused.pop(alias, None)
        if current is not None and current.model.version == registered.version:
            return
        loaded = self._loaded(alias, registered)
        if loaded is None or self._closed.is_set():
            return
        with self._lock:
            self._aliases = replace(self.aliases, **{alias: loaded})
        if alias == CHAMPION:
            self._tell(f"Version {registered.version} of {registered.name} scores from now on.")

    def _loaded(self, alias: str, registered: RegisteredVersion) -> Loaded | None:
        """The version, checked; None, and told, if it may not score."""
        previous = self._previous() if alias == CHAMPION else None
        if previous is not None and previous.model.version == registered.version:
            return previous
        try:
            checked = bundle.load(registered.folder)
            check_same_images(self.aliases.champion.bundle, checked)
            return self._loader.load(registered, checked)
        except Stopping:
            return None
        except Exception as error:  # whatever is wrong with it, those that score go on
            if not self._closed.is_set():
                with self._lock:
                    self._refused[alias] = registered.version
                fault = f"Version {registered.version} cannot be {alias}: {_reason(error)}"
                self._warn(f"{fault} {self._goes_on()}")
            return None

    def _before(self) -> Loaded | None:
        """The champion before this one, if this one is to be watched by it and it can score."""
        registered = self._registry.baseline()
        if registered is None:
            return None
        try:
            before = bundle.load(registered.folder)
            champion = _intact(self._registry.resolve())
            if champion is not None:
                check_same_images(champion, before)
            return self._loader.load(registered, before)
        except BundleError as error:
            self._warn(
                f"Version {registered.version} does not watch the champion after it: {error}"
            )
            return None

    def _note(self, fact: str, remedy: str, write: Callable[[], None]) -> None:
        self._notes.append(_Note(fact, remedy, write))
        self._woken.set()

    def _warn(self, sentence: str) -> None:
        self._tell(Notice(sentence))

    def _goes_on(self) -> str:
        return f"Version {self.aliases.champion.model.version} goes on as champion."


def _intact(registered: RegisteredVersion) -> Bundle | None:
    """The version's bundle, if it can be read at all."""
    try:
        return bundle.load(registered.folder)
    except BundleError:
        return None


def _reason(error: Exception) -> str:
    """What a person should read of an error."""
    return str(error) if isinstance(error, DigitstreamError) else f"{type(error).__name__}: {error}"
