"""Jars from Maven Central, fetched once by the Ivy that ships with pyspark.

Each set has a folder of its own in the user's cache, named after its content. A folder appears
complete (one rename) or not at all, so an interrupted download is never used. `jars.sha256` beside
this file pins every jar: no other jar is put there, or used from there.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from contract import files
from contract.errors import InstallationError
from digitstream.machine.java import Java

SPARK = "3.5.7"
SCALA = "2.12"
KAFKA_BROKER = "4.1.1"
DELTA_LAKE = "3.3.2"

PINS = Path(__file__).with_suffix(".sha256")
"""`DIGEST  SET/JAR` of each jar; `scripts/pin_jars.py` rewrites it."""

_JAR_BYTES = 1 << 30

Progress = Callable[[int, int, str], None]
"""Called with the number of jars fetched so far, their total, and the last one."""


class JarsUnavailable(InstallationError):
    """The jars are not in the cache and could not be downloaded."""

    retriable = True


class JarsChanged(InstallationError):
    """A jar differs from the pinned one."""


@dataclass(frozen=True)
class Jars:
    """A set of Maven modules, "group:artifact:version" each, and the file that pins their jars."""

    name: str
    modules: tuple[str, ...]
    transitive: bool
    pins: Path = PINS

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each of its jars, by name."""
        digests = {}
        for line in self.pins.read_text("utf-8").splitlines():
            digest, _, path = line.partition("  ")
            name, _, jar = path.partition("/")
            if name == self.name:
                digests[jar] = digest
        return digests

    @property
    def folder_name(self) -> str:
        """A name that changes with the content."""
        content = "\n".join((*self.modules, str(self.transitive)))
        return f"{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def ivy(self) -> str:
        """The Ivy file that asks for this set."""
        needs = "".join(
            f'<dependency org="{group}" name="{artifact}" rev="{version}" '
            f'conf="default->runtime,master" transitive="{str(self.transitive).lower()}"/>'
            for group, artifact, version in (module.split(":") for module in self.modules)
        )
        return (
            f'<ivy-module version="2.0"><info organisation="digitstream" module="{self.name}"/>'
            f'<configurations><conf name="default"/></configurations>'
            f"<dependencies>{needs}</dependencies></ivy-module>"
        )


BROKER = Jars(
    name="kafka-broker",
    modules=(
        f"org.apache.kafka:kafka_2.13:{KAFKA_BROKER}",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
    ),
    transitive=True,
)

# What Spark's Kafka connector needs beyond the jars that pyspark brings (those are left out: two
# versions of one class on Spark's path would be worse than none), and the local file system that
# writes a checkpoint without forking a shell.
CONNECTOR = Jars(
    name="spark-kafka",
    modules=(
        f"org.apache.spark:spark-sql-kafka-0-10_{SCALA}:{SPARK}",
        f"org.apache.spark:spark-token-provider-kafka-0-10_{SCALA}:{SPARK}",
        "org.apache.kafka:kafka-clients:3.4.1",
        "org.apache.commons:commons-pool2:2.11.1",
        "com.globalmentor:hadoop-bare-naked-local-fs:0.1.0",
    ),
    transitive=False,
)

DELTA = Jars(
    name="spark-delta",
    modules=(f"io.delta:delta-spark_{SCALA}:{DELTA_LAKE}", f"io.delta:delta-storage:{DELTA_LAKE}"),
    transitive=False,
)

SETS = (BROKER, CONNECTOR, DELTA)


def cache(environ: Mapping[str, str]) -> Path:
    """The user's cache folder for jars: by XDG_CACHE_HOME, else the system's usual place."""
    if environ.get("XDG_CACHE_HOME"):
        root = Path(environ["XDG_CACHE_HOME"])
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path.home() / ".cache"
    return root / "digitstream" / "jars"


