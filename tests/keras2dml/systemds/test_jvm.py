"""What is told of a Java that starts no session, of what it prints, and of one that is gone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from keras2dml.systemds import jvm
from tests.keras2dml.systemds.test_session import in_a_new_python

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("printed", "complaint"),
    [
        (None, "JAVA_HOME={home} has no bin/java. SystemDS 3.4 and Spark 3.5 need Java 17"),
        ('openjdk version "11.0.2" 2019-01-15', "{home}/bin/java is Java 11. SystemDS 3.4 and"),
        ('java version "1.8.0_392"', "{home}/bin/java is Java 8. SystemDS 3.4 and"),
        ('openjdk version "17.0.15"', "did not start with {home}/bin/java. Its output says"),
    ],
)
def test_a_java_that_did_not_start_spark_is_named(tmp_path, monkeypatch, printed, complaint):
    if printed is not None:
        _java(tmp_path, printed)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert complaint.format(home=tmp_path) in jvm.start_complaint()


def _java(home: Path, printed: str) -> None:
    """A Java that prints a line and ends."""
    (home / "bin").mkdir()
    java = home / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho '{printed}' >&2\nexit 1\n", encoding="utf-8")
    java.chmod(0o755)


def test_a_session_that_java_does_not_start_is_one_sentence(tmp_path: Path):
    _java(tmp_path, 'openjdk version "11.0.2" 2019-01-15')
    code = (
        "import keras2dml\ntry: keras2dml.spark_session()\n"
        "except keras2dml.InvalidSession as error: print(error)"
    )
    told = in_a_new_python(code, JAVA_HOME=str(tmp_path)).stdout.strip()
    assert told.startswith(f"Spark's JVM did not start: {tmp_path}/bin/java is Java 11.")


def test_javas_messages_are_on_the_page(java_17):
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    ran = subprocess.run(
        [java_17.home / "bin" / "java", "--add-modules=jdk.incubator.vector", "-version"],
        env={**os.environ, "JAVA_TOOL_OPTIONS": "-Da=b"},
        capture_output=True,
        text=True,
        check=True,
    )
    printed = [line for line in ran.stderr.splitlines() if "version" not in line][:3]
    assert "Picked up JAVA_TOOL_OPTIONS: -Da=b" in printed
    assert "### `Picked up JAVA_TOOL_OPTIONS: …`" in text
    warning = next(line for line in ran.stderr.splitlines() if line.startswith("WARNING"))
    assert f"### `{warning}`" in text


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.spark
def test_a_stopped_session_and_a_killed_jvm_are_reported():
    code = """
import os, signal, keras2dml
from keras2dml.systemds.context import SystemDS
import numpy as np
spark = keras2dml.spark_session(master="local[1]")
ours = SystemDS(spark)
pid = int(spark._jvm.java.lang.ProcessHandle.current().pid())
spark.stop()
def told(doing):
    try: doing()
    except keras2dml.InvalidSession as error: print(error)
told(lambda: SystemDS(spark))
os.kill(pid, signal.SIGKILL)
told(lambda: ours.matrix(np.ones((2, 2))))
told(lambda: keras2dml.spark_session())
"""
    stopped, *gone = in_a_new_python(code).stdout.splitlines()
    assert stopped.startswith("This SparkSession was stopped: create another")
    assert len(gone) == 2
    assert all(line.startswith("The JVM of this SparkSession no longer answers") for line in gone)
