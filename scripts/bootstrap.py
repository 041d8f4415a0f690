"""Prepares a checkout: Java 17, and `.venv` from requirements.lock. Standard library only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from contract.errors import DigitstreamError  # noqa: E402
from digitstream.machine import java  # noqa: E402

VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"


class SetupError(DigitstreamError):
    """The checkout could not be prepared."""


@dataclass(frozen=True)
class Machine:
    """What the setup has to know of where it runs."""

    environ: Mapping[str, str]
    is_root: bool
    places: tuple[str, ...] = java.USUAL_PLACES

    def installer(self, apt: str, brew: str | None) -> str | None:
        """The command that installs a package here without asking anybody, or None."""
        path = self.environ.get("PATH", "")
        if self.is_root and shutil.which("apt-get", path=path):
            return apt
        if brew is not None and shutil.which("brew", path=path):
            return brew
        return None

    def install(self, command: str, missing: DigitstreamError) -> None:
        """Run an installer; raises `missing` when it fails."""
        environ = {**self.environ, "DEBIAN_FRONTEND": "noninteractive"}
        if command.startswith("apt-get"):
            # An old list may do, so that this one's failure is not the end.
            subprocess.run(["apt-get", "update", "-q"], env=environ, stdin=DEVNULL, check=False)
        done = subprocess.run(command.split(), env=environ, stdin=DEVNULL, check=False)
        if done.returncode != 0:
            raise missing


def main() -> None:
    """Prepare the checkout, or say in one sentence why not and exit with 1."""
    machine = Machine(os.environ, is_root=getattr(os, "geteuid", lambda: 1)() == 0)
    try:
        ensure_java(machine)
        ensure_venv(machine)
        install()
        build_kernels(machine)
    except DigitstreamError as error:
        sys.exit(f"{error}")
    (VENV / "ready").touch()
    say("Ready: `make demo` shows the whole way, `make test` runs the tests.")


def ensure_java(machine: Machine) -> None:
    """Find Java 17, or have the package manager install it where that needs no question."""
    try:
        java.find(machine.environ, machine.places)
    except java.JavaMissing as missing:
        command = machine.installer(java.INSTALLERS["Debian"], java.INSTALLERS["macOS"])
        if command is None:
            raise
        say(f"Java {java.RELEASE} is missing: installing it with `{command}`.")
        machine.install(command, missing)
        java.find(machine.environ, machine.places)


def ensure_venv(machine: Machine) -> None:
    """Make `.venv` unless it is there and its Python runs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if PYTHON.exists() and subprocess.run([str(PYTHON), "-c", ""], check=False).returncode == 0:
        return
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python{version}-venv"
        missing = SetupError(
            f"Python {version} of this machine cannot make virtual environments: Debian keeps that "
            f"part in a package of its own. Install it with `apt-get install -y {package}` and run "
            f"make again."
        )
        command = machine.installer(f"apt-get install -y {package}", None)
        if command is None:
            raise missing
        say(f"Python's venv module is missing: installing it with `{command}`.")
        machine.install(command, missing)
    say(f"Making .venv with Python {version}.")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)


def install() -> None:
    """Install exactly what requirements.lock names, and this checkout itself, editable."""
    lock = ROOT / "requirements.lock"
    total = sum(
        "==" in line and not line.startswith(" ") for line in lock.read_text("utf-8").splitlines()
    )
    say(f"Installing up to {total} packages (some minutes and 4 GB the first time).")
    counted = 0

    def progress(line: str) -> None:
        nonlocal counted
        if line.startswith(("Collecting ", "Requirement already satisfied: ")):
            counted += 1
            if sys.stdout.isatty():
                sys.stdout.write(f"\r{counted} of {total} packages found")
                sys.stdout.flush()
            elif counted % 25 == 0:
                say(f"{counted} of {total} packages found")
        if line.startswith("Installing collected packages"):
            say(
                ("\n" if sys.stdout.isatty() else "")
                + "All found; unpacking them, which takes some minutes."
            )

    pip("--require-hashes", "-r", str(lock), heard=progress)
    pip("--no-build-isolation", "-e", str(ROOT), heard=lambda line: None)


def build_kernels(machine: Machine) -> None:
    """Compile the kernels with the JDK's javac; without one, programs run slower."""
    environ = {**machine.environ, "JAVA_HOME": str(java.find(machine.environ, machine.places).home)}
    command = [str(PYTHON), "-m", "keras2dml.kernels.build"]
    process = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    if process.returncode:
        say(
            "The kernels of keras2dml were not built, so that training takes several times as long:"
            f" {(process.stderr.strip().splitlines() or ['javac failed'])[-1]} They need a JDK"
            f" {java.RELEASE}, not just a JRE (Debian: `{java.INSTALLERS['Debian']}`); `python -m"
            " keras2dml.kernels.build` shows all that javac says."
        )


def pip(*arguments: str, heard: Callable[[str], None]) -> None:
    """Run pip in `.venv`, handing each line it says to `heard`; raises SetupError if it fails."""
    command = [str(PYTHON), "-m", "pip", "install", "--no-deps", "--disable-pip-version-check"]
    command += ["--no-input", "--root-user-action=ignore", *arguments]
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            heard(line)
    if process.returncode != 0:
        message = (
            f"pip could not install `{' '.join(arguments)}`: it needs its package index the first "
            f"time, and about 4 GB of disk. Mend that and run make again. Its last words:\n"
            f"{''.join(said[-8:])}"
        )
        raise SetupError(message)


def say(sentence: str) -> None:
    """One line to the person who waits."""
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
