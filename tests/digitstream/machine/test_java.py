from pathlib import Path

import pytest

from digitstream.machine import java


def installed(folder: Path, release: str) -> Path:
    """A folder that looks like the home of that Java."""
    launcher = folder / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(
        f"#!/bin/sh\necho '    java.home = {folder}' >&2\n"
        f"echo '    java.specification.version = {release}' >&2\n",
        "utf-8",
    )
    launcher.chmod(0o755)
    return folder


def test_java_home_comes_first(tmp_path: Path) -> None:
    home, other = installed(tmp_path / "a", "17"), installed(tmp_path / "b", "17")
    environ = {"JAVA_HOME": str(home), "PATH": str(other / "bin")}
    assert java.find(environ, places=()).home == home


def test_another_release_on_path_does_not_hide_the_right_one(tmp_path: Path) -> None:
    newer = installed(tmp_path / "java-25", "25")
    right = installed(tmp_path / "jvm" / "java-17-openjdk", "17")
    environ = {"JAVA_HOME": str(newer), "PATH": str(newer / "bin")}
    found = java.find(environ, places=(f"{tmp_path}/jvm/*17*",))
    assert found.executable == right / "bin" / "java"


def test_missing_java_names_what_is_there_and_a_command_for_each_system(tmp_path: Path) -> None:
    newer = installed(tmp_path / "java-25", "25")
    with pytest.raises(java.JavaMissing) as raised:
        java.find({"PATH": str(newer / "bin")}, places=())
    said = str(raised.value)
    assert f"{newer}/bin/java is Java 25" in said
    for remedy in ("apt-get install -y openjdk-17", "brew install openjdk@17", "winget install"):
        assert remedy in said


def test_a_launcher_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    broken = installed(tmp_path / "broken", "17")
    (broken / "bin" / "java").write_text("#!/bin/sh\nexit 1\n")
    right = installed(tmp_path / "right", "17")
    assert java.find({"JAVA_HOME": str(broken)}, places=(str(right),)).home == right


def test_a_launcher_that_says_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = installed(tmp_path / "silent", "17")
    (silent / "bin" / "java").write_text("#!/bin/sh\nexec sleep 60\n")
    right = installed(tmp_path / "right", "17")
    monkeypatch.setattr(java, "_PATIENCE_SECONDS", 1.0)
    assert java.find({"JAVA_HOME": str(silent)}, places=(str(right),)).home == right


def test_a_home_of_any_name_is_found_in_any_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = installed(tmp_path / "m\u00fcller", "17")
    launcher = home / "bin" / "java"
    # As a JVM in the locale of C, which knows ASCII alone.
    asks = 'case "$LC_ALL" in *UTF-8) ;; *) echo "    java.home = ?" >&2; exit ;; esac\n'
    launcher.write_text(launcher.read_text("utf-8").replace("\n", f"\n{asks}", 1), "utf-8")
    monkeypatch.setenv("LC_ALL", "C")
    assert java.find({"JAVA_HOME": str(home)}, places=()).home == home
