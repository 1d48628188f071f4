"""The envelope of an SNS message, signed: a correction of moto.

moto 5.2.5 makes and signs a certificate for every single message, which takes longer than all the
rest of Publish, keeps each of them for ever, and leaves the subject out of what it signs. SNS signs
with one certificate.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import iso_8601_datetime_with_milliseconds, utcnow
from moto.sns.models import Subscription, sns_backends

_FILE = "SimpleNotificationService-local.pem"


@lru_cache
def _identity() -> tuple[rsa.RSAPrivateKey, bytes]:
    """The key that signs, and the certificate that a reader checks with."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utcnow())
        .not_valid_after(utcnow() + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM)


def envelope(
    subscription: Subscription,
    message: str,
    message_id: str,
    subject: str | None,
    message_attributes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What a subscriber gets around a message, unless it wants messages raw."""
    region = subscription.topic.sns_backend.region_name
    fields = {
        "Message": message,
        "MessageId": message_id,
        **({} if subject is None else {"Subject": subject}),
        "TopicArn": subscription.topic.arn,
        "Type": "Notification",
    }
    return {
        **signed(subscription, fields),
        "UnsubscribeURL": (
            f"https://sns.{region}.amazonaws.com/?Action=Unsubscribe"
            f"&SubscriptionArn={subscription.arn}"
        ),
        **({} if not message_attributes else {"MessageAttributes": message_attributes}),
    }


def signed(subscription: Subscription, fields: dict[str, str]) -> dict[str, Any]:
    """A message with the time and its signature; the fields are signed in order of their names.

    Source: SNS guide, "Verifying the signatures of Amazon SNS messages", signature version 2.
    """
    key, certificate = _identity()
    region = subscription.topic.sns_backend.region_name
    # moto serves certificates, without a signature on the request, from the default account.
    keys = sns_backends[DEFAULT_ACCOUNT_ID][region]._message_public_keys  # noqa: SLF001
    keys[_FILE] = certificate
    timed = {**fields, "Timestamp": iso_8601_datetime_with_milliseconds()}
    text = "".join(f"{name}\n{timed[name]}\n" for name in sorted(timed))
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {
        **timed,
        "SignatureVersion": "2",
        "Signature": base64.b64encode(signature).decode("ascii"),
        "SigningCertURL": f"https://sns.{region}.amazonaws.com/{_FILE}",
    }
