"""Refusals of the control plane's own APIs, as AWS names them.

ApiError
├── ValidationException      a wrong value, or something that does not exist
├── SerializationException   a body that does not parse
├── ResourceLimitExceeded    more than the service allows
├── ResourceNotFound         CloudWatch's word for a name that nothing has
├── InvalidParameterValue    CloudWatch's words for values that it cannot take,
├── InvalidParameterCombination    or not together
├── InvalidNextToken         for a token that no list has handed out,
├── DashboardInvalidInputError    for a dashboard that it cannot read,
├── DashboardNotFoundError        and for one that does not exist
├── LimitExceededException   Application Auto Scaling's word for a quota
├── ObjectNotFoundException  Application Auto Scaling's word for what is not registered
├── ResourceNotFoundException
└── InvalidNextTokenException
"""

from __future__ import annotations


class ApiError(Exception):
    """A request refused; the class name is the code that boto3 shows."""

    status = 400

    def __init__(self, message: str = "", **members: object) -> None:
        """Args:
        message: for people.
        members: what the error's shape in the service model has besides.
        """
        super().__init__(message)
        self.members = members

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


class ResourceNotFound(ApiError):  # noqa: N818 - the service's name for it
    """Something that CloudWatch does not have."""

    status = 404


class InvalidParameterValue(ApiError):  # noqa: N818 - the service's name for it
    """A value that CloudWatch cannot take."""


class InvalidParameterCombination(ApiError):  # noqa: N818 - the service's name for it
    """Values that CloudWatch cannot take together."""


class LimitExceededException(ApiError):  # noqa: N818 - the service's name for it
    """A quota of Application Auto Scaling's."""


class ObjectNotFoundException(ApiError):  # noqa: N818 - the service's name for it
    """Something that is not registered with Application Auto Scaling."""


class InvalidNextTokenException(ApiError):  # noqa: N818 - the service's name for it
    """A token that no list has handed out."""


class DashboardInvalidInputError(ApiError):
    """A dashboard that CloudWatch cannot take."""


class DashboardNotFoundError(ApiError):
    """A dashboard that CloudWatch does not have."""

    status = 404


class ResourceNotFoundException(ApiError):  # noqa: N818 - the service's name for it
    """A resource to tag that Application Auto Scaling does not have."""


class InvalidNextToken(ApiError):  # noqa: N818 - the service's name for it
    """A token that no list of CloudWatch has handed out."""
