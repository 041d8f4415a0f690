"""The document for senders is written for the champion, or it is told why not."""

from __future__ import annotations

import json
from pathlib import Path

from contract.settings.programs import Settings
from tests.contract.model.conftest import write
from tests.digitstream.conftest import Run


def test_the_document_tells_what_the_champion_expects(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = tmp_path / "api"
    code, _, said = run("models", "asyncapi", str(folder), "--home", str(home))
    assert code == 1 and "champion" in said
    registry = Settings(home=home).registry
    registry.promote(registry.register(write(tmp_path / "bundle"), parameters={}))
    words = ("models", "asyncapi", str(folder), "--home", str(home), "--prefix", "plant")
    code, report, _ = run(*words, "--json")
    assert code == 0
    value = json.loads(report)
    assert value["expects"].startswith("The model expects 8 x 6 pixels, 8-bit grey with alpha")
    text = Path(value["file"]).read_text(encoding="utf-8")
    assert value["expects"] in text and "address: plant.readings" in text
    (tmp_path / "file").write_text("")
    code, _, said = run("models", "asyncapi", str(tmp_path / "file"), "--home", str(home))
    assert code == 1 and "cannot be written" in said and "Traceback" not in said
