"""Drills of failures between machines: a broker is lost, the network is cut, clocks jump."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from digitstream.drills.drill import drill
from digitstream.drills.ground.cluster import cluster, leader
from digitstream.drills.ground.ground import Ground, is_root
from digitstream.drills.outcome import Impossible
from digitstream.drills.stalled import check_all_accounted
from digitstream.machine.subcommands import CommandFailed, Commands

_COUNT, _RATE = 15_000, "300"
_STARTING_SECONDS = 600.0
_CUT_SECONDS = 30
_STROBES, _STROBE_SECONDS = 20, 2.0

_HOST, _PEER = "10.213.77.2", "10.213.77.1"
# Under libfaketime 0.9.10 `time.sleep` fails where the monotonic clock is left alone.
_SLEEPS = """\
import select, time
time.sleep = lambda seconds: select.select((), (), (), seconds) and None
"""
_FAKETIME = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib")


@drill(
    "leader-lost",
    "Of three brokers (replication 3, min.insync.replicas 2) the leader of the readings is killed "
    "while readings arrive: the producer waits it out or ends with exact counts, the scorer goes "
    "on or stops with an explanation, and nothing is lost.",
)
def _leader_lost(ground: Ground) -> str:
    with cluster(ground, 3) as (elsewhere, nodes):
        scorer = elsewhere.score()
        sending = elsewhere.start_sending(_COUNT, rate=_RATE)
        elsewhere.await_answers(1_000, scorer, _STARTING_SECONDS)
        number = leader(elsewhere, elsewhere.settings.topics.readings, 0)
        lost = next(node for node in nodes if node.number == number)
        lost.kill()
        seen = check_all_accounted(elsewhere, _COUNT, sending, scorer)
        return f"broker {number} of 3 was lost; {seen}"


@drill(
    "partition",
    "The network between Kafka and all clients is cut for 30 seconds while readings arrive: the "
    "producer waits it out or ends with exact counts, the scorer goes on or stops with an "
    "explanation, and nothing is lost.",
)
def _partition(ground: Ground) -> str:
    with (
        _network_namespace() as name,
        cluster(ground, 1, _HOST, ("ip", "netns", "exec", name)) as (elsewhere, _),
    ):
        scorer = elsewhere.score()
        sending = elsewhere.start_sending(_COUNT, rate=_RATE)
        elsewhere.await_answers(1_000, scorer, _STARTING_SECONDS)
        elsewhere.announce(f"cuts the network for {_CUT_SECONDS:.0f} s")
        _ip("link", "set", f"{name}-out", "down")
        time.sleep(_CUT_SECONDS)
        _ip("link", "set", f"{name}-out", "up")
        return check_all_accounted(elsewhere, _COUNT, sending, scorer)


@drill(
    "clock-strobe",
    "The clocks of scorer and broker jump by hours, back and forth, every other second: each "
    "reading is answered once, and nothing is lost.",
)
def _clock_strobe(ground: Ground) -> str:
    library = next((file for at in _FAKETIME if (file := _library(at)).exists()), None)
    if library is None:
        message = (
            "Clocks can only be faked with libfaketime, which is not installed. Install it: "
            "Debian's package is faketime."
        )
        raise Impossible(message)
    offset = ground.settings.home / "clock-offset"
    _jump(offset, 0)
    (ground.settings.home / "sitecustomize.py").write_text(_SLEEPS, "utf-8")
    environ = {
        "PYTHONPATH": os.pathsep.join(
            [str(ground.settings.home), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",  # seconds; else each look at a clock reads the file
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else Java's waits end at once
    }
    prefix = ("env", *(f"{name}={value}" for name, value in environ.items()))
    with cluster(ground, 1, prefix=prefix) as (elsewhere, _):
        settings = {**elsewhere.commands.settings, **environ}
        with Commands(elsewhere.commands.logs, settings) as commands:
            scorer = replace(elsewhere, commands=commands).score()
            sending = elsewhere.start_sending(_COUNT // 3, rate=_RATE)
            elsewhere.await_answers(1_000, scorer, _STARTING_SECONDS)
            elsewhere.announce(f"lets the clocks jump {_STROBES} times")
            for number in range(_STROBES):
                _jump(offset, 7200 if number % 2 else -7200)
                time.sleep(_STROBE_SECONDS)
            _jump(offset, 0)
            seen = check_all_accounted(elsewhere, _COUNT // 3, sending, scorer)
    return f"{_STROBES} jumps of two hours; {seen}"


@contextmanager
def _network_namespace() -> Iterator[str]:
    """Create a network namespace with a link to it, whose far end is _HOST; yields its name."""
    name = "ds-drill"
    if not is_root() or shutil.which("ip") is None:
        message = "A network namespace needs root and `ip` (Debian's iproute2). Run this as root."
        raise Impossible(message)
    try:
        _ip("netns", "add", name)
        _ip("link", "add", f"{name}-out", "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("addr", "add", f"{_PEER}/30", "dev", f"{name}-out")
        _ip("link", "set", f"{name}-out", "up")
        _ip("-n", name, "addr", "add", f"{_HOST}/30", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", name, "link", "set", device, "up")
    except CommandFailed as exc:
        message = f"This machine cannot create a network namespace ({exc})."
        raise Impossible(message) from exc
    try:
        yield name
    finally:
        with suppress(CommandFailed):
            _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    """Run `ip`; raises CommandFailed with its message."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(done.stderr.strip() or f"`ip {' '.join(words)}` failed")


def _library(folder: str) -> Path:
    return Path(folder) / "faketime" / "libfaketime.so.1"


def _jump(file: Path, seconds: int) -> None:
    """Set the faked clock off by so many seconds."""
    file.write_text(f"{seconds:+d}s", "utf-8")
