"""What ``sagemaker-runtime`` answers when it does not answer with a prediction.

NotServableError                    an endpoint cannot be brought into service (FailureReason)
RuntimeApiError
├── ValidationError            400  the request cannot be served as it is
│   ├── EndpointNotFound
│   ├── PayloadTooLarge
│   ├── TargetModelNotSupported
│   ├── TargetModelMissing
│   ├── ComponentNameMissing
│   ├── ComponentNameNotSupported
│   └── NoCapacity
├── ThrottlingException        400  more requests at once than the variant takes
├── ModelError                 424  a container answered with an error, or not at all
│   └── InvocationTimeExceeded
├── ModelNotReadyException     429  what would answer is still being started
└── ServiceUnavailable         503  nothing can serve now; the client may try again

``to_response`` is the one place that turns an error into bytes.

Source: service model of sagemaker-runtime, InvokeEndpoint; the wording of ModelError as callers of
AWS have reported it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from hosting.limits import ERROR_MESSAGE_MAX_LENGTH


class NotServableError(Exception):
    """An endpoint cannot be brought into service; the message is for FailureReason."""


class RuntimeApiError(Exception):
    """Base of everything that leaves as an AWS error."""

    code: ClassVar[str]
    status: ClassVar[int]

    @property
    def fields(self) -> dict[str, Any]:
        """The body, as botocore parses it."""
        return {"Message": str(self)}


class ValidationError(RuntimeApiError):
    """The request cannot be served as it is."""

    code = "ValidationError"
    status = 400


class EndpointNotFound(ValidationError):  # noqa: N818 - says what happened
    """No endpoint of that name exists."""

    def __init__(self, name: str, account_id: str) -> None:
        super().__init__(f"Endpoint {name} of account {account_id} not found.")


class PayloadTooLarge(ValidationError):  # noqa: N818 - says what happened
    """The body is larger than the endpoint accepts."""

    def __init__(self, size: int | None, limit: int) -> None:
        got = "more" if size is None else f"{size} bytes"
        super().__init__(f"payload must be at most {limit} bytes, got {got}")


class TargetModelNotSupported(ValidationError):  # noqa: N818 - says what happened
    """A target model was named, but the endpoint has just one model."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            f"Endpoint {endpoint} is not a multi-model endpoint and does not support target model"
            " header."
        )

    @property
    def fields(self) -> dict[str, Any]:
        return {"ErrorCode": "TARGET_MODEL_HEADER_NOT_SUPPORTED", **super().fields}


class TargetModelMissing(ValidationError):  # noqa: N818 - says what happened
    """The endpoint has many models, and none was named."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"Request {request_id} is missing a target model header")
        self.request_id = request_id


class ComponentNameMissing(ValidationError):  # noqa: N818 - says what happened
    """The endpoint hosts inference components, and none was named. AWS's words, as reported."""

    def __init__(self) -> None:
        super().__init__(
            "Inference Component Name header is required for endpoints to which you plan to deploy"
            " inference components. Please include Inference Component Name header or consider"
            " using SageMaker models."
        )

    @property
    def fields(self) -> dict[str, Any]:
        return {"ErrorCode": "INFERENCE_COMPONENT_NAME_MISSING", **super().fields}


class ComponentNameNotSupported(ValidationError):  # noqa: N818 - says what happened
    """An inference component was named, but the endpoint's variants have models of their own."""

    def __init__(self) -> None:
        super().__init__(
            "Inference Component Name header is not allowed for endpoints without inference"
            " components. Please remove the Inference Component Name header and try again."
        )


class NoCapacity(ValidationError):  # noqa: N818 - says what happened
    """An inference component has no copy. AWS's words, which its users' programs look for."""

    def __init__(self) -> None:
        super().__init__(
            "Inference Component has no capacity to process this request. ApplicationAutoScaling"
            " may be in-progress (if configured) or try to increase the capacity by invoking"
            " UpdateInferenceComponentRuntimeConfig API."
        )


class ThrottlingException(RuntimeApiError):  # noqa: N818 - AWS's name
    """More requests at once than a serverless variant takes.

    The service model has no such error; callers of AWS have seen this code with status 400 and a
    message that is null.
    """

    code = "ThrottlingException"
    status = 400

    @property
    def fields(self) -> dict[str, Any]:
        return {"message": None}


class ModelNotReadyException(RuntimeApiError):  # noqa: N818 - AWS's name
    """What would answer is still being started; the caller may try again."""

    code = "ModelNotReadyException"
    status = 429


class ServiceUnavailable(RuntimeApiError):  # noqa: N818 - AWS's name
    """Nothing can serve the request now."""

    code = "ServiceUnavailable"
    status = 503


