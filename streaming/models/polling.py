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
from streaming.models.loaded import Loaded, Loader, Tell, alike
from streaming.spark.stopping import Stopping

T = TypeVar("T")

PAUSE_SECONDS = 0.5
"""From one answer of the registry to the next question."""

# What a program that ends waits for an answer of the registry, or a model that is being loaded.
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Seats:
    """Who scores, as the registry last said and could be loaded. A value: it never changes."""

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
    `tell`. `spare` is a champion before this one that is still loaded.
    """

    def __init__(
        self,
        registry: Registry,
        loader: Loader,
        tell: Tell,
        spare: Callable[[], Loaded | None],
        *,
        challenged: bool,
    ) -> None:
        self._registry, self._loader, self._tell, self._spare = registry, loader, tell, spare
        self._challenged = challenged
        self._seats: Seats | None = None
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
        found = self._registry.resolve()
        if before is None:
            self._seats = Seats(self._loader.load(found, bundle.load(found.folder)))
        else:
            self._seats = Seats(before)
            self._settle(CHAMPION, found)
        if self._challenged:
            self._guarded(partial(self._look, CHALLENGER))
        self._thread.start()
        return before

    @property
    def seats(self) -> Seats:
        """Who scores as far as is known."""
        if self._seats is None:
            message = "Nobody has a seat before the registry was asked: call begin() first."
            raise RuntimeError(message)
        return self._seats

    @property
    def silent_s(self) -> float:
        """Seconds for which the registry owes an answer; 0 where it owes none."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def passed(self, champion: Loaded) -> None:
        """Let the registry know that a version need not be watched any more."""
        version = champion.model.version
        self._note(
            f"version {version} did as well as the one before it",
            "The next start watches it again.",
            partial(self._registry.mark_passed, version),
        )

    def removed(self, alias: str, loaded: Loaded, why: str, instead: Loaded | None) -> None:
        """Take the alias from a version at once here, and in the registry as soon as it answers;
        `instead` has it then.
        """
        version = loaded.model.version
        successor = None if instead is None else instead.model.version
        with self._lock:
            self._refused[alias] = version
            if instead is not None:
                self._seats = replace(self.seats, champion=instead)
            else:
                self._seats = replace(self.seats, challenger=None)
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
        if self._challenged:
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
        """Seat who has the alias; raises RegistryUnavailable."""
        try:
            found = self._answered(partial(self._registry.resolve, alias))
        except NoChampion as error:
            self._vacate(alias, error)
            return
        if alias == CHAMPION:
            self._vacancy = ""
        self._settle(alias, found)

    def _vacate(self, alias: str, error: NoChampion) -> None:
        """Nobody has the alias: a challenger goes, a champion stays, and that is told once."""
        with self._lock:
            self._refused.pop(alias, None)
            if alias == CHALLENGER:
                self._seats = replace(self.seats, challenger=None)
        if alias == CHALLENGER:
            return
        if self._vacancy != str(error):
            self._vacancy = str(error)
            self._warn(f"{error} {self._goes_on()}")

    def _settle(self, alias: str, found: RegisteredVersion) -> None:
        """Hand over the version that has the alias, if it is another one than sits there."""
        with self._lock:
            sitting = self.seats.champion if alias == CHAMPION else self.seats.challenger
            if found.version == self._refused.get(alias):
                return
            self._refused.pop(alias, None)
        if sitting is not None and sitting.model.version == found.version:
            return
        loaded = self._loaded(alias, found)
        if loaded is None or self._closed.is_set():
            return
        with self._lock:
            seat = "champion" if alias == CHAMPION else "challenger"
            self._seats = replace(self.seats, **{seat: loaded})
        if alias == CHAMPION:
            self._tell(f"Version {found.version} of {found.name} scores from now on.")

    def _loaded(self, alias: str, found: RegisteredVersion) -> Loaded | None:
        """The version, checked; None, and told, if it may not score."""
        spare = self._spare() if alias == CHAMPION else None
        if spare is not None and spare.model.version == found.version:
            return spare
        try:
            checked = bundle.load(found.folder)
            alike(self.seats.champion.bundle, checked)
            return self._loader.load(found, checked)
        except Stopping:
            return None
        except Exception as error:  # whatever is wrong with it, those that score go on
            if not self._closed.is_set():
                with self._lock:
                    self._refused[alias] = found.version
                self._warn(
                    f"Version {found.version} cannot be {alias}: {_reason(error)} {self._goes_on()}"
                )
            return None

    def _before(self) -> Loaded | None:
        """The champion before this one, if this one is to be watched by it and it can score."""
        found = self._registry.baseline()
        if found is None:
            return None
        try:
            before = bundle.load(found.folder)
            champion = _intact(self._registry.resolve())
            if champion is not None:
                alike(champion, before)
            return self._loader.load(found, before)
        except BundleError as error:
            self._warn(f"Version {found.version} does not watch the champion after it: {error}")
            return None

    def _note(self, fact: str, remedy: str, write: Callable[[], None]) -> None:
        self._notes.append(_Note(fact, remedy, write))
        self._woken.set()

    def _warn(self, sentence: str) -> None:
        self._tell(Notice(sentence))

    def _goes_on(self) -> str:
        return f"Version {self.seats.champion.model.version} goes on as champion."


def _intact(found: RegisteredVersion) -> Bundle | None:
    """The version's bundle, if it can be read at all."""
    try:
        return bundle.load(found.folder)
    except BundleError:
        return None


def _reason(error: Exception) -> str:
    """What a person should read of an error."""
    return str(error) if isinstance(error, DigitstreamError) else f"{type(error).__name__}: {error}"
