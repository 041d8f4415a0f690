"""What a registry's server may take of us: time for an answer, and bytes of one.

MLflow's client bounds the time of each read alone: a server that sends a byte now and then, or ever
more of them, would be waited for for ever.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Timer
from typing import Any

from mlflow.utils import request_utils
from requests import PreparedRequest, Response
from requests.exceptions import RequestException
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from contract.model.bundle import FILE_BYTES

ANSWER_SECONDS, FILE_SECONDS = 30.0, 1800.0
"""For an answer from the request on, and for a file of a bundle."""

ANSWER_BYTES = 64 << 20
"""Of an answer; a file of a bundle may have FILE_BYTES."""

_FILES = "mlflow-artifacts/artifacts/"


class _Expiring:
    """A connection that is cut when an answer takes longer than it may."""

    sock: socket.socket | None
    _socket: socket.socket | None = None
    _timer: Timer | None = None

    def _new_conn(self) -> socket.socket:
        self._socket = super()._new_conn()  # type: ignore[misc]
        return self._socket

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._socket = self.sock  # with TLS another than before

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = Timer(FILE_SECONDS if _FILES in url else ANSWER_SECONDS, self._cut)
        self._timer.daemon = True
        self._timer.start()
        super().request(method, url, *args, **kwargs)  # type: ignore[misc]

    def _cut(self) -> None:
        with suppress(OSError):  # it is closed
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)


class _Connection(_Expiring, HTTPConnection):
    """An expiring connection."""


class _TlsConnection(_Expiring, HTTPSConnection):
    """An expiring connection with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Bounded(request_utils.TCPKeepAliveHTTPAdapter):  # type: ignore[misc]
    """MLflow's own way to a server, within the bounds."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        response: Response = super().build_response(req, resp)
        limit = FILE_BYTES if _FILES in (req.url or "") else ANSWER_BYTES
        response.iter_content = _within(limit, response)  # type: ignore[method-assign]
        return response


def _within(limit: int, response: Response) -> Callable[..., Iterator[Any]]:
    """A response's `iter_content` that raises RequestException for more bytes than the limit."""
    content = response.iter_content

    def iter_content(*args: Any, **kwargs: Any) -> Iterator[Any]:
        size = 0
        for chunk in content(*args, **kwargs):
            size += len(chunk)
            if size > limit:
                response.close()
                message = f"it sends more than {limit >> 20} MiB"
                raise RequestException(message)
            yield chunk

    return iter_content


def bound() -> None:
    """Let MLflow's client ask servers within the bounds, four times at most."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 14 s, not four minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # of a server that is silent
    # Or a server tells us for how many hours to wait.
    os.environ.setdefault("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")
    request_utils.TCPKeepAliveHTTPAdapter = _Bounded
