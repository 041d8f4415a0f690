"""Which models score a micro-batch: the registry is asked at its start, what is new is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import SparkSession

from contract import bundle
from contract.bundle import Bundle
from contract.errors import BundleError, DigitstreamError, NoChampion, RegistryUnavailable
from contract.registry import CHALLENGER, CHAMPION, Registered, Registry
from streaming.choice import AUTO
from streaming.guard import Bounds, Watch
from streaming.loaded import Loaded, Tell, alike, engaged
from streaming.parts import CANARY, CANARY_GUARD, GUARD, SCORE


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

    A version that cannot be loaded, or fails its golden set, never takes over; one that does worse
    than the one before it on its first readings is rolled back. Both are told, and what scored
    before goes on.
    """

    def __init__(
        self, spark: SparkSession, registry: Registry, engine: str, roles: Roles, tell: Tell
    ) -> None:
        self._spark, self._registry, self._roles, self._tell = spark, registry, roles, tell
        self._wanted = self._engine = engine
        self._champion: Loaded | None = None
        self._before: Loaded | None = None
        self._challenger: Loaded | None = None
        self._watch: dict[str, Watch] = {}
        self._refused: dict[str, str] = {}
        self._told = ""

    def current(self) -> LineUp:
        """The models of now.

        While none is loaded yet, raises NoChampion, RegistryUnavailable, SettingsError and
        BundleError.
        """
        self._seat_champion()
        if self._roles.canary or self._roles.shadow:
            self._seat_challenger()
        if self._champion is None:
            message = "a champion is seated, or its absence was raised"
            raise RuntimeError(message)
        return LineUp(
            self._champion, self._before, self._challenger, watched=CHALLENGER in self._watch
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
            self._tell(f"Version {watcher} {fault}: it does not watch version {watched} any more.")
            return True
        return False

    def close(self) -> None:
        """Let go of every model that is loaded."""
        for loaded in (self._champion, self._before, self._challenger):
            if loaded is not None:
                loaded.engine.close()
        self._champion = self._before = self._challenger = None
        self._watch.clear()

    def _seat_champion(self) -> None:
        if self._champion is None and self._roles.guard.readings:
            self._seat_before()
        found = self._found(CHAMPION, self._champion)
        if found is None:
            return
        if self._before is not None and self._before.model.version == found.version:
            self._back()
            return
        new = self._loaded(CHAMPION, found, self._champion)
        if new is None:
            return
        if self._champion is not None:
            self._tell(f"Version {new.model.version} of {new.model.name} scores from now on.")
            self._succeeded(self._champion)
        self._champion = new

    def _seat_before(self) -> None:
        """Begin with the champion before this one, where this one is new or was not watched to the
        end: then it takes over from that one, and may have to give way to it again.
        """
        found = self._registry.watching()
        if found is None:
            return
        try:
            before = bundle.load(found.folder)
            champion = self._intact(self._registry.resolve())
            if champion is not None:
                alike(champion, before)
            self._champion = self._engaged(found, before)
        except BundleError as error:
            self._tell(f"Version {found.version} does not watch the champion after it: {error}")

    def _intact(self, found: Registered) -> Bundle | None:
        """The version's bundle, if it can be read at all."""
        try:
            return bundle.load(found.folder)
        except BundleError:
            return None

    def _succeeded(self, old: Loaded) -> None:
        """Watch the new champion beside the last one that is known to be good."""
        if self._before is not None or not self._roles.guard.readings:
            old.engine.close()
        else:
            self._before = old
        if self._before is not None:
            self._watch[CHAMPION] = Watch(self._roles.guard, SCORE, GUARD)

    def _seat_challenger(self) -> None:
        found = self._found(CHALLENGER, self._challenger)
        if found is None:
            return
        new = self._loaded(CHALLENGER, found, self._challenger)
        if new is None:
            return
        if self._challenger is not None:
            self._challenger.engine.close()
        self._challenger = new
        if self._roles.canary and self._roles.guard.readings:
            self._watch[CHALLENGER] = Watch(self._roles.guard, CANARY, CANARY_GUARD)

    def _found(self, alias: str, sitting: Loaded | None) -> Registered | None:
        """The version that has the alias, if it is another one than sits there."""
        try:
            found = self._registry.resolve(alias)
        except NoChampion as error:
            if alias == CHALLENGER:
                self._left(CHALLENGER)
                return None
            if sitting is None:
                raise
            self._once(f"{error} {self._goes_on()}")
            return None
        except RegistryUnavailable as error:
            if self._champion is None:
                raise
            self._once(f"{error} {self._goes_on()}")
            return None
        if found.version == self._refused.get(alias):
            return None
        self._refused.pop(alias, None)
        return None if sitting and sitting.model.version == found.version else found

    def _loaded(self, alias: str, found: Registered, sitting: Loaded | None) -> Loaded | None:
        """The version, checked; None, and told, if it may not score but another one does."""
        try:
            checked = bundle.load(found.folder)
            if self._champion is not None:
                alike(self._champion.bundle, checked)
            return self._engaged(found, checked)
        except Exception as exc:  # whatever is wrong with it, those that score go on
            if self._champion is None:
                raise
            self._refused[alias] = found.version
            why = str(exc) if isinstance(exc, DigitstreamError) else f"{type(exc).__name__}: {exc}"
            self._tell(f"Version {found.version} cannot be {alias}: {why} {self._goes_on()}")
            return None

    def _engaged(self, found: Registered, checked: Bundle) -> Loaded:
        """The version with an engine: the one that was chosen before, if it can."""
        try:
            made = engaged(self._spark, found, checked, self._engine, self._tell)
        except BundleError:
            if self._wanted != AUTO or self._engine == AUTO:
                raise
            made = engaged(self._spark, found, checked, AUTO, self._tell)
        self._engine = made.model.engine
        return made

    def _passed(self, alias: str) -> None:
        self._watch.pop(alias)
        if alias == CHAMPION and self._champion is not None and self._before is not None:
            self._unwatched()
            try:
                self._registry.passed(self._champion.model.version)
            except (NoChampion, RegistryUnavailable) as error:
                self._tell(str(error))

    def _unwatched(self) -> None:
        """Let go of the champion before this one."""
        if self._before is not None:
            self._before.engine.close()
        self._before = None
        self._watch.pop(CHAMPION, None)

    def _removed(self, alias: str, fault: str) -> None:
        """Take the alias from whoever has it here, in the registry too, and say why."""
        loaded = self._champion if alias == CHAMPION else self._challenger
        if loaded is None:
            return
        version = loaded.model.version
        self._refused[alias] = version
        if alias == CHAMPION and self._before is not None:
            back = self._before.model.version
            self._back()
        else:
            back = None
            self._left(CHALLENGER)
        self._tell(f"Version {version} {fault}: it is {alias} no longer. {self._goes_on()}")
        try:
            self._registry.remove(version, alias, fault, instead=back)
        except (NoChampion, RegistryUnavailable) as error:
            self._tell(str(error))

    def _back(self) -> None:
        """Let the champion before this one score again."""
        if self._champion is not None:
            self._champion.engine.close()
        self._champion, self._before = self._before, None
        self._watch.pop(CHAMPION, None)

    def _left(self, alias: str) -> None:
        if self._challenger is not None:
            self._challenger.engine.close()
        self._challenger = None
        self._watch.pop(alias, None)

    def _goes_on(self) -> str:
        version = "" if self._champion is None else self._champion.model.version
        return f"Version {version} goes on as champion."

    def _once(self, sentence: str) -> None:
        if sentence != self._told:
            self._told = sentence
            self._tell(sentence)
