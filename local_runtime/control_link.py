"""Blocking requests to the control plane, for threads: one connection each, kept open."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from local_runtime.http_client import Body

_TIMEOUT_S: Final = 60.0
_PIECE_BYTES: Final = 1024 * 1024
# A control plane that has died takes this process with it, to be started again together, or to end:
# what it would have answered is not to be counted as a failure in the meantime.
_ABSENCE_S: Final = 15.0
_RETRY_S: Final = 0.05


class ControlLinkError(Exception):
    """The control plane gave no answer."""


class ControlLink:
    """Sends requests over the control plane's socket.

    Args:
        socket_path: where it listens.
        absence_s: how long to wait for one that does not.
    """

    def __init__(self, socket_path: str, *, absence_s: float = _ABSENCE_S) -> None:
        self._socket_path = socket_path
        self._absence_s = absence_s
        self._of_thread = threading.local()

    @contextmanager
    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: Body = b""
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request that may be repeated, and give its answer to be read.

        A connection that the other side has closed is opened again, while it was idle or before it
        answered.

        Raises:
            ControlLinkError: there is no answer, or it breaks off.
        """
        connection: _UnixConnection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = self._of_thread.connection = _UnixConnection(self._socket_path)
        until_s = time.monotonic() + self._absence_s
        try:
            while True:
                try:
                    response = _ask(connection, method, target, headers, body)
                    break
                except (ConnectionError, FileNotFoundError, http.client.BadStatusLine):
                    connection.close()
                    if time.monotonic() > until_s:
                        raise
                    time.sleep(_RETRY_S)
            yield response
            while response.read(_PIECE_BYTES):
                pass  # the next request needs the connection
        except (OSError, http.client.HTTPException) as error:
            self._drop(connection)
            raise ControlLinkError(f"{method} {target}: {error}") from error
        except BaseException:
            self._drop(connection)
            raise

    def _drop(self, connection: _UnixConnection) -> None:
        connection.close()
        self._of_thread.connection = None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _ask(
    connection: _UnixConnection, method: str, target: str, headers: Mapping[str, str], body: Body
) -> http.client.HTTPResponse:
    # The length is always said: to http.client a memoryview is an iterable, to be sent in chunks.
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body if len(body) < _PIECE_BYTES else None)
    if len(body) >= _PIECE_BYTES:
        assert connection.sock is not None
        connection.sock.sendall(body)
    return connection.getresponse()
