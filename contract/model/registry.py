"""The registry of trained bundles: MLflow, in a local SQLite file or on a server.

Each version of the model is one bundle. It belongs to a run, which has its parameters, its plots,
its metrics and their history. The alias `champion` marks the version that scores.
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
from contract.model import registry_errors, runs, telemetry
from contract.model.bundle import Bundle

CHAMPION = "champion"
"""The alias of the version that scores."""

CHALLENGER = "challenger"
"""The alias of the version that may score a share of the readings, or score them as well."""

PREVIOUS = "previous"
"""The alias of the version that was champion before."""

REMOVED = "removed"
"""The tag of a version that lost an alias because of a fault; its value is the reason."""

PASSED = "passed"
"""The tag of a champion that scored its first readings as well as the previous one."""

LISTED = "It must be in the list of `digitstream models list`."
REMEDIES = {
    CHAMPION: f"Scoring needs a version with the alias {CHAMPION}. Train one with `digitstream "
    f"train`, or choose one with `digitstream models promote VERSION`.",
    CHALLENGER: f"Assign it to a version with `digitstream models promote VERSION --alias "
    f"{CHALLENGER}`.",
    PREVIOUS: "A version gets it when another one replaces it as champion. Choose one with "
    "`digitstream models promote VERSION`.",
}
"""The remedies if no version has an alias."""


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of the model, and the local folder of its bundle."""

    name: str
    version: str
    folder: Path


@dataclass(frozen=True)
class Version:
    """A version of the model in the registry's list."""

    name: str
    version: str
    aliases: tuple[str, ...]
    metrics: Mapping[str, float]
    created: datetime
    run: str
    removed: str | None
    """Why it lost an alias; None if it did not."""


