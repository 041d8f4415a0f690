"""What others put into the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.errors import BundleError
from tests.contract.model.test_registry import Make, registry_in


def test_a_version_that_no_run_made_is_listed_and_refused(make: Make, tmp_path: Path) -> None:
    registry = registry_in(tmp_path, "digits")
    registry.register(make(tmp_path / "a", accuracy=0.5), parameters={})
    registry._client.create_model_version("digits", (tmp_path / "a").as_uri())
    registry._client.create_model_version("digits", (tmp_path / "a").as_uri(), run_id="../../a")
    assert [(each.version, len(each.run)) for each in registry.versions()] == [
        ("3", 0),
        ("2", 0),
        ("1", 32),
    ]
    for version in ("2", "3"):
        for refuse in (registry.promote, registry.fetch):
            with pytest.raises(BundleError, match=f"Version {version} of model digits names no "):
                refuse(version)
