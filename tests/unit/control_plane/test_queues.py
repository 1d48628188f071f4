"""SQS queues that several clients use at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from moto.sqs.models import Message

from tests.unit.control_plane.conftest import RunningControlPlane, fresh

# Long enough for a request that nothing holds up; what it is too short for is not a failure.
A_MOMENT_S = 0.3


@pytest.fixture
def sqs(served: RunningControlPlane) -> Any:
    return served.client("sqs")


@pytest.fixture
def queue(sqs: Any) -> str:
    url: str = sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="first")
    return url


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, step: str, request: Callable[[], object]
) -> tuple[threading.Thread, list[bool]]:
    """Send a request from elsewhere when moto comes to a step of another one for the first time.

    Returns:
        What sends it, and whether it had to wait.
    """
    other = threading.Thread(target=request)
    waited: list[bool] = []
    moto = getattr(Message, step)

    def hooked(message: Message, *arguments: Any, **more: Any) -> Any:
        if other.ident is None:
            other.start()
            other.join(A_MOMENT_S)
            waited.append(other.is_alive())
        return moto(message, *arguments, **more)

    monkeypatch.setattr(Message, step, hooked)
    return other, waited


def test_two_that_receive_at_once_do_not_get_the_same_message(
    served: RunningControlPlane, sqs: Any, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[str] = []

    def receive(client: Any) -> None:
        found = client.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        received.extend(message["Body"] for message in found)

    other, _ = meanwhile(monkeypatch, "mark_received", lambda: receive(served.client("sqs")))
    receive(sqs)
    other.join()

    assert received == ["first"]


def test_a_message_that_comes_while_another_is_deleted_waits_for_that(
    served: RunningControlPlane, sqs: Any, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is put into the list of messages that is about to be replaced is lost."""
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    other, waited = meanwhile(
        monkeypatch,
        "had_receipt_handle",
        lambda: served.client("sqs").send_message(QueueUrl=queue, MessageBody="second"),
    )
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    other.join()
    left = sqs.receive_message(QueueUrl=queue)["Messages"]

    assert waited == [True]
    assert [each["Body"] for each in left] == ["second"]


def test_a_client_that_waits_gets_what_another_sends(served: RunningControlPlane, sqs: Any) -> None:
    url = sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"]
    send = threading.Thread(
        target=lambda: served.client("sqs").send_message(QueueUrl=url, MessageBody="late")
    )

    send.start()
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    send.join()

    assert message["Body"] == "late"
