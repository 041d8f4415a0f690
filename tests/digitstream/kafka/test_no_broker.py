"""A Kafka that is not there, or does not answer, is one sentence with the remedy for that."""

from __future__ import annotations

import socket

import pytest

from tests.digitstream.conftest import Run


@pytest.mark.parametrize(
    "command", [["reconcile"], ["score"], ["archive"], ["produce"], ["dead-letters", "list"]]
)
def test_no_broker_is_one_sentence_with_the_remedy(run: Run, command: list[str]) -> None:
    code, report, said = run(*command)
    assert (code, report) == (1, "")
    assert said.strip().endswith("or name another Kafka with --bootstrap-servers.")
    assert "digitstream broker start" in said and "Traceback" not in said


@pytest.mark.parametrize(
    "command", [["status"], ["reconcile"], ["dead-letters", "list"], ["produce"]]
)
def test_a_broker_that_hangs_is_not_to_be_started(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr("contract.kafka.clients.PATIENCE_MS", 200)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        code, report, said = run(*command, "--bootstrap-servers", address)
    assert (code, report) == (1, "")
    last = said.splitlines()[-1]
    assert last.startswith(f"Kafka at {address} accepts connections and does not answer.")
    assert "restart it" in last and "broker start" not in last


def test_a_broker_that_does_not_answer_is_named(run: Run) -> None:
    code, _, said = run("reconcile", "--bootstrap-servers", "127.0.0.1:9")
    assert code == 1
    assert "127.0.0.1:9" in said and "Traceback" not in said
