"""The models in service: those that score one micro-batch after another."""

from __future__ import annotations

from dataclasses import dataclass

from contract.model.registry import CHALLENGER, Registry
from contract.notices import Notice
from streaming.errors import ModelFailed
from streaming.models.loaded import Loaded, Loader, Tell
from streaming.models.polling import Poller
from streaming.models.roles import Roles
from streaming.models.state import (
    Assigned,
    Confirm,
    Ended,
    Event,
    Failed,
    Notify,
    Release,
    Remove,
    Scored,
    State,
    after,
)
from streaming.steps.metrics import BatchMetrics


@dataclass(frozen=True, eq=False)
class Models:
    """The models of one micro-batch; `previous` is the champion before this one, while that is
    watched.
    """

    champion: Loaded
    previous: Loaded | None = None
    challenger: Loaded | None = None
    is_challenger_watched: bool = False


class ModelService:
    """Does what `streaming.models.state` decides.

    A version that does worse than the one before it on its first readings is rolled back; that is
    told, and what scored before goes on. The registry is asked beside
    (`streaming.models.polling`), so that nothing here waits for it, once the first champion is
    there.
    """

    def __init__(self, registry: Registry, loader: Loader, roles: Roles, tell: Tell) -> None:
        self._tell, self._state, self._has_begun = tell, State(roles), False
        has_challenger = bool(roles.canary or roles.shadow)
        self._poller = Poller(
            registry, loader, tell, lambda: self._state.previous, has_challenger=has_challenger
        )

    @property
    def registry_silent_s(self) -> float:
        """Seconds for which the registry owes an answer; 0 where it owes none."""
        return self._poller.silent_s

    def current(self) -> Models:
        """The models of now.

        The first time it asks the registry and loads them: raises NoChampion, RegistryUnavailable,
        SettingsError and BundleError while none can score.
        """
        if not self._has_begun:
            watched = bool(self._state.roles.guard.readings)
            previous = self._poller.begin(watched=watched)
            self._has_begun = True
            if previous is not None:
                self._handle(Assigned(previous))
        aliases = self._poller.aliases
        self._handle(Assigned(aliases.champion, aliases.challenger))
        return Models(
            aliases.champion,
            self._state.previous,
            self._state.challenger,
            CHALLENGER in self._state.watches,
        )

    def observe(self, metrics: BatchMetrics) -> None:
        """Take note of a micro-batch: a model that is watched may pass by it, or be removed."""
        self._handle(Scored(metrics))

    def remove_failed(self, failure: ModelFailed) -> bool:
        """Remove the model that failed a micro-batch, if it can be answered without it."""
        before = self._state
        self._handle(Failed(failure.model, failure.fact))
        return self._state is not before

    def close(self) -> None:
        """Ask the registry no more, and let go of every model that is loaded."""
        self._poller.close()
        self._handle(Ended())

    def _handle(self, event: Event) -> None:
        self._state, actions = after(event, self._state)
        for action in actions:
            match action:
                case Release(loaded):
                    loaded.engine.close()
                case Notify(sentence):
                    self._tell(Notice(sentence))
                case Confirm(champion):
                    self._poller.confirm(champion)
                case Remove(alias, loaded, reason, successor):
                    self._poller.remove(alias, loaded, reason, successor)
