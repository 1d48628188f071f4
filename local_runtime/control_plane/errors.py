"""Refusals of the control plane's own APIs, as AWS names them.

ApiError
├── ValidationException      a wrong value, or something that does not exist
├── SerializationException   a body that does not parse
└── ResourceLimitExceeded    more than the service allows
"""

from __future__ import annotations


class ApiError(Exception):
    """A request refused; the class name is the code that boto3 shows."""

    status = 400

    @property
    def code(self) -> str:
        """The error code on the wire."""
        return type(self).__name__


class ValidationException(ApiError):  # noqa: N818 - the service's name for it
    """A value that breaks a constraint, or a name that nothing has."""


class SerializationException(ApiError):  # noqa: N818 - the service's name for it
    """A request body that is not the JSON the operation expects."""


class ResourceLimitExceeded(ApiError):  # noqa: N818 - the service's name for it
    """A quota reached."""
