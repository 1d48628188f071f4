"""Confirmation of HTTP subscriptions: a correction of moto.

moto 5.2.5 takes every subscription for confirmed and tells the subscriber nothing. SNS sends it a
message of type SubscriptionConfirmation; a subscriber that visits its SubscribeURL, or calls
ConfirmSubscription with its Token, gets what is published from then on.

Source: SNS guide, "HTTP/HTTPS subscription confirmation JSON format".
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.sns.exceptions import SNSInvalidParameter
from moto.sns.models import SNSBackend, Subscription, sns_backends
from moto.sns.responses import SNSResponse

from local_runtime.control_plane.sns_signature import signed

Send = Callable[[Subscription, str, str, str], None]

# The attribute of a moto subscription that holds the token it was sent.
_TOKEN: Final = "confirmation_token"  # noqa: S105 - a name
_PROTOCOLS: Final = ("http", "https")


class Confirmations:
    """Asks HTTP subscribers whether they want what they will get."""

    def __init__(self, url: str, send: Send) -> None:
        """Args:
        url: where the runtime is reached from outside.
        send: a body, of a type and with an id, to a subscriber.
        """
        self._url = url
        self._send = send

    def apply(self) -> None:
        """Take over subscribing and confirming; doing so twice changes nothing."""
        subscribe = getattr(SNSBackend.subscribe, "moto", SNSBackend.subscribe)

        def subscribed(
            backend: SNSBackend, topic_arn: str, endpoint: str, protocol: str
        ) -> Subscription:
            found: Subscription = subscribe(backend, topic_arn, endpoint, protocol)
            if protocol in _PROTOCOLS and not hasattr(found, _TOKEN):
                setattr(found, _TOKEN, secrets.token_hex(64))
                found.attributes["PendingConfirmation"] = "true"
                self._ask(found)
            return found

        def confirm(response: SNSResponse) -> ActionResult:
            arn, token = response._get_param("TopicArn"), response._get_param("Token")  # noqa: SLF001
            confirmed = _confirm(response.backend, arn, token)
            if confirmed is None:
                raise SNSInvalidParameter("Invalid parameter: Token")
            return ActionResult({"SubscriptionArn": confirmed.arn})

        subscribed.moto = subscribe  # type: ignore[attr-defined]
        SNSBackend.subscribe = subscribed  # type: ignore[method-assign, assignment]
        SNSResponse.confirm_subscription = confirm  # type: ignore[method-assign, assignment]

    def _ask(self, subscription: Subscription) -> None:
        token: str = getattr(subscription, _TOKEN)
        topic, message_id = subscription.topic.arn, str(uuid.uuid4())
        query = urlencode({"Action": "ConfirmSubscription", "TopicArn": topic, "Token": token})
        body = signed(
            subscription,
            {
                "Message": (
                    f"You have chosen to subscribe to the topic {topic}.\nTo confirm the"
                    " subscription, visit the SubscribeURL included in this message."
                ),
                "MessageId": message_id,
                "SubscribeURL": f"{self._url}/?{query}",
                "Token": token,
                "TopicArn": topic,
                "Type": "SubscriptionConfirmation",
            },
        )
        self._send(subscription, json.dumps(body), message_id, "SubscriptionConfirmation")


def is_pending(subscription: Subscription) -> bool:
    """Whether a subscriber has not confirmed yet."""
    return str(subscription.attributes.get("PendingConfirmation")).lower() == "true"


def visit(environ: Mapping[str, Any]) -> str | None:
    """Confirm the subscription whose SubscribeURL is visited.

    Returns:
        Its ARN; None when the request is not such a visit, or the token is nobody's.
    """
    if environ["REQUEST_METHOD"] != "GET" or environ["PATH_INFO"] != "/":
        return None
    query = parse_qs(environ.get("QUERY_STRING", ""))
    if query.get("Action") != ["ConfirmSubscription"]:
        return None
    topic, token = query.get("TopicArn", [""])[0], query.get("Token", [""])[0]
    region = topic.split(":")[3] if topic.count(":") == 5 else ""
    backends = sns_backends[DEFAULT_ACCOUNT_ID]
    found = _confirm(backends[region], topic, token) if region in backends else None
    return None if found is None else found.arn


def _confirm(backend: SNSBackend, topic_arn: str, token: str) -> Subscription | None:
    for subscription in backend.subscriptions.values():
        mine: str | None = getattr(subscription, _TOKEN, None)
        if (
            mine is not None
            and subscription.topic.arn == topic_arn
            and secrets.compare_digest(mine, token)
        ):
            subscription.attributes["PendingConfirmation"] = "false"
            return subscription
    return None
