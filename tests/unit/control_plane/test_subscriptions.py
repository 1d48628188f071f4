"""SNS over HTTP: a subscriber is asked to confirm, in a message that it can check."""

from __future__ import annotations

import base64
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local_runtime.control_plane.sns_signature import _identity
from local_runtime.control_plane.subscribers import Subscribers
from tests.unit.control_plane.conftest import RunningControlPlane, fresh

Heard = list[dict[str, Any]]


class Listener:
    """A server that hears messages."""

    def __init__(self) -> None:
        self.messages: Heard = []
        self._came = threading.Condition()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kind = self.headers["x-amz-sns-message-type"]
                self.send_response(200)
                self.end_headers()
                listener.hear({**json.loads(body), "kind": kind})

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def hear(self, message: dict[str, Any]) -> None:
        with self._came:
            self.messages.append(message)
            self._came.notify_all()

    def wait(self, wanted: Callable[[Heard], bool]) -> Heard:
        with self._came:
            assert self._came.wait_for(lambda: wanted(self.messages), timeout=60)
            return list(self.messages)

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.close()


@pytest.fixture
def strict(served: RunningControlPlane) -> Iterator[None]:
    """Deliveries that wait for the confirmation; after the test those of the folder's server."""
    Subscribers(url=served.url, waits_for_confirmation=True).apply()
    yield
    Subscribers(url="http://127.0.0.1:8566").apply()


def subscribed(served: RunningControlPlane, listener: Listener) -> tuple[str, str, dict[str, Any]]:
    """A topic, the subscription, and the message that asks to confirm it."""
    sns = served.client("sns")
    topic = sns.create_topic(Name=fresh("topic"))["TopicArn"]
    arn = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=listener.url)["SubscriptionArn"]
    [message] = listener.wait(lambda heard: len(heard) == 1)
    return topic, arn, message


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("way", ["visit", "call"])
def test_messages_wait_until_the_subscriber_has_confirmed(
    served: RunningControlPlane, listener: Listener, way: str
) -> None:
    topic, arn, asked = subscribed(served, listener)
    sns = served.client("sns")
    pending = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    sns.publish(TopicArn=topic, Message="early")
    if way == "visit":
        with urllib.request.urlopen(asked["SubscribeURL"]) as answer:  # noqa: S310 - ours
            assert json.load(answer) == {"SubscriptionArn": arn}
    else:
        confirmed = sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])
        assert confirmed["SubscriptionArn"] == arn
    sns.publish(TopicArn=topic, Message="late")

    heard = listener.wait(lambda messages: len(messages) == 2)

    assert pending["PendingConfirmation"] == "true"
    assert (asked["Type"], asked["kind"]) == ("SubscriptionConfirmation",) * 2
    assert asked["TopicArn"] == topic
    assert heard[1]["Message"] == "late"


def test_without_the_setting_messages_come_at_once(
    served: RunningControlPlane, listener: Listener
) -> None:
    topic, _, _ = subscribed(served, listener)
    served.client("sns").publish(TopicArn=topic, Message="early")

    heard = listener.wait(lambda messages: len(messages) == 2)

    assert heard[1]["Message"] == "early"


def test_a_token_that_nobody_was_sent_confirms_nothing(
    served: RunningControlPlane, listener: Listener
) -> None:
    topic, _, _ = subscribed(served, listener)

    with pytest.raises(ClientError, match="Invalid parameter: Token"):
        served.client("sns").confirm_subscription(TopicArn=topic, Token="x" * 128)


def test_what_asks_to_confirm_is_signed_as_the_guide_says(
    served: RunningControlPlane, listener: Listener
) -> None:
    _, _, asked = subscribed(served, listener)
    names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    text = "".join(f"{name}\n{asked[name]}\n" for name in names)
    key = x509.load_pem_x509_certificate(_identity()[1]).public_key()
    assert isinstance(key, rsa.RSAPublicKey)

    key.verify(
        base64.b64decode(asked["Signature"]), text.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
