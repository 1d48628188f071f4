"""What topics hear about asynchronous requests."""

from __future__ import annotations

import json
from typing import Any

from local_runtime.async_queue import AsyncRequest, Verdict
from local_runtime.notifications import RESPONSE_MAX_BYTES, notification

REQUEST = AsyncRequest(
    inference_id="one",
    input_location="s3://bucket/in/one",
    content_type=None,
    accept=None,
    custom_attributes=None,
    invocation_timeout_s=900,
    received_at_s=1_795_217_081.2,
    expires_at_s=1_795_238_681.2,
    output_location="s3://bucket/out/one.out",
    failure_location="s3://bucket/failed/one.out",
)
ANSWERED = Verdict(variant="AllTraffic", content_type="text/csv")
FAILED = Verdict(variant="AllTraffic", content_type="text/plain", failure_reason="because")


def message(verdict: Verdict, response: bytes | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        notification(
            REQUEST,
            verdict,
            region="eu-west-1",
            endpoint="summaries",
            ended_at_s=1_795_217_083.0019,
            response=response,
        )
    )
    return found


def test_times_are_in_milliseconds_of_utc() -> None:
    assert message(ANSWERED)["receivedTime"] == "2026-11-20T23:24:41.200Z"
    assert message(ANSWERED)["eventTime"] == "2026-11-20T23:24:43.001Z"


def test_what_the_caller_did_not_send_is_left_out() -> None:
    assert message(ANSWERED)["requestParameters"] == {
        "endpointName": "summaries",
        "inputLocation": "s3://bucket/in/one",
    }


def test_a_failure_says_why_and_names_no_output() -> None:
    said = message(FAILED)

    assert (said["invocationStatus"], said["failureReason"]) == ("Failed", "because")
    assert "responseParameters" not in said


def test_an_answer_of_exactly_the_limit_is_included() -> None:
    assert "content" in message(ANSWERED, b"x" * RESPONSE_MAX_BYTES)["responseBody"]


def test_a_larger_answer_is_not_and_the_message_says_so() -> None:
    body = message(ANSWERED, b"x" * (RESPONSE_MAX_BYTES + 1))["responseBody"]

    assert body.keys() == {"message"}


def test_the_largest_answer_fits_into_a_message_of_sns() -> None:
    """Source: SNS quotas, 256 KB."""
    said = message(ANSWERED, b"\xff" * RESPONSE_MAX_BYTES)

    assert len(json.dumps(said)) < 256 * 1024


def test_an_answer_that_is_no_text_is_included_all_the_same() -> None:
    assert message(FAILED, b"\xff")["responseBody"] == {"content": "\ufffd"}
