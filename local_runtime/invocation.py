"""``python -m local_runtime invoke``: one request to an endpoint, as a client would send it."""

from __future__ import annotations

import json
import mimetypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from local_runtime.client import Reply, RuntimeClient

_PREFIX: Final = "X-Amzn-SageMaker-"
_UNKNOWN_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """InvokeEndpoint, or InvokeEndpointAsync with the body in the request."""

    endpoint: str
    body: bytes
    content_type: str
    accept: str | None = None
    target_model: str | None = None
    target_variant: str | None = None
    target_container: str | None = None
    component: str | None = None
    asynchronous: bool = False

    def send(self, client: RuntimeClient) -> Reply:
        """Send it.

        Raises:
            NotRunningError: nobody answers.
            RefusedError: the endpoint, or its container, answers with an error.
        """
        operation = "async-invocations" if self.asynchronous else "invocations"
        path = f"/endpoints/{quote(self.endpoint, safe='')}/{operation}"
        return client.send("POST", path, self._headers(), self.body)

    def _headers(self) -> Mapping[str, str]:
        # InvokeEndpointAsync speaks of the body in headers of its own.
        prefix = _PREFIX if self.asynchronous else ""
        wanted = {
            f"{prefix}Content-Type": self.content_type,
            f"{prefix}Accept": self.accept,
            f"{_PREFIX}Target-Model": self.target_model,
            f"{_PREFIX}Target-Variant": self.target_variant,
            f"{_PREFIX}Target-Container-Hostname": self.target_container,
            f"{_PREFIX}Inference-Component": self.component,
        }
        return {name: value for name, value in wanted.items() if value is not None}


def read_body(name: str) -> bytes:
    """The content of a file, or of standard input for ``-``.

    Raises:
        OSError: it cannot be read.
    """
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def content_type_of(name: str) -> str:
    """What a file's name says about its content."""
    guessed = mimetypes.guess_type(name)[0]
    return _UNKNOWN_TYPE if guessed is None else guessed


def accepted(reply: Reply) -> str:
    """What InvokeEndpointAsync has answered, as boto3 shows it."""
    answer = json.loads(reply.body)
    for member in ("OutputLocation", "FailureLocation"):
        location = reply.headers.get(f"{_PREFIX}{member}".lower())
        if location is not None:
            answer[member] = location
    return json.dumps(answer, indent=2)
