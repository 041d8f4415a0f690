"""Limits on the time and size of an MLflow server's answers.

MLflow's client only limits the time of each read: it would wait forever for a server that sends a
byte now and then, or that never stops sending.
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
"""Timeouts for an answer, from the request on, and for a file of a bundle."""

ANSWER_BYTES = 64 << 20
"""Largest answer; a file of a bundle may have FILE_BYTES."""

_FILES = "mlflow-artifacts/artifacts/"


class _Expiring:
    """A connection that is closed when an answer takes too long."""

    sock: socket.socket | None
    _socket: socket.socket | None = None
    _timer: Timer | None = None

    def _new_conn(self) -> socket.socket:
        self._socket = super()._new_conn()  # type: ignore[misc]
        return self._socket

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._socket = self.sock  # with TLS, this differs from _new_conn's

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = Timer(FILE_SECONDS if _FILES in url else ANSWER_SECONDS, self._close_socket)
        self._timer.daemon = True
        self._timer.start()
        super().request(method, url, *args, **kwargs)  # type: ignore[misc]

    def _close_socket(self) -> None:
        with suppress(OSError):  # already closed
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


class _LimitedAdapter(request_utils.TCPKeepAliveHTTPAdapter):  # type: ignore[misc]
    """MLflow's HTTP adapter with limits."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        response: Response = super().build_response(req, resp)
        limit = FILE_BYTES if _FILES in (req.url or "") else ANSWER_BYTES
        response.iter_content = _limited(limit, response)  # type: ignore[method-assign]
        return response


def _limited(limit: int, response: Response) -> Callable[..., Iterator[Any]]:
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


def limit_requests() -> None:
    """Apply the limits to MLflow's client, with at most four attempts per request."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 14 s, not four minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # if a server sends nothing
    # Otherwise a server could make us wait for hours.
    os.environ.setdefault("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")
    request_utils.TCPKeepAliveHTTPAdapter = _LimitedAdapter
