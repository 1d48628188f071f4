"""boto3 clients that reach the control plane without leaving the process.

Resource types speak the same public API as everybody else: what they create, ``describe`` shows.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.session import Session

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# Marks the requests that come from here: nobody outside is told of their answers.
INSIDE = "local_runtime.inside"


class LocalClients:
    """Clients by service and region, all of them answered by one WSGI application.

    Args:
        application: what answers.
        url: where others reach it; services build the addresses of queues from it.
    """

    def __init__(self, application: Application, url: str) -> None:
        self._application = application
        self._url = url
        self._session = Session()
        self._clients: dict[tuple[str, str], Any] = {}
        # botocore's sessions are not thread-safe; its clients are.
        self._lock = threading.Lock()

    def client(self, service: str, region: str) -> Any:
        """A client that is made once."""
        with self._lock:
            client = self._clients.get((service, region))
            if client is None:
                client = self._session.create_client(
                    service,
                    region_name=region,
                    endpoint_url=self._url,
                    aws_access_key_id="local",
                    aws_secret_access_key="local",  # noqa: S106 - nobody checks it
                    config=Config(
                        retries={"total_max_attempts": 1},
                        s3={"addressing_style": "path"},
                    ),
                )
                client.meta.events.register(
                    "before-send", partial(_answer, self._application), unique_id="local"
                )
                self._clients[service, region] = client
            return client


class _Body(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def _answer(application: Application, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
    """Run a prepared request through the application, as a server would."""
    url = urlsplit(request.url)
    body = request.body if request.body is not None else b""
    if not isinstance(body, bytes | bytearray | str):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path, encoding="latin-1"),
        "REQUEST_URI": f"{url.path}?{url.query}" if url.query else url.path,
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": url.netloc,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        INSIDE: True,
    }
    for name, value in request.headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        key = name.upper().replace("-", "_")
        if key in {"TRANSFER_ENCODING", "CONTENT_LENGTH", "EXPECT"}:
            continue
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = text
    answered: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        answered.update(status=int(status.split(" ", 1)[0]), headers=dict(headers))

    chunks = application(environ, start_response)
    try:
        content = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    return AWSResponse(request.url, answered["status"], _lower(answered["headers"]), _Body(content))


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
