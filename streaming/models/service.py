"""The models in service, which score one micro-batch after another."""

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
    """The models of one micro-batch; `previous` is the previous champion, while the current one is
    watched.
    """

    champion: Loaded
    previous: Loaded | None = None
    challenger: Loaded | None = None
    is_challenger_watched: bool = False


class ModelService:
    """Carries out the decisions of `streaming.models.state`.

    Rolls back a version that does worse than the previous one on its first readings, and reports
    it; the previous version continues. A thread asks the registry (`streaming.models.polling`), so
    that nothing here waits for it once the first champion is loaded.
    """

    def __init__(self, registry: Registry, loader: Loader, roles: Roles, tell: Tell) -> None:
        self._tell, self._state, self._has_begun = tell, State(roles), False
        has_challenger = bool(roles.canary or roles.shadow)
        self._poller = Poller(
            registry, loader, tell, lambda: self._state.previous, has_challenger=has_challenger
        )

    @property
    def registry_silent_s(self) -> float:
        """Seconds since a request that the registry has not answered; 0 if there is none."""
        return self._poller.silent_s

    def current(self) -> Models:
        """The models that score now.

        The first call asks the registry and loads them: raises NoChampion, RegistryUnavailable,
        SettingsError and BundleError if no model can score.
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
        """Process the metrics of a micro-batch: a watched model may pass or be removed."""
        self._handle(Scored(metrics))

    def remove_failed(self, failure: ModelFailed) -> bool:
        """Remove the model that failed a micro-batch, if another can answer; returns whether."""
        before = self._state
        self._handle(Failed(failure.model, failure.fact))
        return self._state is not before

    def close(self) -> None:
        """Stop asking the registry, and release every loaded model."""
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
