"""An installation with tables, and its commands in one process or in one each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from contract.settings.programs import Settings
from digitstream.kafka.server import Broker
from tests.quick_java import QUICK

ROOT = Path(__file__).parents[2]
PATIENCE = 400

# Runs one command after another, so that all have one JVM, which has started.
SHELL = """
import contextlib, io, json, sys
from digitstream import cli

for line in sys.stdin:
    sys.argv, out, err = ["digitstream", *json.loads(line)], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class Installation:
    """A home whose topics hold readings, labels and scores."""

    def __init__(self, home: Path, kafka: Broker, prefix: str, **more: str) -> None:
        self.home = home
        self.environ = {
            **os.environ,
            "DIGITSTREAM_HOME": str(home),
            "DIGITSTREAM_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "DIGITSTREAM_PREFIX": prefix,
            "DIGITSTREAM_MASTER": "local[2]",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
            **more,
        }
        self.settings = Settings(
            home=home, bootstrap_servers=kafka.bootstrap_servers, prefix=prefix
        )

        quick = self.environ | QUICK
        self.shell = self._process("-c", SHELL, stdin=subprocess.PIPE, stderr=None, env=quick)

    def _process(self, *words: str, **streams: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.home,
            text=True,
            **{
                "env": self.environ,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **streams,
            },
        )

    def command(self, *words: str) -> subprocess.Popen[str]:
        """A command in a process of its own."""
        return self._process("-m", "digitstream", *words)

    def run(self, *words: str) -> tuple[int, str, str]:
        """A command's exit code, its report and what it said."""
        assert self.shell.stdin is not None and self.shell.stdout is not None
        self.shell.stdin.write(json.dumps(words) + "\n")
        self.shell.stdin.flush()
        code, out, err = json.loads(self.shell.stdout.readline())
        return code, out, err

    def run_alone(self, *words: str) -> tuple[int, str, str]:
        """The same of a command in a process of its own, with what its JVM said."""
        with self.command(*words) as process:
            try:
                out, err = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        return process.returncode, out, err

    def report(self, *words: str) -> Any:
        """A command's report, of JSON."""
        code, out, err = self.run(*words, "--json")
        assert code == 0, err
        return json.loads(out)
