"""Requests to a runtime that is running, for the command line: plain HTTP to its port."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_runtime.settings import DEFAULT_REGION

_TIMEOUT_S: Final = 300.0  # an invocation may take a minute, and a cold start before it


class NotRunningError(Exception):
    """No runtime answers on the port."""


class RefusedError(Exception):
    """The runtime has answered with an error: its code, and what it says."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RuntimeClient:
    """The runtime on a port of this machine, in one region."""

    def __init__(self, port: int, region: str = DEFAULT_REGION) -> None:
        self._port = port
        self._region = region

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Send a request and receive its answer.

        Raises:
            NotRunningError: nobody answers.
            RefusedError: the answer is an error.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, body, {**headers, "Authorization": self._scope()})
            response = connection.getresponse()
            reply = Reply(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        except (OSError, http.client.HTTPException) as error:
            raise NotRunningError(
                f"no local runtime answers on 127.0.0.1:{self._port} ({error}); start one with"
                " python -m local_runtime up"
            ) from error
        finally:
            connection.close()
        if reply.status >= 400:
            raise _refusal(reply)
        return reply

    def call(self, target: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation of an API that speaks JSON, as ``Prefix.Operation``.

        Raises:
            NotRunningError: nobody answers.
            RefusedError: the answer is an error.
        """
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        reply = self.send("POST", "/", headers, json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(reply.body)
        return answer

    def _scope(self) -> str:
        """What tells the region, and the service of the one API that is called by operation.

        Nobody checks the signature that is missing.
        """
        return (
            f"AWS4-HMAC-SHA256 Credential=local/20000101/{self._region}/logs/aws4_request,"
            " SignedHeaders=host, Signature=local"
        )


def _refusal(reply: Reply) -> RefusedError:
    text = reply.body.decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    code = reply.headers.get("x-amzn-errortype", document.get("__type", f"HTTP {reply.status}"))
    message = document.get("message", document.get("Message", text))
    return RefusedError(str(code), str(message))
