"""How SNS messages reach subscribers: a correction of moto.

moto 5.2.5 delivers inside Publish. A subscriber over HTTP that does not answer holds the request
for ever, one that refuses, or a queue that is gone, makes Publish fail, and the subscribers after
it get nothing. SNS takes the message and delivers it on its own: here too.
"""

from __future__ import annotations

import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from moto.sns.models import Subscription

from local_runtime.control_plane.sns_signature import envelope
from local_runtime.control_plane.subscription_confirmation import Confirmations, is_pending

_log = logging.getLogger(__name__)

# Documented: SNS guide, "Amazon SNS message delivery retries", the default policy for HTTP: three
# retries, twenty seconds apart; and "HTTP/HTTPS": an endpoint has fifteen seconds to answer.
RETRIES = 3
RETRY_DELAY_S = 20.0
ANSWER_TIMEOUT_S = 15.0
THREADS = 8

# No proxy of the user's: subscribers are on this machine, or named by address.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class _Post:
    """One message on its way to one subscriber."""

    url: str
    body: bytes
    headers: dict[str, str]


class Subscribers:
    """Delivers messages in threads of its own."""

    def __init__(
        self, *, speed: float = 1.0, url: str = "", waits_for_confirmation: bool = False
    ) -> None:
        """Args:
        speed: service seconds per second of the wall, for the time between retries.
        url: where the runtime is reached from outside.
        waits_for_confirmation: whether a subscriber over HTTP gets messages only after it has
            confirmed that it wants them.
        """
        self._speed = speed
        self._waits = waits_for_confirmation
        self._confirmations = Confirmations(url, self._send)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sns-delivery")

    def apply(self) -> None:
        """Take over the delivery of every subscription; doing so twice changes nothing."""
        deliver_inside_publish = getattr(Subscription.publish, "moto", Subscription.publish)

        def publish(subscription: Subscription, message: str, message_id: str, **more: Any) -> None:
            if subscription.protocol in {"http", "https"}:
                self._begin(subscription, message, message_id, **more)
                return
            try:
                deliver_inside_publish(subscription, message, message_id, **more)
            except Exception as fault:
                # moto's own errors, of any type: to whoever publishes the message is delivered.
                _log.warning("SNS could not deliver to %s: %r", subscription.endpoint, fault)

        publish.moto = deliver_inside_publish  # type: ignore[attr-defined]
        Subscription.publish = publish  # type: ignore[method-assign, assignment]
        Subscription.get_post_data = envelope  # type: ignore[method-assign, assignment]
        self._confirmations.apply()

    def _begin(
        self,
        subscription: Subscription,
        message: str,
        message_id: str,
        *,
        subject: str | None = None,
        message_attributes: dict[str, Any] | None = None,
        message_structure: str | None = None,
        **_: Any,
    ) -> None:
        more: dict[str, str]
        if self._waits and is_pending(subscription):
            return
        matcher = subscription._filter_policy_matcher  # noqa: SLF001 - moto offers no other way
        if matcher is not None and not matcher.matches(message_attributes, message):
            return
        if message_structure == "json":
            message = subscription._parse_message_structure(  # noqa: SLF001
                message, subscription.protocol
            )
        if str(subscription.attributes.get("RawMessageDelivery", "")).lower() == "true":
            body, more = message, {"x-amz-sns-rawdelivery": "true"}
        else:
            body, more = (
                json.dumps(
                    envelope(subscription, message, message_id, subject, message_attributes)
                ),
                {},
            )
        self._send(subscription, body, message_id, "Notification", more)

    def _send(
        self,
        subscription: Subscription,
        body: str,
        message_id: str,
        kind: str,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
            "x-amz-sns-message-type": kind,
            "x-amz-sns-message-id": message_id,
            "x-amz-sns-topic-arn": subscription.topic_arn,
            **more,
        }
        if kind == "Notification":
            headers["x-amz-sns-subscription-arn"] = subscription.arn
        post = _Post(subscription.endpoint, body.encode(), headers)
        self._threads.submit(self._deliver, post, RETRIES)

    def _deliver(self, post: _Post, retries: int) -> None:
        request = urllib.request.Request(  # noqa: S310 - the scheme is http or https
            post.url, post.body, post.headers
        )
        try:
            with _opener.open(request, timeout=ANSWER_TIMEOUT_S):
                return
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"it answered {error.code}"
            if 400 <= error.code < 500 and error.code != 429:
                retries = 0
        except OSError as error:
            reason = str(error)
        if retries == 0:
            _log.warning("SNS could not deliver to %s: %s", post.url, reason)
            return
        again = threading.Timer(
            RETRY_DELAY_S / self._speed,
            lambda: self._threads.submit(self._deliver, post, retries - 1),
        )
        again.daemon = True
        again.start()
