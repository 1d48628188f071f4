"""The account a benchmark works in: clients, region and the pace of the service's clock.

Control calls are repeated with growing, jittered pauses when AWS throttles them (botocore's
adaptive mode), a bounded number of times. Invocations never go through these clients.
"""

from __future__ import annotations

import http.client
import json
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
)

from benchmarking.errors import RefusedError

_CONTROL: Final = Config(
    retries={"mode": "adaptive", "total_max_attempts": 8},
    connect_timeout=10,
    read_timeout=60,
    user_agent_extra="sagemaker-inference-benchmarking",
)
_STATUS_ROUTE: Final = "/_local_runtime/status"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_EXPIRED: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    }
)


class Account:
    """Credentials, a region and clients.

    Args:
        region: None: what the environment or the profile says.
        profile: of the AWS configuration; None: the default.

    Raises:
        RefusedError: no region or no credentials are found. Nothing is asked of AWS for it.
    """

    def __init__(self, *, region: str | None = None, profile: str | None = None) -> None:
        try:
            self.session = boto3.Session(region_name=region, profile_name=profile)
        except ProfileNotFound as error:
            raise RefusedError(f"profile must be one of the AWS configuration: {error}") from None
        if self.session.region_name is None:
            raise RefusedError("no AWS region is set: give --region or set AWS_REGION")
        self.region: str = self.session.region_name
        try:
            credentials = self.session.get_credentials()
        except BotoCoreError as error:
            raise RefusedError(f"the AWS credentials cannot be used: {error}") from None
        if credentials is None:
            raise RefusedError(
                "no AWS credentials are found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
                " or log in, or run the local runtime and eval $(python -m local_runtime env)"
            )
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A client for control calls; the same each time."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service, config=_CONTROL)
        return self._clients[service]

    @property
    def credentials(self) -> Any:
        """The botocore credentials, which renew themselves."""
        return self.session.get_credentials()

    @property
    def runtime_url(self) -> str:
        """Where endpoints are invoked."""
        url: str = self.client("sagemaker-runtime").meta.endpoint_url
        return url

    @property
    def url(self) -> str:
        """Where endpoints are created: what tells an account's service from a local runtime."""
        url: str = self.client("sagemaker").meta.endpoint_url
        return url

    @cached_property
    def local_speed(self) -> float | None:
        """Service seconds per second when this is a local runtime, and None when it is AWS."""
        parts = urlsplit(self.url)
        if parts.hostname not in _LOOPBACK:
            return None
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        try:
            connection.request("GET", _STATUS_ROUTE)
            answer = connection.getresponse()
            document = json.loads(answer.read()) if answer.status == http.HTTPStatus.OK else {}
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        speed = document.get("speed")
        return float(speed) if isinstance(speed, int | float) else None

    def wall_s(self, service_s: float) -> float:
        """How long a time of the service takes here: shorter on a hastened local runtime."""
        return service_s / (1.0 if self.local_speed is None else self.local_speed)


def explained(error: ClientError | BotoCoreError) -> str:
    """An AWS client's error as a sentence for the user."""
    if isinstance(error, NoCredentialsError):
        return "no AWS credentials are found"
    if isinstance(error, EndpointConnectionError):
        return f"nothing answers: {error}"
    if not isinstance(error, ClientError):
        return str(error)
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in _EXPIRED:
        return f"AWS does not accept the credentials ({code}): {message}"
    return f"{error.operation_name}: {code}: {message}"


def code_of(error: ClientError) -> str:
    """The error's code."""
    code: str = error.response["Error"]["Code"]
    return code


def is_missing(error: ClientError) -> bool:
    """Whether the error says that what was named is not there (any more)."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    return code in {"ValidationException", "ResourceNotFound", "NoSuchKey", "404"} and (
        "Could not find" in message or "does not exist" in message or code == "ResourceNotFound"
    )