def ensure(jars: Jars, java: Java, folder: Path, progress: Progress | None = None) -> list[Path]:
    """The paths of a set's jars under `folder`, fetched from Maven Central if not yet there.

    Raises JarsUnavailable if Maven Central cannot be reached, and JarsChanged if a jar, new or
    cached, is not the pinned one.
    """
    place = folder / jars.folder_name
    if place.is_dir():
        check(jars, folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as staging:
            arrived = fetch(jars, java, Path(staging), progress)
            if faults := _faults(jars, arrived):
                message = (
                    f"What was fetched for {jars.name} is not what {jars.pins.name} pins: "
                    f"{'; '.join(faults)}. Other jars may do anything, so none of them was kept. "
                    f"Find out what stands between this machine and Maven Central, and run the "
                    f"command again."
                )
                raise JarsChanged(message)
            _move(arrived, place)
    return [place / name for name in sorted(jars.digests)]


def check(jars: Jars, folder: Path) -> None:
    """Raise JarsChanged unless the set's folder under `folder` holds exactly the pinned jars."""
    place = folder / jars.folder_name
    if faults := _faults(jars, place):
        message = (
            f"{place} is not what {jars.pins.name} pins: {'; '.join(faults)}. Other jars may do "
            f"anything, so none of them is used. Remove the folder and run the command again, "
            f"which fetches them again."
        )
        raise JarsChanged(message)


def _faults(jars: Jars, place: Path) -> list[str]:
    """The differences from the pinned jars; extra ones count, as brokers load the whole folder."""
    digests = jars.digests
    present = {path.name for path in place.iterdir()}
    faults = [f"{name} is missing" for name in sorted(digests.keys() - present)]
    faults += [f"{name} is not pinned" for name in sorted(present - digests.keys())]
    for name in sorted(digests.keys() & present):
        try:
            digest = files.sha256(place / name, _JAR_BYTES)
        except OSError as exc:
            faults.append(f"{name} cannot be read ({exc.strerror})")
            continue
        if digest != digests[name]:
            faults.append(f"{name} has SHA-256 {digest}, not {digests[name]}")
    return faults


def fetch(jars: Jars, java: Java, staging: Path, progress: Progress | None = None) -> Path:
    """Download the jars of a set, unchecked; returns their folder below `staging`.

    Raises JarsUnavailable.
    """
    expected = len(jars.digests)
    (staging / "ivy.xml").write_text(jars.ivy, "utf-8")
    arrived = staging / "jars"
    command = [str(java.executable), "-jar", str(_ivy()), "-ivy", str(staging / "ivy.xml")]
    command += ["-cache", str(staging / "cache"), "-confs", "default"]
    command += ["-retrieve", str(arrived / "[artifact]-[revision](-[classifier]).[ext]")]
    lines = []
    with subprocess.Popen(
        command,
        text=True,
        errors="backslashreplace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=staging,
    ) as ivy:
        done = 0
        for line in ivy.stdout or ():
            lines.append(line)
            if "[SUCCESSFUL ]" in line:
                done += 1
                if progress is not None:
                    progress(done, expected, line.rpartition("!")[2].partition(" ")[0])
    count = len(list(arrived.glob("*.jar")))
    if ivy.returncode != 0 or count < expected:
        log = Path(tempfile.gettempdir()) / f"digitstream-{jars.name}-ivy.log"
        log.write_text("".join(lines), "utf-8")
        message = (
            f"Only {count} of the {expected} jars of {jars.name} ({', '.join(jars.modules)}) could "
            f"be fetched. The first time they come from Maven Central, which must be reachable: "
            f"check the network (behind a proxy set JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=... "
            f"-Dhttps.proxyPort=...) and run the command again. Ivy's log is {log}."
        )
        raise JarsUnavailable(message)
    return arrived


def _ivy() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        message = "pyspark is not installed, whose Ivy fetches the jars. Run `make setup`."
        raise JarsUnavailable(message)
    return next((Path(spec.origin).parent / "jars").glob("ivy-*.jar"))


def _move(arrived: Path, place: Path) -> None:
    try:
        arrived.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        # Another program fetched the same set at the same time and was first.
        shutil.rmtree(arrived)
