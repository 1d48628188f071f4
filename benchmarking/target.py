"""What is measured: an endpoint, where its API is, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import SplitResult, quote, urlsplit

from benchmarking.payloads import Payload

_PREFIX: Final = "X-Amzn-SageMaker-"
_PORTS: Final = {"http": 80, "https": 443}


class FrozenCredentials(Protocol):
    """Credentials at one moment, as botocore freezes them."""

    @property
    def access_key(self) -> str:
        """Access key ID."""

    @property
    def secret_key(self) -> str:
        """Secret access key."""

    @property
    def token(self) -> str | None:
        """Session token of temporary credentials."""


CredentialSource = Callable[[], FrozenCredentials]
"""Gives the credentials that are valid now, ``session.get_credentials().get_frozen_credentials``.

It is asked again and again while a run lasts, outside of the event loop: it may ask a server.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class AsyncDelivery:
    """How an asynchronous endpoint gets its inputs, and where its outputs are looked for.

    Args:
        s3_url: the object store's API, ``https://s3.us-east-1.amazonaws.com`` or a local one;
            buckets are addressed by path.
        inputs: ``s3://`` URI of each payload's body, in the order of the payloads, uploaded
            before; None sends bodies in the requests, which takes up to 128,000 bytes each.
    """

    s3_url: str
    inputs: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An endpoint.

    Args:
        url: the runtime API, ``https://runtime.sagemaker.us-east-1.amazonaws.com`` or a local
            one (``AWS_ENDPOINT_URL``); ``http`` is spoken without TLS.
        inference_component: None where the endpoint has none.
        asynchronous: None for every endpoint that answers at once.
    """

    url: str
    endpoint_name: str
    region: str
    credentials: CredentialSource
    inference_component: str | None = None
    asynchronous: AsyncDelivery | None = None

    def __post_init__(self) -> None:
        Origin.of(self.url)
        if self.asynchronous is not None:
            Origin.of(self.asynchronous.s3_url)

    @property
    def path(self) -> str:
        """Of the operation, as it is sent."""
        kind = "invocations" if self.asynchronous is None else "async-invocations"
        return f"/endpoints/{quote(self.endpoint_name, safe='')}/{kind}"

    def headers(self, payload: Payload, index: int) -> dict[str, str]:
        """The operation's headers, ``index`` being the payload's position."""
        delivery = self.asynchronous
        names = ("Content-Type", "Accept") if delivery is None else _ASYNC_NAMES
        inputs = None if delivery is None else delivery.inputs
        values = {
            names[0]: payload.content_type,
            names[1]: payload.accept,
            f"{_PREFIX}Custom-Attributes": payload.custom_attributes,
            f"{_PREFIX}Target-Model": payload.target_model,
            f"{_PREFIX}Target-Variant": payload.target_variant,
            f"{_PREFIX}Inference-Component": self.inference_component,
            f"{_PREFIX}InputLocation": None if inputs is None else inputs[index],
        }
        return {name: value for name, value in values.items() if value is not None}

    def body(self, payload: Payload) -> bytes:
        """What the request carries itself."""
        delivery = self.asynchronous
        return payload.body if delivery is None or delivery.inputs is None else b""


_ASYNC_NAMES: Final = (f"{_PREFIX}Content-Type", f"{_PREFIX}Accept")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections go to."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Read the start of a URL.

        Raises:
            ValueError: it is not one of HTTP, or has a path.
        """
        parts: SplitResult = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"url must be http(s)://HOST[:PORT], got {url}")
        port = parts.port
        return cls(parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port)

    @property
    def authority(self) -> str:
        """Value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Without a path."""
        return f"{self.scheme}://{self.authority}"