ONLY_CONTAINER: Final = "primary"
"""How AWS's messages call the container of a model that has just one."""


@dataclass(frozen=True, slots=True)
class ContainerPlace:
    """Which container of which endpoint an error is about; says where its log is."""

    region: str
    account_id: str
    endpoint: str
    variant: str
    instance_id: str
    container: str
    component: str | None = None

    @property
    def log_group(self) -> str:
        """The CloudWatch log group that AWS writes an endpoint's or a component's logs to."""
        if self.component is not None:
            return f"/aws/sagemaker/InferenceComponents/{self.component}"
        return f"/aws/sagemaker/Endpoints/{self.endpoint}"

    @property
    def log_stream(self) -> str:
        """The stream in that group, one per container; the only one has no name in it."""
        instance = f"{self.variant}/{self.instance_id}"
        return instance if self.container == ONLY_CONTAINER else f"{instance}/{self.container}"


class ModelError(RuntimeApiError):
    """A container answered with an error, or did not answer.

    Args:
        place: the container.
        original_status: what it answered with; 0 when it gave no answer, as on AWS.
        original_message: the answer's body, or why there is none. None: the body could not be
            loaded in full.
    """

    code = "ModelError"
    status = 424

    def __init__(
        self, place: ContainerPlace, original_status: int, original_message: str | None
    ) -> None:
        kind = "client" if 400 <= original_status < 500 else "server"
        said = (
            "and could not load the entire response body"
            if original_message is None
            else f'with message "{shortened(original_message, ERROR_MESSAGE_MAX_LENGTH // 2)}"'
        )
        console = (
            f"https://{place.region}.console.aws.amazon.com/cloudwatch/home?region={place.region}"
            f"#logEventViewer:group={place.log_group}"
        )
        super().__init__(
            f"Received {kind} error ({original_status}) from {place.container} {said}."
            f" See {console} in account {place.account_id} for more information."
        )
        self.place = place
        self.original_status = original_status
        self.original_message = "" if original_message is None else shortened(original_message)

    @property
    def fields(self) -> dict[str, Any]:
        place = self.place
        return {
            **super().fields,
            "OriginalStatusCode": self.original_status,
            "OriginalMessage": self.original_message,
            "LogStreamArn": f"arn:aws:logs:{place.region}:{place.account_id}"
            f":log-group:{place.log_group}:log-stream:{place.log_stream}",
        }


class InvocationTimeExceeded(ModelError):  # noqa: N818 - says what happened
    """A container has not answered in time, or not all of its answer."""


def timed_out(place: ContainerPlace) -> ModelError:
    """The container has not answered in time."""
    return InvocationTimeExceeded(
        place,
        0,
        f"Your invocation timed out while waiting for a response from container {place.container}."
        " Review the latency metrics for each container in Amazon CloudWatch, resolve the issue,"
        " and try again.",
    )


def no_answer(place: ContainerPlace, reason: str) -> ModelError:
    """The container closed the connection instead of answering: it has died, most likely."""
    return ModelError(
        place,
        0,
        f"Amazon SageMaker could not get a response from the {place.container} container:"
        f" {reason}.",
    )


def out_of_memory(place: ContainerPlace, memory_mb: int) -> ModelError:
    """A serverless environment has used more memory than its variant has.

    AWS's exact words are not known; tools that read them look for ``insufficient memory``.
    """
    return ModelError(
        place,
        500,
        f"The {place.container} container was stopped: insufficient memory, the limit is"
        f" {memory_mb} MB.",
    )


def hop_too_large(
    here: ContainerPlace, there: ContainerPlace, status: int, size: int, limit: int
) -> ModelError:
    """An answer is too large to become the next container's request.

    Source: inference-pipeline-troubleshoot.html
    """
    error = ModelError(
        here,
        status,
        f"Received response from {here.container} with status code {status}. However, the request"
        f" payload from {here.container} to {there.container} is {size} bytes, which has exceeded"
        f" the maximum limit of {limit // (1024 * 1024)} MB.",
    )
    error.args = (error.original_message,)
    return error


def to_response(error: RuntimeApiError) -> tuple[int, bytes, bytes]:
    """Status, header lines and body of the answer that carries ``error``."""
    return (
        error.status,
        b"content-type: application/json\r\nx-amzn-errortype: %b\r\n" % error.code.encode("ascii"),
        json.dumps(error.fields).encode("ascii"),
    )


def shortened(text: str, limit: int = ERROR_MESSAGE_MAX_LENGTH) -> str:
    """The beginning and the end of ``text``: a traceback says most in its last lines."""
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"