class Registry:
    """The versions of one model; MLflow is imported by the first method that needs it.

    `artifacts` is the folder for the files of a SQLite registry, and for copies of a server's
    files. Several processes may use a registry at the same time. Each method raises
    RegistryUnavailable if MLflow does not answer.
    """

    def __init__(self, tracking_uri: str, artifacts: Path, model: str = "digits") -> None:
        self.tracking_uri = tracking_uri
        self.artifacts = artifacts.resolve()
        self.model = model

    def check_writable(self) -> None:
        """Raise RegistryUnavailable if the registry does not answer, or its local folder is not
        writable. A server may still refuse a bundle when it gets one.
        """
        with self._translate_errors():
            self._experiment()
            if self._is_file:
                self.artifacts.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self.artifacts) as file:
                    file.write(bytes(1 << 16))  # an empty file fits on a full disk

    def register(
        self,
        bundle: Bundle,
        *,
        parameters: Mapping[str, object],
        history: Sequence[Mapping[str, float]] = (),
    ) -> str:
        """Store a bundle as the model's next version; returns its number.

        `parameters` are those of the training, `history` its metrics by step. The bundle's own
        metrics and plots are logged to the run, too.
        """
        with self._translate_errors():
            run = self._client.create_run(self._experiment(), run_name=f"train-{self.model}")
            try:
                runs.log(self._client, run.info.run_id, bundle, parameters, history)
            except BaseException:
                self._client.set_terminated(run.info.run_id, "FAILED")
                raise
            self._client.set_terminated(run.info.run_id)
            source = f"{run.info.artifact_uri}/{runs.BUNDLE}"
            self._create_model()
            version = self._client.create_model_version(self.model, source, run.info.run_id)
        return str(version.version)

    def promote(self, version: str, alias: str = CHAMPION) -> None:
        """Assign the alias to a version; raises NoChampion if there is no such version.

        The former champion gets the alias PREVIOUS.
        """
        with self._translate_errors(f"the version {version}"):
            entry = self._client.get_model_version(self.model, version)
            registry_errors.check_registered(self.tracking_uri, self.model, entry)
            before = self._holder(alias)
            self._client.set_registered_model_alias(self.model, alias, version)
            if alias == CHAMPION and before not in (None, version):
                self._client.set_registered_model_alias(self.model, PREVIOUS, before)
            for tag in entry.tags.keys() & {REMOVED, PASSED}:
                self._client.delete_model_version_tag(self.model, version, tag)

    def mark_passed(self, version: str) -> None:
        """Mark a version as being as good as the previous one; the guard ignores it from now on."""
        with self._translate_errors(f"the version {version}"):
            self._client.set_model_version_tag(self.model, version, PASSED, "true")

    def baseline(self) -> RegisteredVersion | None:
        """The previous champion; None if there is none, or the current one is marked as passed."""
        with self._translate_errors(f"the alias {CHAMPION}", REMEDIES[CHAMPION]):
            champion = self._client.get_model_version_by_alias(self.model, CHAMPION)
            if PASSED in champion.tags or self._holder(PREVIOUS) is None:
                return None
        return self.resolve(PREVIOUS)

    def rollback(self, reason: str = "rolled back by hand") -> tuple[str, str]:
        """Make the previous champion the champion again; returns the old and the new champion.

        Raises NoChampion if there is no previous champion.
        """
        current, previous = self.resolve(CHAMPION).version, self.resolve(PREVIOUS).version
        self.remove_alias(current, CHAMPION, reason, instead=previous)
        return current, previous

    def remove_alias(
        self, version: str, alias: str, reason: str, *, instead: str | None = None
    ) -> None:
        """Remove the alias from a version and note the reason; assign it to `instead`, if any.

        Does nothing if a third version has the alias, or this one never had it. If it failed
        halfway, calling it again completes it.
        """
        with self._translate_errors(f"the version {version}"):
            holder = self._holder(alias)
            if holder == version:
                # First, while the alias still tells which version to tag.
                self._client.set_model_version_tag(self.model, version, REMOVED, reason)
                if instead is None:
                    self._client.delete_registered_model_alias(self.model, alias)
                else:
                    self._client.set_registered_model_alias(self.model, alias, instead)
            elif instead is None or holder != instead:
                return
            if alias == CHAMPION and self._holder(PREVIOUS) is not None:
                self._client.delete_registered_model_alias(self.model, PREVIOUS)

    def resolve(self, alias: str = CHAMPION) -> RegisteredVersion:
        """The version that has the alias now, and its folder; takes about 2 ms after the first
        call.

        A server's bundle is fetched once. Raises NoChampion if no version has the alias.
        """
        with self._translate_errors(f"the alias {alias}", REMEDIES.get(alias, LISTED)):
            entry = self._client.get_model_version_by_alias(self.model, alias)
            return RegisteredVersion(self.model, str(entry.version), self._folder(entry))

    def fetch(self, version: str) -> RegisteredVersion:
        """A version and its folder; raises NoChampion if there is no such version."""
        with self._translate_errors(f"the version {version}"):
            entry = self._client.get_model_version(self.model, version)
            return RegisteredVersion(self.model, str(entry.version), self._folder(entry))

    def versions(self) -> list[Version]:
        """All versions, newest first; empty if none is registered yet."""
        try:
            with self._translate_errors("any version"):
                aliases = self._aliases()
        except NoChampion:
            return []
        with self._translate_errors():
            entries = self._client.search_model_versions(f"name = '{self.model}'")
            versions = [self._version(entry, aliases) for entry in entries]
        return sorted(versions, key=lambda version: int(version.version), reverse=True)

    def _holder(self, alias: str) -> str | None:
        """The version that has the alias."""
        aliases = self._aliases()
        return str(aliases[alias]) if alias in aliases else None

    def _aliases(self) -> Any:
        entry = self._client.get_registered_model(self.model)
        return registry_errors.check_about(self.tracking_uri, self.model, entry).aliases

    @cached_property
    def _client(self) -> Any:
        telemetry.disable()
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        import mlflow  # noqa: PLC0415  (takes a second)

        from contract.model import registry_http  # noqa: PLC0415  (it imports MLflow, too)

        registry_http.limit_requests()
        # Errors come as exceptions; its log is about migrating its tables.
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)
        return mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)

    def _experiment(self) -> str:
        folder = self.artifacts.as_uri() if self._is_file else None
        with registry_errors.ignore_existing():
            self._client.create_experiment(self.model, artifact_location=folder)
        experiment = self._client.get_experiment_by_name(self.model)
        if folder is None or experiment.artifact_location == folder:
            return str(experiment.experiment_id)
        # HOME was moved. MLflow stores absolute paths, and would still write to the old one.
        old_name = f"{self.model} until {datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"
        self._client.rename_experiment(experiment.experiment_id, old_name)
        return str(self._client.create_experiment(self.model, artifact_location=folder))

    @property
    def _is_file(self) -> bool:
        """Whether this is a SQLite file, whose bundles are in `artifacts`."""
        return self.tracking_uri.startswith("sqlite:")

    def _create_model(self) -> None:
        with registry_errors.ignore_existing():
            self._client.create_registered_model(self.model)

    def _version(self, entry: Any, aliases: Mapping[str, str]) -> Version:
        version = str(entry.version)
        run = entry.run_id if runs.is_named(entry.run_id) else ""
        return Version(
            name=self.model,
            version=version,
            aliases=tuple(
                sorted(alias for alias, holder in aliases.items() if str(holder) == version)
            ),
            metrics=self._client.get_run(run).data.metrics if run else {},
            created=datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC),
            run=run,
            removed=entry.tags.get(REMOVED),
        )

    def _folder(self, entry: Any) -> Path:
        """The local folder of the bundle: the registry's own, or our copy of a server's.

        Raises BundleError for a version without a valid run.
        """
        registry_errors.check_registered(self.tracking_uri, self.model, entry)
        source = urlparse(entry.source)
        local: Path = self.artifacts / entry.run_id / "artifacts" / runs.BUNDLE
        if self._is_file and local.exists():
            return local  # even if HOME was moved since
        if source.scheme == "file":
            return Path(url2pathname(source.path))
        copy: Path = self.artifacts / entry.run_id / runs.BUNDLE
        if not copy.exists():
            runs.check_listing(self._client, entry.run_id)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=copy.parent) as draft:
                path = self._client.download_artifacts(entry.run_id, runs.BUNDLE, draft)
                Path(path).rename(copy)
        return copy

    def _translate_errors(
        self, target: str | None = None, remedy: str = LISTED
    ) -> AbstractContextManager[None]:
        """Raise MLflow's errors as our own; NoChampion if `target` does not exist."""
        missing = None if target is None else f"{target} of model {self.model}. {remedy}"
        return registry_errors.translate_errors(self.tracking_uri, self.artifacts, missing)
