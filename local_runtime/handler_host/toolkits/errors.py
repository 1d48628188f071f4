"""Errors that AWS's toolkits raise and that handlers catch or raise themselves.

ClientError                     sagemaker_containers: anything a handler function raised
+-- ImportModuleError
UnsupportedFormatError          no default decoder or encoder for a content type
BaseInferenceToolkitError       sagemaker_inference: carries the status of the answer
+-- GenericInferenceToolkitError
PredictionException             multi-model-server: carries the status of the answer
"""

from __future__ import annotations


class ClientError(Exception):
    """An error in the handler's code, as opposed to the container's."""


class ImportModuleError(ClientError):
    """A module of the handler that cannot be imported."""


class UnsupportedFormatError(Exception):
    """A content type that the default functions cannot read or write."""

    def __init__(self, content_type: str | None) -> None:
        indent = " " * 12  # the toolkits' own, kept: clients compare the text
        self.message = (
            f"Content type {content_type} is not supported by this framework.\n\n"
            f"{indent}Please implement input_fn to to deserialize the request data or an "
            f"output_fn to\n{indent}serialize the response. For more information, see the "
            "SageMaker Python SDK README."
        )
        super().__init__(self.message)


class BaseInferenceToolkitError(Exception):
    """An error whose status, body and reason phrase reach the client."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code = status_code
        self.message = message
        self.phrase = phrase
        super().__init__(status_code, message, phrase)


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """The same with defaults: an empty message reads "Invalid Request"."""

    def __init__(
        self, status_code: int, message: str | None = None, phrase: str | None = None
    ) -> None:
        message = message if message else "Invalid Request"
        super().__init__(status_code, message, phrase if phrase else message)


class PredictionException(Exception):  # noqa: N818  (its name in multi-model-server)
    """An error whose status and message reach the client as JSON."""

    def __init__(self, message: str, error_code: int = 500) -> None:
        self.message = message
        self.error_code = error_code
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.message} : {self.error_code}"
