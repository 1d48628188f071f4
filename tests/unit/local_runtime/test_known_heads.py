"""A head that is recognized says what parsing it anew would say."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.http_wire import MalformedHttpError, RequestHead
from local_runtime.known_heads import KnownHeads


def signed(
    number: int,
    *,
    target: str = "/endpoints/dot/invocations",
    length: int | str = 46,
    more: str = "",
) -> bytes:
    """A head as boto3 sends it, with what is new each time made from ``number``."""
    new = hashlib.sha256(str(number).encode()).hexdigest()
    return (
        f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: text/csv\r\n"
        f"Accept: application/json\r\nX-Amz-Date: 20261121T{number % 240000:06}Z\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/sagemaker/aws4_request,"
        f" SignedHeaders=accept;host, Signature={new}\r\n"
        f"amz-sdk-invocation-id: {new[:8]}-{new[8:12]}-{new[12:16]}-{new[16:20]}-{new[20:32]}\r\n"
        f"{more}Content-Length: {length}\r\n\r\n"
    ).encode("latin-1")


def said(head: RequestHead) -> tuple[object, ...]:
    return (
        head.method,
        head.target,
        head.version,
        head.keep_alive,
        head.chunked,
        head.content_length,
        head.size,
        head.headers,
        head.header(b"accept"),
        head.beginning_with(b"x-amz"),
    )


def outcome(parse: object, data: bytes) -> object:
    try:
        return said(parse(data))  # type: ignore[operator]
    except MalformedHttpError as error:
        return str(error)


def recognized(heads: KnownHeads, data: bytes) -> RequestHead:
    head = heads.recognize(data)
    assert head is not None
    return head


def test_the_next_request_of_a_client_is_recognized_before_its_body() -> None:
    heads = KnownHeads()
    first = heads.parse(signed(1, length=46))

    again = recognized(heads, signed(2, length=99) + b"\r\n\r\nbody")

    assert first.known is None
    assert again.known is first
    assert said(again) == said(RequestHead(signed(2, length=99)))


def test_heads_of_several_endpoints_are_recognized_in_turns() -> None:
    heads = KnownHeads()
    targets = ["/endpoints/a/invocations", "/endpoints/bcd/invocations"]
    for number, target in enumerate(targets):
        heads.parse(signed(number, target=target))

    for number, target in enumerate(targets * 3):
        data = signed(number, target=target)
        head = heads.recognize(data) or heads.parse(data)
        assert head.known is not None
        assert head.target == target.encode()


@pytest.mark.parametrize(
    "data",
    [
        signed(2, target="/endpoints/hot/invocations"),
        signed(2, length="4x"),
        signed(2, length="-1"),
        signed(2).replace(b"20261121T", b"20261121\r\n"),
        signed(2).replace(b"X-Amz-Date: 20261121T", b"X-Amz-Date: 20261121\0"),
        signed(2).replace(b"text/csv", b"text/cSv"),
        signed(2)[:-1],
        b"",
    ],
)
def test_what_differs_in_anything_else_is_not_recognized(data: bytes) -> None:
    heads = KnownHeads()
    heads.parse(signed(1))

    assert heads.recognize(data) is None


def test_what_looks_like_a_signature_in_another_header_is_not_taken_for_new() -> None:
    heads = KnownHeads()
    line = "X-Amzn-SageMaker-Custom-Attributes: a Signature={}\r\n"
    heads.parse(signed(1, more=line.format("a" * 64)))

    assert heads.recognize(signed(2, more=line.format("b" * 64))) is None
    assert heads.recognize(signed(2, more=line.format("a" * 64))) is not None


def test_heads_that_never_come_again_are_soon_not_learned_any_more() -> None:
    heads = KnownHeads()
    once = [signed(n, more=f"X-Amzn-SageMaker-Inference-Id: {n:05}\r\n") for n in range(300)]
    for data in once:
        heads.parse(data)

    assert [n for n, data in enumerate(once) if n >= 100 and heads.recognize(data)] == [
        127,
        191,
        255,
    ]


def test_a_client_that_begins_to_repeat_itself_is_recognized_after_all() -> None:
    heads = KnownHeads()
    for number in range(300):
        heads.parse(signed(number, more=f"X-Amzn-SageMaker-Inference-Id: {number:05}\r\n"))

    known = [heads.recognize(signed(number)) or heads.parse(signed(number)) for number in range(99)]

    assert known[-1].known is not None


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10_000),
            st.integers(0, 400),  # where a byte is replaced, beyond the end: nowhere
            st.binary(min_size=0, max_size=3),
            st.sampled_from([0, 7, 46, 99, 123456]),
        ),
        max_size=12,
    ),
    st.sampled_from(["", "Connection: close\r\n", "Expect: 100-continue\r\n", "x-amz-date:\r\n"]),
)
def test_every_head_says_what_it_would_say_to_the_parser(
    changes: list[tuple[int, int, bytes, int]], more: str
) -> None:
    heads = KnownHeads()
    for number, place, replacement, length in changes:
        data = signed(number, length=length, more=more)
        data = data[:place] + replacement + data[place + len(replacement) :]
        end = data.find(b"\r\n\r\n")
        data = data if end < 0 else data[: end + 4]

        found = heads.recognize(data + b"body")
        if end < 0:
            assert found is None
        elif found is None:
            assert outcome(heads.parse, data) == outcome(RequestHead, data)
        else:
            assert said(found) == outcome(RequestHead, data)
