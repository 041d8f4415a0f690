import os
import subprocess
import sys
from pathlib import Path

import pytest

from digitstream.machine.java import JavaMissing
from scripts import bootstrap

ROOT = Path(__file__).resolve().parents[2]
SHELL_TOOLS = ("sh", "dirname")


def program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def java_of_release_17(home: Path) -> str:
    """Shell text that installs a Java at `home`."""
    said = f"java.home = {home}\\njava.specification.version = 17\\n"
    return (
        f"/bin/mkdir -p {home}/bin\n"
        f"printf '#!/bin/sh\\nprintf \"{said}\" >&2\\n' > {home}/bin/java\n"
        f"/bin/chmod +x {home}/bin/java\n"
    )


def test_root_on_debian_gets_java_installed_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, log = tmp_path / "jvm" / "java-17", tmp_path / "calls"
    installs = f'echo "$@" >> {log}\ncase "$1" in install) {java_of_release_17(home)};; esac'
    program(tmp_path / "bin", "apt-get", installs)
    machine = bootstrap.Machine({"PATH": str(tmp_path / "bin")}, True, (f"{tmp_path}/jvm/*17*",))
    bootstrap.ensure_java(machine)
    assert log.read_text().splitlines() == ["update -q", "install -y openjdk-17-jdk-headless"]
    assert "Java 17 is missing: installing it with `apt-get" in capsys.readouterr().out


def test_homebrew_installs_java(tmp_path: Path) -> None:
    home = tmp_path / "opt" / "openjdk@17"
    program(tmp_path / "bin", "brew", java_of_release_17(home))
    machine = bootstrap.Machine({"PATH": str(tmp_path / "bin")}, False, (str(home),))
    bootstrap.ensure_java(machine)
    assert (home / "bin" / "java").exists()


@pytest.mark.parametrize("is_root", [True, False])
def test_where_nothing_can_install_java_there_is_a_sentence(tmp_path: Path, is_root: bool) -> None:
    if not is_root:
        program(tmp_path / "bin", "apt-get", "exit 0")
    machine = bootstrap.Machine({"PATH": str(tmp_path / "bin")}, is_root, ())
    with pytest.raises(JavaMissing, match=r"Debian: .* macOS: .* Windows: "):
        bootstrap.ensure_java(machine)


def test_an_installer_that_fails_leaves_the_sentence(tmp_path: Path) -> None:
    program(tmp_path / "bin", "apt-get", "exit 100")
    machine = bootstrap.Machine({"PATH": str(tmp_path / "bin")}, True, ())
    with pytest.raises(JavaMissing):
        bootstrap.ensure_java(machine)


def test_an_old_python_gets_a_sentence(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    program(tools, "python3", "echo 3.9")
    for tool in SHELL_TOOLS:
        (tools / tool).symlink_to(f"/bin/{tool}" if os.path.exists(f"/bin/{tool}") else tool)
    done = subprocess.run(
        ["sh", "scripts/bootstrap.sh"],
        cwd=ROOT,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{tools}/python3 is Python 3.9" in done.stderr
    for remedy in ("apt-get install -y python3", "brew install python@", "winget install"):
        assert remedy in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("is_root", [pytest.param(True, marks=pytest.mark.slow), False])
def test_debians_python_without_venv_is_completed_or_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_root: bool
) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    log = tmp_path / "calls"
    program(tmp_path / "bin", "apt-get", f'echo "$@" >> {log}')
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    machine = bootstrap.Machine({"PATH": str(tmp_path / "bin")}, is_root, ())
    if is_root:
        bootstrap.ensure_venv(machine)
        assert log.read_text().splitlines()[-1] == f"install -y python{python}-venv"
        assert (tmp_path / ".venv" / "bin" / "python").exists()
    else:
        with pytest.raises(bootstrap.SetupError, match=f"apt-get install -y python{python}-venv"):
            bootstrap.ensure_venv(machine)
