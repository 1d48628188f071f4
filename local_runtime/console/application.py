"""The console as a WSGI application: its files, and the documents that its pages ask for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from local_runtime.console import CONSOLE_ROUTE, asset_files, guard
from local_runtime.console.faults import ConsoleFault
from local_runtime.console.pages import Pages, Question, Sources

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_API: Final = f"{CONSOLE_ROUTE}/api/"
_ASSETS: Final = f"{CONSOLE_ROUTE}/assets/"
_JSON: Final = "application/json"


class Console:
    """Answers what is below ``/console``."""

    def __init__(self, sources: Sources) -> None:
        self._pages = Pages(sources)
        self._assets = asset_files.load()

    @staticmethod
    def takes(environ: Mapping[str, Any]) -> bool:
        """Whether a request is for the console.

        A client of S3 may have a bucket named ``console``; it is known by its signature.
        """
        path = environ["PATH_INFO"]
        return (
            (path == CONSOLE_ROUTE or path.startswith(f"{CONSOLE_ROUTE}/"))
            and "HTTP_AUTHORIZATION" not in environ
            and "X-Amz-Signature=" not in environ.get("QUERY_STRING", "")
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        refused = guard.refusal(environ)
        if refused is not None:
            return _send(start_response, HTTPStatus.FORBIDDEN, {"message": refused})
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if method not in {"GET", "HEAD"}:
            message = {"message": f"the console reads: method must be GET, got {method}"}
            return _send(start_response, HTTPStatus.METHOD_NOT_ALLOWED, message)
        if path.startswith(_API):
            return self._document(path.removeprefix(_API), environ, start_response)
        name = path.removeprefix(_ASSETS) if path.startswith(_ASSETS) else asset_files.INDEX
        if name == asset_files.INDEX and path not in {CONSOLE_ROUTE, f"{CONSOLE_ROUTE}/"}:
            return _send(start_response, HTTPStatus.NOT_FOUND, {"message": f"no page {path}"})
        return self._asset(name, environ, start_response)

    def _document(
        self, route: str, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a page's question. WSGI has decoded the path's escapes."""
        first, _, rest = route.partition("/")
        answer = self._pages.routes.get(first)
        if answer is None:
            known = ", ".join(self._pages.routes)
            message = {"message": f"route must be one of {known}, got {first!r}"}
            return _send(start_response, HTTPStatus.NOT_FOUND, message)
        name = rest.encode("latin-1").decode("utf-8", "replace")
        question = Question(dict(parse_qsl(environ.get("QUERY_STRING", ""))))
        try:
            return _send(start_response, HTTPStatus.OK, answer(question, name))
        except ConsoleFault as fault:
            return _send(start_response, HTTPStatus(fault.status), {"message": str(fault)})

    def _asset(self, name: str, environ: Environ, start_response: StartResponse) -> list[bytes]:
        asset = self._assets.get(name)
        if asset is None:
            return _send(start_response, HTTPStatus.NOT_FOUND, {"message": f"no file {name!r}"})
        headers = [*guard.HEADERS, ("ETag", asset.tag), ("Cache-Control", "no-cache")]
        if environ.get("HTTP_IF_NONE_MATCH") == asset.tag:
            start_response("304 Not Modified", headers)
            return []
        headers += [
            ("Content-Type", asset.media_type),
            ("Content-Length", str(len(asset.body))),
        ]
        start_response("200 OK", headers)
        return [asset.body]


def _send(start_response: StartResponse, status: HTTPStatus, document: Any) -> list[bytes]:
    body = json.dumps(_finite(document)).encode()
    headers = [
        *guard.HEADERS,
        ("Content-Type", _JSON),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]


def _finite(value: Any) -> Any:
    """JSON has no infinity; a sample may."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return value
