"""What answers where a registry should, and is none, is told in one sentence."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest

from contract.errors import RegistryUnavailable
from contract.model import registry_http
from contract.model.registry import Registry


@contextmanager
def answering(
    status: int, body: bytes, headers: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """The address of a server that has this answer to whatever it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"registered_model": 5}'),
        (200, b'{"model_version": []}'),
        (200, b"<html>\x1b[31m"),
        (400, b"[" * 100_000),
        (404, b""),
    ],
    ids=lambda part: str(part)[:24],
)
def test_what_is_no_registry_is_one_sentence(tmp_path: Path, status: int, body: bytes) -> None:
    with answering(status, body) as address:
        registry = Registry(address, tmp_path, "digits")
        for ask in (registry.resolve, registry.versions, lambda: registry.promote("1")):
            with pytest.raises(RegistryUnavailable) as caught:
                ask()
            said = str(caught.value)
            assert said.startswith(f"The registry {address} failed: ")
            assert said.isprintable() and len(said) < 600


def dripping(connection: socket.socket, begin: bytes) -> None:
    """Send these bytes, then one more now and then, while somebody takes them."""
    with suppress(OSError):
        connection.sendall(begin)
        while True:
            time.sleep(0.1)
            connection.sendall(b" ")


def flooding(connection: socket.socket, begin: bytes) -> None:
    """Send these bytes, then ever more of them."""
    with suppress(OSError):
        connection.sendall(begin)
        while True:
            connection.sendall(b" " * 65536)


@contextmanager
def never_ending(send: Callable[[socket.socket, bytes], None], begin: bytes) -> Iterator[str]:
    """The address of a server whose answer begins so, and does not end."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as open_ones:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection = open_ones.enter_context(server.accept()[0])
                    threading.Thread(target=send, args=(connection, begin), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("send", "begin", "reason"),
    [
        (dripping, b"HTTP/1.1 200 OK\r\nX: ", "its answer is not about the model digits"),
        (dripping, HEAD + b"Content-Length: 9999\r\n\r\n{", "no answer"),
        (dripping, HEAD + b"\r\n{", ""),
        (flooding, HEAD + b"\r\n{", "it sends more than 1 MiB"),
        (flooding, HEAD + b"Content-Length: 99999999999\r\n\r\n{", "it sends more than 1 MiB"),
    ],
    ids=["head drips", "body drips", "body drips to its end", "endless", "very long"],
)
def test_an_answer_that_does_not_end_is_waited_for_in_vain_but_not_for_ever(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    send: Callable[[socket.socket, bytes], None],
    begin: bytes,
    reason: str,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(registry_http, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(registry_http, "ANSWER_BYTES", 1 << 20)
    with never_ending(send, begin) as address, pytest.raises(RegistryUnavailable) as caught:
        Registry(address, tmp_path, "digits").resolve()
    assert str(caught.value).startswith(f"The registry {address} failed: ")
    assert reason in str(caught.value)


def test_no_server_tells_how_long_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with (
        answering(503, b"{}", {"Retry-After": "86400"}) as address,
        pytest.raises(RegistryUnavailable, match=r"Check --tracking-uri\.$"),
    ):
        Registry(address, tmp_path, "digits").resolve()


def test_a_server_that_is_not_there_is_one_plain_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with answering(200, b"") as address:
        pass
    with pytest.raises(RegistryUnavailable, match=r"failed: no answer \(Connection refused\)\. It"):
        Registry(address, tmp_path, "digits").resolve()
