"""HTTP/1.1 as bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.http_wire import (
    Chunked,
    FixedLength,
    MalformedHttpError,
    RequestHead,
    ResponseHead,
    UntilClose,
)


def request(*lines: str) -> RequestHead:
    return RequestHead("\r\n".join([*lines, "", ""]).encode("latin-1"))


def test_a_request_head_gives_its_parts() -> None:
    head = request("POST /a%20b?c=d HTTP/1.1", "Host: here", "X-Thing:  two words ", "x-thing: b")

    assert (head.method, head.target, head.keep_alive) == (b"POST", b"/a%20b?c=d", True)
    assert head.header(b"x-thing") == b"two words"
    assert head.header(b"thing") is None
    assert head.headers == [(b"host", b"here"), (b"x-thing", b"two words"), (b"x-thing", b"b")]


def test_the_headers_that_begin_alike_are_given_in_order() -> None:
    head = request("GET / HTTP/1.1", "X-Thing-A: 1", "Host: x-thing-b", "x-tHing-C:  ", "X-Thin: 2")

    assert head.beginning_with(b"x-thing-") == [(b"x-thing-a", b"1"), (b"x-thing-c", b"")]
    assert head.beginning_with(b"x-other") == []


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        (["GET / HTTP/1.1"], True),
        (["GET / HTTP/1.1", "Connection: close"], False),
        (["GET / HTTP/1.0"], False),
        (["GET / HTTP/1.0", "Connection: keep-alive"], True),
    ],
)
def test_the_connection_stays_open_as_the_version_says(lines: list[str], keep_alive: bool) -> None:
    assert request(*lines).keep_alive is keep_alive


def test_a_wish_to_upgrade_is_ignored() -> None:
    assert request("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c").target == b"/"


@pytest.mark.parametrize(
    "lines",
    [
        ["nonsense"],
        ["GET / HTTP/2.0"],
        ["GET /a b HTTP/1.1"],
        ["POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 2"],
        ["POST / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"],
        ["POST / HTTP/1.1", "Content-Length: +1"],
        ["POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"],
        ["POST / HTTP/1.1", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"],
        ["POST / HTTP/1.1", "Transfer-Encoding : chunked"],
        ["GET / HTTP/1.1", "A: b", " folded"],
        ["GET / HTTP/1.1", "A: b\nContent-Length: 5"],
    ],
    ids=" | ".join,
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(lines: list[str]) -> None:
    with pytest.raises(MalformedHttpError):
        request(*lines)


@pytest.mark.parametrize(
    ("head", "framing"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", FixedLength),
        (b"HTTP/1.1 204 No Content\r\n\r\n", FixedLength),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", FixedLength),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Chunked),
        (b"HTTP/1.0 200 OK\r\n\r\n", UntilClose),
    ],
)
def test_an_answer_says_how_its_body_ends(head: bytes, framing: type) -> None:
    assert isinstance(ResponseHead(head).framing(), framing)


def test_an_answer_to_head_has_no_body() -> None:
    head = ResponseHead(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")

    assert head.framing(to_head_request=True).done


def chunked(pieces: list[bytes]) -> bytes:
    body = b"".join(b"%x;note=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return body + b"0\r\nTrailer: x\r\n\r\n"


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    rest=st.binary(max_size=10),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_a_chunked_body_is_the_same_however_it_is_cut(
    pieces: list[bytes], rest: bytes, cuts: list[int]
) -> None:
    data = chunked(pieces) + rest
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    framing, body, after = Chunked(), b"", b""

    for start, end in itertools.pairwise(edges):
        if framing.done:
            after += data[start:end]
            continue
        found, left = framing.feed(data[start:end])
        body += b"".join(found)
        after += left

    assert framing.done
    assert body == b"".join(pieces)
    assert after == rest


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n",
        b"3\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"11111111111111111\r\n",
        b"3;" + b"x" * 5000,
    ],
)
def test_broken_chunks_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedHttpError):
        Chunked().feed(data)


@given(body=st.binary(max_size=50), rest=st.binary(max_size=10), cut=st.integers(0, 60))
def test_a_body_of_fixed_length_leaves_what_follows_it(body: bytes, rest: bytes, cut: int) -> None:
    framing, data = FixedLength(len(body)), body + rest

    first, after_first = framing.feed(data[:cut])
    second, after_second = framing.feed(data[cut:])

    assert b"".join(first + second) == body
    assert after_first + after_second == rest
    assert framing.done
