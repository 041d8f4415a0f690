import hashlib
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from digitstream.machine import jars, java


def program(path: Path, body: str) -> java.Java:
    """A Java whose launcher does something else."""
    path.joinpath("bin").mkdir(parents=True)
    launcher = path / "bin" / "java"
    launcher.write_text(f"#!/bin/sh\n{body}\n")
    launcher.chmod(0o755)
    return java.Java(path)


def pinned(folder: Path, **content: str) -> jars.Jars:
    """A set of jars of this content."""
    pins = folder / "pins"
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in content.items()}
    lines = [f"{digest}  spark-kafka/{name}.jar\n" for name, digest in digests.items()]
    pins.write_text(f"# some\n{'0' * 64}  other/one.jar\n" + "".join(lines))
    return replace(jars.CONNECTOR, pins=pins)


def fetching(folder: Path, **content: str) -> java.Java:
    """A Java whose Ivy brings jars of this content."""
    lines = ["mkdir jars"]
    for name, text in content.items():
        lines += [f"printf '%s' '{text}' > jars/{name}.jar"]
        lines += [f"echo '\t[SUCCESSFUL ] a#b;1!{name}.jar (3ms)'"]
    return program(folder, "\n".join(lines))


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
    set_ = pinned(tmp_path, a="one", b="two")
    whole = fetching(tmp_path / "java", a="one", b="two")
    heard: list[tuple[int, int, str]] = []
    first = jars.ensure(set_, whole, tmp_path / "cache", lambda *now: heard.append(now))
    assert heard == [(1, 2, "a.jar"), (2, 2, "b.jar")]
    nobody = java.Java(tmp_path / "nowhere")
    assert jars.ensure(set_, nobody, tmp_path / "cache") == first
    assert [path.name for path in first] == ["a.jar", "b.jar"]


def test_a_jar_that_is_not_the_pinned_one_is_not_kept(tmp_path: Path) -> None:
    set_ = pinned(tmp_path, a="one", b="two")
    other = fetching(tmp_path / "java", a="one", b="TWO", c="three")
    told = r"pins: c\.jar is not pinned; b\.jar has SHA-256 [0-9a-f]{64}, not 3fc4ccfe7458"
    with pytest.raises(jars.JarsChanged, match=told):
        jars.ensure(set_, other, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_jar_that_changed_where_it_lay_is_not_used(tmp_path: Path) -> None:
    set_, cache = pinned(tmp_path, a="one", b="two"), tmp_path / "cache"
    whole = fetching(tmp_path / "java", a="one", b="two")
    first, second = jars.ensure(set_, whole, cache)
    nobody = java.Java(tmp_path / "nowhere")
    for change, told in (
        (lambda: first.write_text("another"), r"a\.jar has SHA-256 .* Remove the folder and run"),
        (lambda: (first.unlink(), os.mkfifo(first)), r"a\.jar cannot be read \(it is a named pipe"),
        (first.unlink, r"a\.jar is missing"),
        (lambda: first.symlink_to(second), r"a\.jar cannot be read \(it is a symbolic link"),
        ((first.parent / "z.JAR").touch, r"z\.JAR is not pinned"),
    ):
        change()
        with pytest.raises(jars.JarsChanged, match=told):
            jars.ensure(set_, nobody, cache)


def test_every_set_is_pinned_whole() -> None:
    for each in jars.SETS:
        modules = {module.split(":")[1] for module in each.modules}
        pins = each.digests
        assert modules <= {jar.rsplit("-", 1)[0] for jar in pins}, each.name
        assert each.transitive or len(pins) == len(modules)
        assert all(len(digest) == 64 for digest in pins.values())
    text = jars.PINS.read_text()
    assert "//" not in text and len(text.splitlines()) == 1 + sum(len(s.digests) for s in jars.SETS)


def test_the_cache_is_the_users(tmp_path: Path) -> None:
    assert jars.cache({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "digitstream" / "jars"


@pytest.mark.kafka
def test_no_jar_of_the_connector_is_one_that_pyspark_brings(spark_jars: list[Path]) -> None:
    spec = find_spec("pyspark")
    assert spec is not None and spec.origin is not None
    brought = {path.name.rsplit("-", 1)[0] for path in Path(spec.origin).parent.glob("jars/*.jar")}
    assert not brought & {path.name.rsplit("-", 1)[0] for path in spark_jars}
    fetched = jars.ensure(jars.CONNECTOR, java.find(os.environ), jars.cache(os.environ))
    [(client, copy)] = [
        pair for pair in zip(fetched, spark_jars, strict=True) if pair[0] != pair[1]
    ]
    assert client.name.startswith("kafka-clients-") and copy.stem == f"{client.stem}-bounded"
