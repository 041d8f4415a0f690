"""What answers where a registry should, and is none, is told in one sentence."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contract.errors import RegistryUnavailable
from contract.registry import Registry


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that has this answer to whatever it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
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
