"""Checks everything an installation needs, and says what is wrong and how to fix it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from contract.errors import DigitstreamError, InstallationError
from contract.kafka.topics import ensure
from contract.model import bundle
from contract.settings.programs import Settings
from digitstream.flags import with_broker
from digitstream.machine import jars, java

FREE_BYTES = 2 * 1024**3
PYTHONS = ((3, 11), (3, 14))
LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"


@dataclass(frozen=True)
class Finding:
    """The result of a check; if it is not ok, `detail` has the remedy."""

    name: str
    ok: bool
    detail: str


def examine(settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    """Run every check, in the order of their dependencies; changes nothing."""
    checks: dict[str, Callable[[], str]] = {
        "Python": _python,
        "packages": _packages,
        "Java": lambda: f"Java {java.RELEASE} at {java.find(environ).home}",
        "jars": lambda: _jars(jars.cache(environ)),
        "SystemDS": _systemds,
        "BLAS": _blas,
        "kernels": _kernels,
        "disk": lambda: _disk(settings.home),
        "Kafka": lambda: str(with_broker(settings).kafka),
        "topics": lambda: _topics(with_broker(settings)),
        "champion": lambda: _champion(settings),
    }
    return [_run(name, check) for name, check in checks.items()]


class CheckFailed(InstallationError):
    """A check found something wrong."""


def _run(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except DigitstreamError as error:
        return Finding(name, False, str(error))


def _python() -> str:
    least, below = PYTHONS
    if not least <= sys.version_info[:2] < below:
        message = (
            f"Python is {sys.version.split()[0]}, which must be from 3.11 to 3.13. `make setup`."
        )
        raise CheckFailed(message)
    return f"{sys.version.split()[0]} at {sys.executable}"


def _packages() -> str:
    if not LOCK.exists():
        message = f"{LOCK} is missing. digitstream runs from its checkout. Run it from there."
        raise CheckFailed(message)
    wrong = []
    locked = [line.split() for line in LOCK.read_text("utf-8").splitlines() if "==" in line[:1000]]
    for words in locked:
        name, _, pinned = words[0].partition("==")
        if not pinned or ";" in words:
            continue
        installed = _version(name)
        if installed != pinned:
            wrong.append(f"{name} is {installed}, not {pinned}")
    if wrong:
        message = f"Not as locked: {'; '.join(wrong)}. Run `make clean setup`."
        raise CheckFailed(message)
    return "as requirements.lock has them"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _jars(cache: Path) -> str:
    missing = []
    for jar_set in jars.SETS:
        if (cache / jar_set.folder_name).is_dir():
            jars.check(jar_set, cache)
        else:
            missing.append(jar_set.name)
    if missing:
        return f"{', '.join(missing)} will be downloaded on first use"
    return f"in {cache}, as {jars.PINS.name} has them"


def _systemds() -> str:
    from keras2dml import Keras2DMLError
    from keras2dml.systemds.session import systemds_jar

    try:
        return str(systemds_jar())
    except Keras2DMLError as error:
        raise CheckFailed(str(error)) from error


def _blas() -> str:
    from keras2dml.systemds import blas

    return blas.detect().detail


def _kernels() -> str:
    from keras2dml import Keras2DMLError
    from keras2dml.kernels import installed

    try:
        return installed.describe()
    except Keras2DMLError as error:
        raise CheckFailed(str(error)) from error


def _disk(home: Path) -> str:
    place = next(folder for folder in (home.resolve(), *home.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES:
        message = (
            f"{place} has {free / 1024**3:.1f} GiB free; {FREE_BYTES / 1024**3:.0f} are needed for "
            f"Kafka, checkpoints and models. Make room or choose another --home."
        )
        raise CheckFailed(message)
    return f"{free / 1024**3:.0f} GiB free at {place}"


def _topics(settings: Settings) -> str:
    ensure(settings.kafka, settings.topics, create=False)
    return f"all seven of {settings.prefix}"


def _champion(settings: Settings) -> str:
    champion = settings.registry.resolve()
    bundle.load(champion.folder)
    return f"version {champion.version} of {champion.name}, its digests match"
