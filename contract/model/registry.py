"""The registry of trained bundles: MLflow, in a SQLite file of ours or on a server.

Each version of the model is one bundle. It belongs to a run, which has its parameters, its metrics,
their course over the training and its plots. An alias, `champion`, says which version scores.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from contract.errors import NoChampion
from contract.model import runs, telemetry
from contract.model.bundle import Bundle
from contract.model.registry_errors import already_there, check_about, check_registered, explained

CHAMPION = "champion"
"""The alias of the version that scores."""

CHALLENGER = "challenger"
"""The alias of the version that may score a share beside it."""

PREVIOUS = "previous"
"""The alias of the version that was champion before."""

REMOVED = "removed"
"""The tag of a version that lost an alias because something was wrong with it: what was."""

PASSED = "passed"
"""The tag of a champion that did as well as the one before it on its first readings."""

LISTED = "It must be one that `digitstream models list` shows."
REMEDIES = {
    CHAMPION: f"Scoring needs a version with the alias {CHAMPION}. Make one with `digitstream "
    f"train`, or choose one with `digitstream models promote VERSION`.",
    CHALLENGER: f"Give it to a version with `digitstream models promote VERSION --alias "
    f"{CHALLENGER}`.",
    PREVIOUS: "A version has it once another one took its place as champion. Choose one with "
    "`digitstream models promote VERSION`.",
}
"""What to do where no version has an alias."""


@dataclass(frozen=True)
class Registered:
    """A version of the model and the folder, on this machine, where its bundle lies."""

    name: str
    version: str
    folder: Path


@dataclass(frozen=True)
class Version:
    """A version of the model as the registry lists it."""

    name: str
    version: str
    aliases: tuple[str, ...]
    metrics: Mapping[str, float]
    created: datetime
    run: str
    removed: str | None
    """Why it lost an alias, if it did."""


class Registry:
    """The versions of one model, by name; MLflow is imported when the first question is asked.

    `artifacts` is where a registry in SQLite keeps its files, and where those of a server are kept
    once they have been fetched. Several processes may use one registry at a time. Each method
    raises RegistryUnavailable if MLflow does not answer.
    """

    def __init__(self, tracking_uri: str, artifacts: Path, model: str = "digits") -> None:
        self.tracking_uri = tracking_uri
        self.artifacts = artifacts.resolve()
        self.model = model

    def check_writable(self) -> None:
        """Raise RegistryUnavailable if the registry does not answer, or its own folder takes no
        files; whether a server would take a bundle it tells when it gets one.
        """
        with self._asking():
            self._experiment()
            if self._is_file:
                self.artifacts.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self.artifacts) as file:
                    file.write(bytes(1 << 16))  # a full disk takes empty files

    def register(
        self,
        bundle: Bundle,
        *,
        parameters: Mapping[str, object],
        history: Sequence[Mapping[str, float]] = (),
    ) -> str:
        """Keep a bundle as the model's next version, and return that.

        `parameters` are those of the training, `history` its metrics step by step. The bundle's own
        metrics and plots become the run's.
        """
        with self._asking():
            run = self._client.create_run(self._experiment(), run_name=f"train-{self.model}")
            try:
                runs.log(self._client, run.info.run_id, bundle, parameters, history)
            except BaseException:
                self._client.set_terminated(run.info.run_id, "FAILED")
                raise
            self._client.set_terminated(run.info.run_id)
            source = f"{run.info.artifact_uri}/{runs.BUNDLE}"
            self._create_model()
            made = self._client.create_model_version(self.model, source, run.info.run_id)
        return str(made.version)

    def promote(self, version: str, alias: str = CHAMPION) -> None:
        """Give the alias to a version; raises NoChampion if there is no such version.

        Who was champion before keeps the alias PREVIOUS.
        """
        with self._asking(f"the version {version}"):
            found = self._client.get_model_version(self.model, version)
            check_registered(self.tracking_uri, self.model, found)
            before = self._holder(alias)
            self._client.set_registered_model_alias(self.model, alias, version)
            if alias == CHAMPION and before not in (None, version):
                self._client.set_registered_model_alias(self.model, PREVIOUS, before)
            for tag in found.tags.keys() & {REMOVED, PASSED}:
                self._client.delete_model_version_tag(self.model, version, tag)

    def passed(self, version: str) -> None:
        """Note that a version did as well as the one before it; it need not be watched again."""
        with self._asking(f"the version {version}"):
            self._client.set_model_version_tag(self.model, version, PASSED, "true")

    def watching(self) -> Registered | None:
        """The champion before this one, unless there is none or this one has `passed`."""
        with self._asking(f"the alias {CHAMPION}", REMEDIES[CHAMPION]):
            champion = self._client.get_model_version_by_alias(self.model, CHAMPION)
            if PASSED in champion.tags or self._holder(PREVIOUS) is None:
                return None
        return self.resolve(PREVIOUS)

    def rollback(self, why: str = "rolled back by hand") -> tuple[str, str]:
        """Make the version champion again that was it before; returns those that goes and comes.

        Raises NoChampion if there is none.
        """
        going, coming = self.resolve(CHAMPION).version, self.resolve(PREVIOUS).version
        self.remove(going, CHAMPION, why, instead=coming)
        return going, coming

    def remove(self, version: str, alias: str, why: str, *, instead: str | None = None) -> None:
        """Take the alias from a version and note why; give it to another one, if that is said.

        Nothing happens if a third version has the alias, or this one never had it. Done again after
        it failed halfway, it does the rest.
        """
        with self._asking(f"the version {version}"):
            holder = self._holder(alias)
            if holder == version:
                # First, for who has lost the alias is no longer known by it.
                self._client.set_model_version_tag(self.model, version, REMOVED, why)
                if instead is None:
                    self._client.delete_registered_model_alias(self.model, alias)
                else:
                    self._client.set_registered_model_alias(self.model, alias, instead)
            elif instead is None or holder != instead:
                return
            if alias == CHAMPION and self._holder(PREVIOUS) is not None:
                self._client.delete_registered_model_alias(self.model, PREVIOUS)

    def resolve(self, alias: str = CHAMPION) -> Registered:
        """The version that has the alias now, and its folder; some 2 ms from the second call on.

        A server's bundle is fetched once. Raises NoChampion if no version has the alias.
        """
        with self._asking(f"the alias {alias}", REMEDIES.get(alias, LISTED)):
            found = self._client.get_model_version_by_alias(self.model, alias)
            return Registered(self.model, str(found.version), self._folder(found))

    def fetch(self, version: str) -> Registered:
        """A version, and its folder; raises NoChampion if there is no such version."""
        with self._asking(f"the version {version}"):
            found = self._client.get_model_version(self.model, version)
            return Registered(self.model, str(found.version), self._folder(found))

    def versions(self) -> list[Version]:
        """Every version, the newest first; none if nothing was registered yet."""
        try:
            with self._asking("any version"):
                aliases = self._aliases()
        except NoChampion:
            return []
        with self._asking():
            found = self._client.search_model_versions(f"name = '{self.model}'")
            versions = [self._listed(version, aliases) for version in found]
        return sorted(versions, key=lambda version: int(version.version), reverse=True)

    def _holder(self, alias: str) -> str | None:
        """The version that has the alias."""
        aliases = self._aliases()
        return str(aliases[alias]) if alias in aliases else None

    def _aliases(self) -> Any:
        return check_about(
            self.tracking_uri, self.model, self._client.get_registered_model(self.model)
        ).aliases

    @cached_property
    def _client(self) -> Any:
        telemetry.disable()
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        import mlflow  # noqa: PLC0415  (a second, which only those who ask the registry pay)

        from contract.model.registry_http import bound  # noqa: PLC0415  (it needs MLflow, too)

        bound()
        # What matters comes as an exception; the rest is about its tables and how to migrate them.
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)
        return mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)

    def _experiment(self) -> str:
        own = self.artifacts.as_uri() if self._is_file else None
        with already_there():
            self._client.create_experiment(self.model, artifact_location=own)
        experiment = self._client.get_experiment_by_name(self.model)
        if own is None or experiment.artifact_location == own:
            return str(experiment.experiment_id)
        # The home was moved. MLflow keeps whole paths, and would write where it was before.
        earlier = f"{self.model} until {datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"
        self._client.rename_experiment(experiment.experiment_id, earlier)
        return str(self._client.create_experiment(self.model, artifact_location=own))

    @property
    def _is_file(self) -> bool:
        """Whether this is a SQLite file, whose bundles lie in a folder of ours."""
        return self.tracking_uri.startswith("sqlite:")

    def _create_model(self) -> None:
        with already_there():
            self._client.create_registered_model(self.model)

    def _listed(self, found: Any, aliases: Mapping[str, str]) -> Version:
        version = str(found.version)
        run = found.run_id if runs.is_named(found.run_id) else ""
        return Version(
            name=self.model,
            version=version,
            aliases=tuple(sorted(alias for alias, of in aliases.items() if str(of) == version)),
            metrics=self._client.get_run(run).data.metrics if run else {},
            created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
            run=run,
            removed=found.tags.get(REMOVED),
        )

    def _folder(self, found: Any) -> Path:
        """Where the bundle lies here: the registry's own folder, or our copy of a server's.

        Raises BundleError for a version that no run of ours made.
        """
        check_registered(self.tracking_uri, self.model, found)
        source = urlparse(found.source)
        own: Path = self.artifacts / found.run_id / "artifacts" / runs.BUNDLE
        if self._is_file and own.exists():
            return own  # also where the home lay elsewhere when it was registered
        if source.scheme == "file":
            return Path(url2pathname(source.path))
        copy: Path = self.artifacts / found.run_id / runs.BUNDLE
        if not copy.exists():
            runs.check_listing(self._client, found.run_id)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=copy.parent) as draft:
                fetched = self._client.download_artifacts(found.run_id, runs.BUNDLE, draft)
                Path(fetched).rename(copy)
        return copy

    def _asking(
        self, wanted: str | None = None, remedy: str = LISTED
    ) -> AbstractContextManager[None]:
        """Turn MLflow's errors into ours; NoChampion if it says that `wanted` is not there."""
        missing = None if wanted is None else f"{wanted} of model {self.model}. {remedy}"
        return explained(self.tracking_uri, self.artifacts, missing)
