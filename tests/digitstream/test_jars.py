import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from digitstream import jars, java


def program(path: Path, body: str) -> java.Java:
    """A Java whose launcher does something else."""
    path.joinpath("bin").mkdir(parents=True)
    launcher = path / "bin" / "java"
    launcher.write_text(f"#!/bin/sh\n{body}\n")
    launcher.chmod(0o755)
    return java.Java(path)


def test_no_network_is_one_sentence_and_leaves_nothing_half(tmp_path: Path) -> None:
    offline = program(tmp_path / "java", "echo 'Server access error'; exit 1")
    with pytest.raises(jars.JarsUnavailable, match="Maven Central") as raised:
        jars.ensure(jars.CONNECTOR, offline, tmp_path / "cache")
    assert raised.value.retriable
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_interrupted_download_is_never_half_used(tmp_path: Path) -> None:
    half = program(tmp_path / "java", "mkdir jars; touch jars/one.jar; exit 0")
    with pytest.raises(jars.JarsUnavailable, match="1 of the 5 jars"):
        jars.ensure(jars.CONNECTOR, half, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_second_time_asks_nobody(tmp_path: Path) -> None:
    whole = program(
        tmp_path / "java",
        "mkdir jars; touch jars/1.jar jars/2.jar jars/3.jar "
        "jars/4.jar jars/5.jar; echo '	[SUCCESSFUL ] a#b;1!1.jar (3ms)'",
    )
    heard: list[tuple[int, int, str]] = []
    first = jars.ensure(jars.CONNECTOR, whole, tmp_path / "cache", lambda *now: heard.append(now))
    assert heard == [(1, 5, "1.jar")]
    nobody = java.Java(tmp_path / "nowhere")
    assert jars.ensure(jars.CONNECTOR, nobody, tmp_path / "cache") == first
    assert len(first) == 5


def test_the_cache_is_the_users(tmp_path: Path) -> None:
    assert jars.cache({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "digitstream" / "jars"


@pytest.mark.kafka
def test_no_jar_of_the_connector_is_one_that_pyspark_brings(spark_jars: list[Path]) -> None:
    spec = find_spec("pyspark")
    assert spec is not None and spec.origin is not None
    brought = {path.name.rsplit("-", 1)[0] for path in Path(spec.origin).parent.glob("jars/*.jar")}
    assert not brought & {path.name.rsplit("-", 1)[0] for path in spark_jars}
    assert jars.ensure(jars.CONNECTOR, java.find(os.environ), jars.cache(os.environ)) == spark_jars
