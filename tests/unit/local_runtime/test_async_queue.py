"""The durable queue of asynchronous requests."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from local_runtime.async_queue import AsyncQueue, AsyncRequest, QueueUnavailableError, Verdict

_T = TypeVar("_T")

REQUEST = AsyncRequest(
    inference_id="one",
    input_location=None,
    content_type="text/plain",
    accept=None,
    custom_attributes=None,
    invocation_timeout_s=900,
    received_at_s=1_000.0,
    expires_at_s=22_600.0,
    output_location="s3://bucket/out/one.out",
    failure_location=None,
)
ANSWERED = Verdict(variant="AllTraffic", content_type="text/plain")
CONFIG = {"OutputConfig": {"S3OutputPath": "s3://bucket/out"}}


@pytest.fixture
def in_queue(tmp_path: Path) -> Callable[[Callable[[AsyncQueue], Awaitable[_T]]], _T]:
    """Work on the queue as one life of the process; the next call is its next life."""

    def work(step: Callable[[AsyncQueue], Awaitable[_T]]) -> _T:
        async def life() -> _T:
            queue = AsyncQueue(tmp_path / "async")
            await queue.open()
            try:
                return await step(queue)
            finally:
                await queue.close()

        return asyncio.run(life())

    return work


async def opened(queue: AsyncQueue) -> int:
    return await queue.open_endpoint(
        region="us-east-1", account_id="123456789012", name="summaries", config=CONFIG
    )


def test_the_next_life_finds_what_was_accepted_in_its_order(
    in_queue: Callable[..., list[tuple[str, bytes | None]]],
) -> None:
    async def accept(queue: AsyncQueue) -> None:
        endpoint = await opened(queue)
        for number in range(3):
            request = dataclasses.replace(REQUEST, inference_id=str(number))
            await queue.accept(endpoint, request, b"body %d" % number)

    async def find(queue: AsyncQueue) -> list[tuple[str, bytes | None]]:
        held = await queue.held(await opened(queue))
        return [(each.request.inference_id, await queue.body(each.id)) for each in held]

    in_queue(accept)

    assert in_queue(find) == [("0", b"body 0"), ("1", b"body 1"), ("2", b"body 2")]


@pytest.mark.parametrize("size", [0, 10, 1_000_000])
def test_an_answer_that_was_decided_is_the_same_in_the_next_life(
    in_queue: Callable[..., bytes], size: int
) -> None:
    content = b"a" * size

    async def decide(queue: AsyncQueue) -> None:
        request_id = await queue.accept(await opened(queue), REQUEST, b"x")
        await queue.decide(request_id, ANSWERED, memoryview(content))

    async def find(queue: AsyncQueue) -> bytes:
        (held,) = await queue.held(await opened(queue))
        assert held.verdict == ANSWERED
        answer = await queue.answer(held.id)
        return answer.read_bytes() if isinstance(answer, Path) else answer

    in_queue(decide)

    assert in_queue(find) == content


def test_nothing_is_left_of_a_request_that_has_ended(
    in_queue: Callable[..., object], tmp_path: Path
) -> None:
    async def end(queue: AsyncQueue) -> list[object]:
        endpoint = await opened(queue)
        request_id = await queue.accept(endpoint, REQUEST, None)
        await queue.decide(request_id, ANSWERED, b"a" * 1_000_000)
        await queue.remove(request_id)
        return list(await queue.held(endpoint))

    assert in_queue(end) == []
    assert list((tmp_path / "async/answers").iterdir()) == []


def test_a_deleted_endpoint_keeps_its_requests_apart_from_a_new_one_of_its_name(
    in_queue: Callable[..., tuple[int, int, list[int]]],
) -> None:
    async def recreate(queue: AsyncQueue) -> tuple[int, int, list[int]]:
        first = await opened(queue)
        await queue.accept(first, REQUEST, b"x")
        await queue.close_endpoint(first)
        second = await opened(queue)
        closed = [each.id for each in await queue.endpoints(are_open=False)]
        return first, len(await queue.held(second)), closed

    first, held_by_second, closed = in_queue(recreate)

    assert held_by_second == 0
    assert closed == [first]


def test_many_requests_at_once_share_transactions_and_keep_their_order(
    in_queue: Callable[..., list[int]],
) -> None:
    async def accept(queue: AsyncQueue) -> list[int]:
        endpoint = await opened(queue)
        return list(
            await asyncio.gather(*(queue.accept(endpoint, REQUEST, b"x") for _ in range(1000)))
        )

    ids = in_queue(accept)

    assert ids == sorted(set(ids))
    assert len(ids) == 1000


def test_one_request_that_cannot_be_kept_does_not_take_others_with_it(
    in_queue: Callable[..., tuple[list[bool], int]],
) -> None:
    """They arrive together, so they would share a transaction."""

    async def accept(queue: AsyncQueue) -> tuple[list[bool], int]:
        endpoint = await opened(queue)
        unbindable: bytes = [b"not", b"a", b"body"]  # type: ignore[assignment]
        accepted = [queue.accept(endpoint, REQUEST, body) for body in (b"1", unbindable, b"3")]
        outcomes = await asyncio.gather(*accepted, return_exceptions=True)
        refused = [isinstance(outcome, QueueUnavailableError) for outcome in outcomes]
        return refused, len(await queue.held(endpoint))

    assert in_queue(accept) == ([False, True, False], 2)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "async").write_text("in the way")

    with pytest.raises(QueueUnavailableError, match=str(tmp_path)):
        asyncio.run(AsyncQueue(tmp_path / "async").open())
