"""Requests, seen by what they may change; and their answers, held until that is written down."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from local_runtime.control_plane.corrections import bucket_in_host
from local_runtime.control_plane.keeping.database import StateUnwritableError
from local_runtime.control_plane.keeping.keeper import Keeper
from local_runtime.control_plane.local_client import INSIDE

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

HOSTING: Final = "hosting"
SCALING: Final = "scaling"
ALARMS: Final = "alarms"
DASHBOARDS: Final = "dashboards"
STACKS: Final = "stacks"

_SCOPE: Final = re.compile(r"Credential=[^/]*/\d{8}/[^/]+/(?P<service>[^/]+)/")
_FORM: Final = "application/x-www-form-urlencoded"
_ACTION: Final = re.compile(rb"(?:^|&)Action=(?P<name>\w+)")
_READING: Final = ("Describe", "List", "Get", "Head", "Search", "Lookup", "Validate", "Test")
# Of these nothing is kept but messages, which tell by themselves.
_PASSING: Final = frozenset(
    {
        *("SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage"),
        *("DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch"),
        *("Publish", "PublishBatch", "PutMetricData"),
    }
)
# One that waits for a message would hold up everybody.
_WAITING: Final = frozenset({"ReceiveMessage"})


@dataclass(frozen=True, slots=True)
class _Errand:
    """What a request is about."""

    service: str | None
    operation: str | None
    reads: bool
    bucket: str | None = None
    name: str | None = None
    uploads: bool = False


class KeptAnswers:
    """Answers requests so that nothing is told which is not kept."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._known: set[str] = set()

    def answer(
        self, environ: Environ, start_response: StartResponse, application: Application
    ) -> Iterable[bytes]:
        """Let the application answer, then wait until what it has changed is on disk."""
        errand = _read(environ)
        held: list[Any] = []

        def hold(*arguments: Any) -> None:
            held[:] = arguments

        try:
            chunks = self._run(errand, environ, hold, application)
            if environ.get(INSIDE) is None and not environ["PATH_INFO"].endswith("/metrics"):
                self._keeper.settle()
        except StateUnwritableError as error:
            return _refuse(start_response, error)
        start_response(*held)
        return chunks

    def _run(
        self, errand: _Errand, environ: Environ, hold: StartResponse, application: Application
    ) -> list[bytes]:
        keeper = self._keeper
        if errand.service == "s3" and errand.name:
            keeper.objects.begin_request()
            changed = False
            try:
                return _whole(application(environ, hold))
            finally:
                name = None if errand.reads else errand.name
                changed = keeper.objects.end_request(
                    errand.bucket, name, uploads=errand.uploads and not errand.reads
                )
                if changed:
                    keeper.changed()
        together = errand.service is None or errand.operation in _WAITING
        with nullcontext() if together else keeper.unit():
            if errand.service == "s3":
                keeper.objects.begin_request()
            try:
                return _whole(application(environ, hold))
            finally:
                if errand.service == "s3":
                    keeper.objects.end_request(None, None, uploads=False)
                self._mark(errand)

    def _mark(self, errand: _Errand) -> None:
        """Say which parts the request may have changed."""
        keeper, service = self._keeper, errand.service
        names = keeper.services.names()
        # A service that is asked for the first time makes up what AWS has from the start: the
        # first answer is what the next life must say too.
        new, self._known = names - self._known, names
        if new:
            keeper.changed(*new)
        if errand.reads or errand.operation in _PASSING:
            return
        match service:
            case None:
                keeper.changed(HOSTING)
            case "sagemaker":
                keeper.changed(HOSTING, *keeper.services.names_of("sagemaker"))
            case "application-autoscaling":
                keeper.changed(SCALING, ALARMS)
            case "monitoring":
                keeper.changed(ALARMS, DASHBOARDS)
            case "cloudformation":
                keeper.changed(STACKS)
            case _:
                keeper.changed(*keeper.services.names_of(service))


def _whole(chunks: Iterable[bytes]) -> list[bytes]:
    try:
        return list(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def _read(environ: Environ) -> _Errand:
    """What a request is about; one whose service is not known may change anything."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if path.startswith("/_local_runtime/"):
        return _Errand(None, None, reads=method == "GET" or path.endswith("/metrics"))
    query = environ.get("QUERY_STRING", "")
    signed = environ.get("HTTP_AUTHORIZATION", "")
    if not signed and "X-Amz-Credential" in query:
        signed = f"Credential={unquote(parse_qs(query)['X-Amz-Credential'][0])}"
    scope = _SCOPE.search(signed)
    service = scope["service"] if scope is not None else None
    target = environ.get("HTTP_X_AMZ_TARGET")
    if service is None and target is None and _is_form(environ) is False:
        service = "s3"  # what is not signed: the data plane reads, or a public object is read
    if service == "s3":
        return _of_objects(method, path, query, environ.get("HTTP_HOST", ""))
    operation = _operation(environ, target, path)
    reads = method in {"GET", "HEAD"} if operation is None else operation.startswith(_READING)
    return _Errand("unknown" if service is None else service, operation, reads=reads)


def _of_objects(method: str, path: str, query: str, host: str) -> _Errand:
    in_host = bucket_in_host(host)
    whole = path if in_host is None else f"/{in_host}{path}"
    bucket, _, name = whole.lstrip("/").partition("/")
    # WSGI gives a path as latin-1; names of objects are UTF-8.
    name = name.encode("latin-1").decode("utf-8", "surrogateescape")
    words = {part.partition("=")[0] for part in query.split("&")}
    deletes_many = method == "POST" and "delete" in words
    return _Errand(
        "s3",
        None,
        reads=method in {"GET", "HEAD"},
        bucket=bucket,
        name="" if deletes_many else name,
        uploads=bool(words & {"uploads", "uploadId"}),
    )


def _is_form(environ: Environ) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).startswith(_FORM)


def _operation(environ: Environ, target: str | None, path: str) -> str | None:
    if target is not None:
        return target.rpartition(".")[2]
    if "/operation/" in path:
        return path.rpartition("/operation/")[2]
    if not _is_form(environ):
        return None
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    found = _ACTION.search(body)
    return None if found is None else found["name"].decode("ascii")


def _refuse(start_response: StartResponse, error: StateUnwritableError) -> list[bytes]:
    """What was done may not be there in the next life: the caller must not believe that it is."""
    body = json.dumps(
        {"__type": "InternalFailure", "message": f"the state directory cannot be written: {error}"}
    ).encode()
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))]
    start_response("500 Internal Server Error", headers)
    return [body]
