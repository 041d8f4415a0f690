"""What Java's libraries log does nothing to a terminal."""

from __future__ import annotations

import os
import subprocess
from importlib import resources
from pathlib import Path

import pyspark
import pytest

from digitstream.machine.java import Java

SAYS = """
import org.apache.logging.log4j.LogManager;

public class Says {
    public static void main(String[] arguments) {
        LogManager.getLogger("a.b.Says").warn("a\\u001b[2J\\u009b31m\\u202eb\\r\\nc\\td",
            new IllegalStateException("d\\u001b]8;;x\\u0007e"));
        LogManager.getLogger("a.b.Says").info("more");
    }
}
"""


@pytest.mark.spark
@pytest.mark.parametrize("level", [None, "info"])
def test_logs_have_no_control_characters(java_17: Java, tmp_path: Path, level: str | None) -> None:
    program = tmp_path / "Says.java"
    program.write_text(SAYS)
    configuration = resources.files("keras2dml").joinpath("log4j2.properties")
    jars = ":".join(map(str, (Path(pyspark.__file__).parent / "jars").glob("log4j-*.jar")))
    environ = {**os.environ, **({} if level is None else {"KERAS2DML_LOG_LEVEL": level})}
    said = subprocess.run(
        [java_17.executable, f"-Dlog4j2.configurationFile={configuration}", "-cp", jars, program],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert " WARN Says: a?[2J?31m?b?\nc\td" in said
    assert "java.lang.IllegalStateException: d?]8;;x?e\n\tat Says.main" in said
    assert said.count("IllegalStateException") == 1
    assert said.replace("\n", "").replace("\t", "").isprintable()
    assert ("INFO Says: more" in said) == (level == "info")
