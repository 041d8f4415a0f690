"""Which models score a micro-batch: those that are known at its start, whoever asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from contract.model.registry import CHALLENGER, CHAMPION, Registry
from contract.notices import Notice
from streaming.models.answering import CANARY, CANARY_GUARD, GUARD, SCORE
from streaming.models.guard import Bounds, Watch
from streaming.models.loaded import Loaded, Loader, Tell
from streaming.models.polling import Poller, Seats


@dataclass(frozen=True)
class Roles:
    """What a challenger does, in shares of all devices and of all readings; and how the new are
    watched.
    """

    canary: float = 0.0
    shadow: float = 0.0
    guard: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, eq=False)
class LineUp:
    """The models of one micro-batch.

    `before` is the champion before this one, while that is watched; `watched` says whether the
    challenger is.
    """

    champion: Loaded
    before: Loaded | None = None
    challenger: Loaded | None = None
    watched: bool = False


class Champions:
    """The line-up of one micro-batch after another; what is loaded stays until it is replaced.

    A version that does worse than the one before it on its first readings is rolled back; that is
    told, and what scored before goes on. Who comes is found out beside
    (`streaming.models.polling`), so that nothing here waits for the registry, once the first
    champion is there.
    """

    def __init__(self, registry: Registry, loader: Loader, roles: Roles, tell: Tell) -> None:
        self._roles, self._tell = roles, tell
        self._champion: Loaded | None = None
        self._before: Loaded | None = None
        self._challenger: Loaded | None = None
        self._watch: dict[str, Watch] = {}
        challenged = bool(roles.canary or roles.shadow)
        self._poller = Poller(registry, loader, tell, lambda: self._before, challenged=challenged)

    @property
    def registry_silent_s(self) -> float:
        """Seconds for which the registry owes an answer; 0 where it owes none."""
        return self._poller.silent_s

    def current(self) -> LineUp:
        """The models of now.

        The first time it asks the registry and loads them: raises NoChampion, RegistryUnavailable,
        SettingsError and BundleError while none can score.
        """
        if self._champion is None:
            self._champion = self._poller.begin(watched=bool(self._roles.guard.readings))
        seats = self._poller.seats
        self._seat(seats)
        return LineUp(
            seats.champion, self._before, self._challenger, watched=CHALLENGER in self._watch
        )

    def saw(self, figures: Mapping[str, float]) -> None:
        """Take note of a micro-batch's figures: whoever is watched may pass by them, or go."""
        for alias, watch in [*self._watch.items()]:
            fault = watch.saw(figures)
            if fault is not None:
                self._removed(alias, fault)
            elif watch.over:
                self._passed(alias)

    def blamed(self, failure: str) -> bool:
        """Remove the model that failed a micro-batch, if it can be done again without it."""
        challenger, champion, before = self._challenger, self._champion, self._before
        fault = f"failed a micro-batch ({failure.partition('. ')[0]})"
        if challenger is not None and f"Model {challenger.title} " in failure:
            self._removed(CHALLENGER, fault)
            return True
        if before is None or champion is None:
            return False
        if f"Model {champion.title} " in failure:
            self._removed(CHAMPION, fault)
            return True
        if f"Model {before.title} " in failure:
            self._unwatched()
            watcher, watched = before.model.version, champion.model.version
            sentence = f"Version {watcher} {fault}: it does not watch version {watched} any more."
            self._tell(Notice(sentence))
            return True
        return False

    def close(self) -> None:
        """Ask the registry no more, and let go of every model that is loaded."""
        self._poller.close()
        for loaded in (self._champion, self._before, self._challenger):
            if loaded is not None:
                loaded.engine.close()
        self._champion = self._before = self._challenger = None
        self._watch.clear()

    def _seat(self, seats: Seats) -> None:
        """Let those score that are handed over, and those go that had their seats."""
        if seats.champion is self._before:
            self._back()
        elif seats.champion is not self._champion:
            if self._champion is not None:
                self._succeeded(self._champion)
            self._champion = seats.champion
        if seats.challenger is not self._challenger:
            self._left()
            self._challenger = seats.challenger
            if self._challenger and self._roles.canary and self._roles.guard.readings:
                self._watch[CHALLENGER] = Watch(self._roles.guard, CANARY, CANARY_GUARD)

    def _succeeded(self, old: Loaded) -> None:
        """Watch the new champion beside the last one that is known to be good."""
        if self._before is not None or not self._roles.guard.readings:
            old.engine.close()
        else:
            self._before = old
        if self._before is not None:
            self._watch[CHAMPION] = Watch(self._roles.guard, SCORE, GUARD)

    def _passed(self, alias: str) -> None:
        self._watch.pop(alias)
        if alias == CHAMPION and self._champion is not None and self._before is not None:
            self._unwatched()
            self._poller.passed(self._champion)

    def _unwatched(self) -> None:
        """Let go of the champion before this one."""
        if self._before is not None:
            self._before.engine.close()
        self._before = None
        self._watch.pop(CHAMPION, None)

    def _removed(self, alias: str, fault: str) -> None:
        """Take the alias from whoever has it here, in the registry too, and say why."""
        loaded = self._champion if alias == CHAMPION else self._challenger
        instead = self._before if alias == CHAMPION else None
        if loaded is None:
            return
        if instead is None:
            self._left()
        else:
            self._back()
        goes_on = "" if self._champion is None else self._champion.model.version
        sentence = (
            f"Version {loaded.model.version} {fault}: it is {alias} no longer. Version {goes_on} "
            f"goes on as champion."
        )
        self._tell(Notice(sentence))
        self._poller.removed(alias, loaded, fault, instead)

    def _back(self) -> None:
        """Let the champion before this one score again."""
        if self._champion is not None:
            self._champion.engine.close()
        self._champion, self._before = self._before, None
        self._watch.pop(CHAMPION, None)

    def _left(self) -> None:
        """Let go of the challenger."""
        if self._challenger is not None:
            self._challenger.engine.close()
        self._challenger = None
        self._watch.pop(CHALLENGER, None)
