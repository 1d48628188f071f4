"""The client of the container API of multi-model endpoints.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local_runtime.http_client import Address, Answer, UnixAddress, fetch

_NOT_LOADED: Final = 404
_ALREADY_LOADED: Final = 409
_NO_MEMORY: Final = 507


class LoadRefusedError(Exception):
    """The container cannot load the model; the message is what it said."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AlreadyLoadedError(Exception):
    """The container has a model of that name."""


class NoMemoryError(Exception):
    """The container has no memory for the model; ``memory_bytes`` is what it takes, if known."""

    def __init__(self, message: str, memory_bytes: int | None) -> None:
        super().__init__(message)
        self.memory_bytes = memory_bytes


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """What our own container says about a model; another one says nothing that is defined."""

    address: Address
    process: int | None = None
    memory_bytes: int | None = None


class ModelApi:
    """Loads and unloads models of one container."""

    def __init__(self, address: Address, *, own: bool, timeout_s: float) -> None:
        """Args:
        address: of the container.
        own: it is one of our serving stacks, whose models have sockets of their own.
        timeout_s: the longest that a model may take to load.
        """
        self._address = address
        self._own = own
        self._timeout_s = timeout_s

    async def load(self, name: str, folder: Path) -> LoadedModel:
        """Load the model that is unpacked in ``folder``.

        Raises:
            AlreadyLoadedError: there is a model of that name.
            NoMemoryError: others have to leave first.
            LoadRefusedError: it cannot be loaded.
            OSError: the container cannot be reached, or does not answer in time.
            ConnectionLostError: it closed the connection.
        """
        body = json.dumps({"model_name": name, "url": str(folder)}).encode()
        answer = await self._request("POST", "/models", body)
        if 200 <= answer.status < 300:
            return self._loaded(answer)
        text = bytes(answer.body).decode("utf-8", "replace")
        if answer.status == _ALREADY_LOADED:
            raise AlreadyLoadedError(text)
        if answer.status == _NO_MEMORY:
            said = _document(answer).get("memoryBytes") if self._own else None
            raise NoMemoryError(text, said if isinstance(said, int) and said > 0 else None)
        raise LoadRefusedError(answer.status, text)

    def _loaded(self, answer: Answer) -> LoadedModel:
        if not self._own:
            return LoadedModel(self._address)
        said = _document(answer)
        return LoadedModel(
            UnixAddress(said["modelSocket"]), said["modelProcess"], said["memoryBytes"]
        )

    async def unload(self, name: str) -> None:
        """Unload a model; one that is not loaded is no error.

        Raises:
            LoadRefusedError: the container does not unload it.
            OSError: the container cannot be reached, or does not answer in time.
            ConnectionLostError: it closed the connection.
        """
        answer = await self._request("DELETE", f"/models/{name}", b"")
        if not 200 <= answer.status < 300 and answer.status != _NOT_LOADED:
            raise LoadRefusedError(answer.status, bytes(answer.body).decode("utf-8", "replace"))

    async def _request(self, method: str, target: str, body: bytes) -> Answer:
        return await fetch(
            self._address,
            method,
            target,
            headers=[(b"content-type", b"application/json")],
            body=body,
            timeout_s=self._timeout_s,
        )


def _document(answer: Answer) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(bytes(answer.body))
    return document
