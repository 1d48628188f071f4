"""What CloudFormation refuses, and what makes a resource fail.

ApiError
├── ValidationError             a template, parameter or state that a request does not fit
├── AlreadyExistsException      a stack of this name
├── ChangeSetNotFoundException  a change set of this name
├── InvalidChangeSetStatusException
└── InsufficientCapabilitiesException
ResourceFailed                  a resource could not be made, changed or removed
"""

from __future__ import annotations

from local_runtime.control_plane.errors import ApiError


class ValidationError(ApiError):
    """The query API's name for a wrong request."""


class AlreadyExistsException(ApiError):  # noqa: N818 - the service's name for it
    """A stack of this name exists."""


class ChangeSetNotFoundException(ApiError):  # noqa: N818 - the service's name for it
    """No change set of this name or ARN."""

    status = 404

    @property
    def code(self) -> str:
        """The query API spells the code without the suffix."""
        return "ChangeSetNotFound"


class InvalidChangeSetStatusException(ApiError):  # noqa: N818 - the service's name for it
    """A change set that cannot be executed, or not again."""

    @property
    def code(self) -> str:
        """The query API spells the code without the suffix."""
        return "InvalidChangeSetStatus"


class InsufficientCapabilitiesException(ApiError):  # noqa: N818 - the service's name for it
    """IAM resources that the request does not acknowledge."""


class ResourceFailed(Exception):  # noqa: N818 - says what happened to the resource
    """The reason that the resource's event shows."""
