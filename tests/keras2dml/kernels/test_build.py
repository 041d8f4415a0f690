"""The jar of kernels: of these sources, in both precisions; without it sessions say why."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras2dml.errors import InvalidSession
from keras2dml.kernels import build, installed

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _asked_again() -> Iterator[None]:
    installed.jar.cache_clear()
    yield
    installed.jar.cache_clear()


@pytest.fixture
def folder(monkeypatch, tmp_path) -> Path:
    """An empty folder in the place of the library's."""
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    return tmp_path


def test_every_source_of_single_precision_is_one_of_double_precision_too():
    files = build.sources()
    single = {path for path in files if "/float32/" in path}
    double = {path for path in files if "/float64/" in path}
    assert {path.replace("float32", "float64") for path in single} == double
    assert single
    for path in double:
        assert not re.search(r"\bfloat\b|\bFloatVector\b|\bFloat\b|\bfloat32\b", files[path]), path


@pytest.mark.slow
def test_processes_that_build_at_once_share_a_jar(folder):
    code = (
        "import pathlib, sys; from keras2dml.kernels import build;"
        "build.FOLDER = pathlib.Path(sys.argv[1]); print(build.build())"
    )
    command = [sys.executable, "-c", code, str(folder)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)
    ]
    paths = {process.communicate(timeout=300)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert paths == {str(build.jar())}
    assert [file.name for file in (folder / "build").iterdir()] == [build.jar().name]
    names = zipfile.ZipFile(build.jar()).namelist()
    assert {"keras2dml/kernels/Kernels.class", "keras2dml/kernels/float64/Plan.class"} <= {*names}


def test_the_jar_of_other_sources_stays_while_a_session_may_read_it(folder, monkeypatch):
    (folder / "build").mkdir()
    recent, old = (folder / "build" / f"keras2dml-kernels-{name}.jar" for name in ("1", "2"))
    for jar in (recent, old):
        jar.touch()
    os.utime(old, (0, 0))
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: None)
    build.build()
    assert recent.exists() and not old.exists()


def test_without_a_jdk_the_reason_and_the_remedy_are_told(folder, monkeypatch):
    monkeypatch.setattr(build, "javac", lambda: None)
    assert installed.jar() == (None, installed.describe())
    assert "there is no javac; install a JDK 17 (Debian: apt-get install" in installed.describe()


def test_what_javac_says_is_told(folder, monkeypatch):
    script = folder / "javac"
    script.write_text("#!/bin/sh\necho 'error: invalid source release: 17' >&2\nexit 2\n")
    script.chmod(0o755)
    monkeypatch.setattr(build, "javac", lambda: str(script))
    assert f"the next session compiles with {script}" in installed.describe()
    assert installed.jar().path is None
    assert f"{script} says 'error: invalid source release: 17'; install" in installed.jar().detail


def test_a_folder_that_cannot_be_written_is_told(folder, monkeypatch):
    (folder / "build").touch()  # where the folder is to be
    assert installed.jar().path is None
    assert f"let this user write to {folder / 'build'}" in installed.jar().detail


def test_kernels_are_turned_off_by_a_word(monkeypatch):
    monkeypatch.setenv(installed.SWITCH, "off")
    assert installed.jar() == (None, "none: KERAS2DML_KERNELS is off")
    assert installed.describe() == installed.jar().detail
    installed.jar.cache_clear()
    monkeypatch.setenv(installed.SWITCH, "0")
    with pytest.raises(InvalidSession, match="KERAS2DML_KERNELS is '0': give on or off"):
        installed.jar()


@pytest.mark.slow
@pytest.mark.long
def test_a_wheel_carries_the_jar(tmp_path):
    jar = build.build()
    sources = shutil.copytree(ROOT / "keras2dml", tmp_path / "keras2dml")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*command, "-w", str(tmp_path), str(sources)], check=True)
    [wheel] = tmp_path.glob("keras2dml-*.whl")
    names = {*zipfile.ZipFile(wheel).namelist()}
    assert f"keras2dml/kernels/build/{jar.name}" in names
    assert {
        f"keras2dml/kernels/java/{path.relative_to(build.SOURCES).as_posix()}"
        for path in build.SOURCES.rglob("*.java")
    } <= names
