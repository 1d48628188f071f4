"""What topics hear about asynchronous requests, and the way there.

Sources: async-inference-check-predictions.html for a success; async-inference-create-endpoint.html
for the test message. AWS shows no message of a failure: ours has the envelope of a success with the
``failureReason`` that public code reads, and no ``responseParameters``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from local_runtime.async_queue import AsyncRequest, Verdict
from local_runtime.control_link import ControlLink, ControlLinkError
from local_runtime.http_client import Body

# Documented at IncludeInferenceResponseIn: "128 KB".
RESPONSE_MAX_BYTES: Final = 128 * 1024
SUCCESS_TOPIC: Final = "SUCCESS_NOTIFICATION_TOPIC"
ERROR_TOPIC: Final = "ERROR_NOTIFICATION_TOPIC"
TEST_MESSAGE: Final = json.dumps(
    {"eventVersion": "1.0", "eventSource": "aws:sagemaker", "eventName": "TestNotification"}
)


class NotificationError(Exception):
    """A topic did not take a message."""


def notification(
    request: AsyncRequest,
    verdict: Verdict,
    *,
    region: str,
    endpoint: str,
    ended_at_s: float,
    response: Body | None,
) -> str:
    """The message about a request that has ended.

    Args:
        ended_at_s: wall-clock seconds since 1970.
        response: the answer, where the topic is to hear it too; None otherwise.
    """
    asked = {
        "contentType": request.content_type,
        "accept": request.accept,
        "endpointName": endpoint,
        "inputLocation": request.input_location,
    }
    message: dict[str, Any] = {
        "awsRegion": region,
        "eventTime": _timestamp(ended_at_s),
        "receivedTime": _timestamp(request.received_at_s),
        "invocationStatus": "Completed" if verdict.succeeded else "Failed",
    }
    if verdict.succeeded:
        message["responseParameters"] = _given(
            {"contentType": verdict.content_type, "outputLocation": request.output_location}
        )
    else:
        message["failureReason"] = verdict.failure_reason
    message["requestParameters"] = _given(asked)
    if response is not None:
        message["responseBody"] = _response_body(response, succeeded=verdict.succeeded)
    return json.dumps(
        {
            **message,
            "inferenceId": request.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
    )


def _response_body(response: Body, *, succeeded: bool) -> dict[str, str]:
    if len(response) > RESPONSE_MAX_BYTES:
        return {
            "message": f"The response is not included: it has {len(response)} bytes, more than"
            f" {RESPONSE_MAX_BYTES}."
        }
    if succeeded:
        return {"content": base64.b64encode(response).decode("ascii"), "encoding": "BASE64"}
    return {"content": bytes(response).decode("utf-8", "replace")}


def _given(parameters: Mapping[str, str | None]) -> dict[str, str]:
    """Only what was sent: AWS's messages leave out the rest."""
    return {name: value for name, value in parameters.items() if value is not None}


def _timestamp(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


class Publisher:
    """Publishes through the control plane's SNS. Blocks: for threads."""

    def __init__(self, link: ControlLink) -> None:
        self._link = link

    def publish(self, topic_arn: str, message: str) -> None:
        """Send a message to a topic.

        Raises:
            NotificationError: the topic did not take it.
        """
        body = urlencode(
            {
                "Action": "Publish",
                "Version": "2010-03-31",
                "TopicArn": topic_arn,
                "Message": message,
            }
        ).encode("ascii")
        scope = f"local/20000101/{topic_arn.split(':')[3]}/sns/aws4_request"
        headers = {
            "Host": "localhost",
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            # The control plane looks for service and region here; nobody checks a signature.
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host,"
            " Signature=local",
        }
        try:
            with self._link.exchange("POST", "/", headers, body) as response:
                if response.status != 200:
                    said = response.read(1024).decode("utf-8", "replace")
                    raise NotificationError(f"{topic_arn}: SNS answered {response.status}: {said}")
        except ControlLinkError as error:
            raise NotificationError(f"{topic_arn}: {error}") from error
