"""What answers mean."""

from __future__ import annotations

import pytest

from benchmarking.client_outcome import header, outcome_of


def head(status: int, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\nx-amzn-errortype: Body\r\n").encode()


@pytest.mark.parametrize(
    ("status", "kind", "body", "expected"),
    [
        (200, "", b"", ("ok", None)),
        (202, "", b"{}", ("ok", None)),
        (
            400,
            "ThrottlingException:http://internal.amazon.com/x#y",
            b'{"message":null}',
            ("throttle", "ThrottlingException"),
        ),
        (429, "ThrottlingException", b"", ("throttle", "ThrottlingException")),
        (429, "ModelNotReadyException", b"{}", ("not-ready", "ModelNotReadyException")),
        (424, "ModelError", b'{"Message": "x"}', ("model-error", "ModelError: x")),
        (
            424,
            "ModelError",
            b'{"Message": "Your invocation timed out while waiting"}',
            ("timeout", "ModelError: Your invocation timed out while waiting"),
        ),
        (
            424,
            "com.amazonaws#ModelError",
            b'{"OriginalMessage": "", "message": "the process ran out of memory"}',
            ("out-of-memory", "ModelError: the process ran out of memory"),
        ),
        (
            400,
            "",
            b'{"__type": "com.amazon#ValidationException", "message": "no"}',
            ("other", "ValidationException: no"),
        ),
        (403, "ExpiredTokenException", b"{}", ("other", "ExpiredTokenException")),
        (429, "", b"slow down", ("throttle", "slow down")),
        (502, "", b"<html>Bad Gateway</html>", ("other", "<html>Bad Gateway</html>")),
        (500, "", b"", ("other", "HTTP 500")),
        (500, "", b"[1]", ("other", "[1]")),
    ],
)
def test_an_answer_means_what_the_service_model_says(
    status: int, kind: str, body: bytes, expected: tuple[str, str | None]
) -> None:
    named = {"x_amzn_ErrorType": kind} if kind else {}

    assert outcome_of(status, head(status, **named), body) == expected


def test_endless_words_are_cut() -> None:
    _, words = outcome_of(424, head(424, x_amzn_errortype="ModelError"), b'"' + b"x" * 9000 + b'"')

    assert words is not None
    assert len(words) == 500


def test_a_body_is_not_searched_for_headers() -> None:
    assert header(head(200), "x-amzn-errortype") is None
    assert header(head(200, Content_Length="7"), "content-length") == "7"
