"""Sessions: what SystemDS needs is there, or said."""

from __future__ import annotations

import subprocess
import sys

import pytest

from keras2dml.session import JAVA_OPTIONS, settings, systemds_jar


def in_a_new_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=False
    )


def test_settings_bring_systemds_and_the_jars_asked_for():
    assert systemds_jar().name == "SystemDS.jar" and systemds_jar().exists()
    assert settings(["a.jar"])["spark.jars"] == f"{systemds_jar()},a.jar"


def test_importing_and_scoring_needs_no_keras():
    code = (
        "import sys, keras2dml; keras2dml.Scorer; print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    assert in_a_new_python(code).stdout.strip() == "set()"


@pytest.mark.spark
@pytest.mark.slow
def test_a_session_without_systemds_is_refused_with_the_settings():
    code = (
        "from pyspark.sql import SparkSession; from keras2dml.session import suited\n"
        "suited(SparkSession.builder.master('local[1]').getOrCreate())"
    )
    error = in_a_new_python(code).stderr
    assert "InvalidSession: This SparkSession cannot run SystemDS" in error
    assert f"spark.jars={systemds_jar()}" in error
    assert f"spark.driver.extraJavaOptions={JAVA_OPTIONS}" in error


@pytest.mark.spark
@pytest.mark.slow
def test_a_session_of_ours_is_quiet():
    code = (
        "from keras2dml import spark_session; from keras2dml.systemds import SystemDS\n"
        "SystemDS(spark_session(master='local[1]'))"
    )
    ran = in_a_new_python(code)
    assert ran.returncode == 0
    noise = [line for line in ran.stderr.splitlines() if "Using incubator modules" not in line]
    assert (ran.stdout, noise) == ("", [])
