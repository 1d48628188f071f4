"""Signatures that are made ahead, and made anew."""

from __future__ import annotations

import pytest
from botocore.credentials import ReadOnlyCredentials

from benchmarking import signing
from benchmarking.payloads import Payload
from benchmarking.signing import SignedRequests
from benchmarking.target import AsyncDelivery, Origin, Target

KEYS = ReadOnlyCredentials("AKID", "secret", None)
PAYLOADS = (
    Payload(body=b"small", content_type="text/csv"),
    Payload(body=b"x" * 100_000, content_type="text/csv"),
)


def requests(endpoint_name: str = "digits") -> SignedRequests:
    target = Target(
        url="https://runtime.sagemaker.us-east-1.amazonaws.com",
        endpoint_name=endpoint_name,
        region="us-east-1",
        credentials=lambda: KEYS,
    )
    return SignedRequests(target, PAYLOADS, KEYS)


def test_a_request_is_signed_once_and_sent_often() -> None:
    signed = requests()

    assert signed.fresh(0) is signed.fresh(0)
    assert not signed.refresh(0, ahead_s=2)


def test_a_signature_is_made_anew_before_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = requests()
    now_s = [1000.0]
    monkeypatch.setattr("benchmarking.signing.monotonic", lambda: now_s[0])
    first = signed.fresh(0)
    now_s[0] += signing.MAX_AGE_S - 1

    assert signed.fresh(0) is first
    assert signed.refresh(0, ahead_s=2)
    assert signed.fresh(0) is not first
    assert signing.MAX_AGE_S < 300, "AWS refuses a signature of five minutes"


def test_rotated_credentials_sign_from_then_on() -> None:
    signed = requests()
    first = signed.fresh(0)
    signed.use(ReadOnlyCredentials(*KEYS))
    assert signed.fresh(0) is first

    signed.use(ReadOnlyCredentials("NEW", "secret", "token"))

    assert b"Credential=NEW/" in signed.fresh(0).pieces[0]
    assert b"X-Amz-Security-Token: token" in signed.fresh(0).pieces[0]


def test_a_set_wall_clock_makes_every_signature_anew() -> None:
    signed = requests()
    first = signed.fresh(0)
    signed.expire()

    assert signed.fresh(0) is not first


def test_a_large_body_is_not_copied_behind_its_head() -> None:
    small, large = (requests().fresh(index).pieces for index in (0, 1))

    assert len(small) == 1
    assert small[0].endswith(b"\r\n\r\nsmall")
    assert large[1] is PAYLOADS[1].body


def test_a_name_is_encoded_in_the_path_as_it_is_signed() -> None:
    first = requests("a b/c").fresh(0).pieces[0].partition(b"\r\n")[0]

    assert first == b"POST /endpoints/a%20b%2Fc/invocations HTTP/1.1"


@pytest.mark.parametrize("url", ["runtime.aws", "ftp://a", "http://", "http://a/path"])
def test_what_is_no_url_of_an_api_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"url must be http\(s\)://HOST\[:PORT\], got"):
        Target(url=url, endpoint_name="e", region="r", credentials=lambda: KEYS)
    with pytest.raises(ValueError, match="url must be"):
        Target(
            url="http://a",
            endpoint_name="e",
            region="r",
            credentials=lambda: KEYS,
            asynchronous=AsyncDelivery(s3_url=url),
        )


def test_a_host_is_named_as_browsers_do() -> None:
    assert Origin.of("https://a.b").authority == "a.b"
    assert Origin.of("http://127.0.0.1:8080/").authority == "127.0.0.1:8080"
    assert Origin.of("https://[::1]:80").url == "https://[::1]:80"
