"""Requests, signed ahead of their time by botocore's signer.

A signature covers the request and the second it was made in, not the moment of sending; AWS takes
it for five minutes. So each payload's request is signed once and sent as often as the plan wants
until it is two minutes old: signing (60 us) costs a request nothing when it is due.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest

from benchmarking.payloads import Payload
from benchmarking.target import FrozenCredentials, Origin, Target

MAX_AGE_S: Final = 120.0
# A body of this size goes out without being copied behind the head first.
_ONE_PIECE_BYTES: Final = 64 * 1024
_USER_AGENT: Final = "sagemaker-inference-benchmarking"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it is written.

    Args:
        signed_at_s: on the monotonic clock.
        credentials: those that signed it.
    """

    pieces: tuple[bytes, ...]
    body_bytes: int
    signed_at_s: float
    credentials: FrozenCredentials


class SignedRequests:
    """The requests of a list of payloads, each signed when it is first asked for and when stale."""

    def __init__(
        self, target: Target, payloads: Sequence[Payload], credentials: FrozenCredentials
    ) -> None:
        self._origin = Origin.of(target.url)
        self._target = target
        self._payloads = payloads
        self._credentials = credentials
        self._requests: list[SignedRequest | None] = [None] * len(payloads)
        # A body of megabytes takes milliseconds to hash: once, before anything is due.
        self._hashes = [hashlib.sha256(target.body(each)).hexdigest() for each in payloads]

    def __len__(self) -> int:
        return len(self._payloads)

    def use(self, credentials: FrozenCredentials) -> None:
        """Sign with these from now on."""
        old = self._credentials
        if (credentials.access_key, credentials.secret_key, credentials.token) != (
            old.access_key,
            old.secret_key,
            old.token,
        ):
            self._credentials = credentials

    def expire(self) -> None:
        """Sign everything anew: the wall clock was set."""
        self._requests = [None] * len(self._payloads)

    def fresh(self, index: int) -> SignedRequest:
        """The request of a payload, fit to be sent now."""
        request = self._requests[index]
        if (
            request is not None
            and request.credentials is self._credentials
            and monotonic() - request.signed_at_s < MAX_AGE_S
        ):
            return request
        return self._sign(index)

    def refresh(self, index: int, ahead_s: float) -> bool:
        """Sign a request that would be stale in ``ahead_s``; whether that was necessary."""
        request = self._requests[index]
        if (
            request is not None
            and request.credentials is self._credentials
            and monotonic() + ahead_s - request.signed_at_s < MAX_AGE_S
        ):
            return False
        self._sign(index)
        return True

    def _sign(self, index: int) -> SignedRequest:
        payload = self._payloads[index]
        request = signed(
            origin=self._origin,
            method="POST",
            path=self._target.path,
            headers=self._target.headers(payload, index),
            body=self._target.body(payload),
            body_sha256=self._hashes[index],
            region=self._target.region,
            service="sagemaker",
            credentials=self._credentials,
        )
        self._requests[index] = request
        return request


def signed(
    *,
    origin: Origin,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    body_sha256: str,
    region: str,
    service: str,
    credentials: FrozenCredentials,
) -> SignedRequest:
    """Sign one request.

    Args:
        path: percent-encoded, as it is sent.
    """
    request = AWSRequest(
        method,
        origin.url + path,
        headers={
            **headers,
            "Host": origin.authority,
            "Content-Length": str(len(body)),
            "User-Agent": _USER_AGENT,
            # Given, the signer takes it instead of hashing the body again.
            "X-Amz-Content-SHA256": body_sha256,
        },
        data=body,
    )
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(credentials, service, region).add_auth(request)
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    pieces = (head + body,) if len(body) < _ONE_PIECE_BYTES else (head, body)
    return SignedRequest(pieces, len(body), monotonic(), credentials)
