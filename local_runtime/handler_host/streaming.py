"""Bodies that a handler produces piece by piece, and handlers that are coroutines."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any

_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect

_loop: AbstractEventLoop | None = None


def is_stream(value: object) -> bool:
    """True for an iterator or an asynchronous one: what a generator function returns."""
    return hasattr(value, "__next__") or hasattr(value, "__anext__")


def open_stream(value: Any) -> Iterator[bytes]:
    """The chunks of a handler's iterator, as bytes.

    The first one is produced here, so that a generator that fails at once is an error like any
    other and not a broken body.
    """
    items = _drain(value) if hasattr(value, "__anext__") else iter(value)
    for first in items:
        return _chunks(_encoded(first), items)
    return iter(())


def _chunks(first: bytes, rest: Iterator[object]) -> Iterator[bytes]:
    yield first
    for item in rest:
        yield _encoded(item)


def _encoded(item: object) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    raise TypeError(f"a streamed answer must yield bytes or str, got {type(item).__name__}")


def _drain(stream: AsyncIterator[object]) -> Iterator[object]:
    loop = _event_loop()
    while True:
        try:
            item = loop.run_until_complete(stream.__anext__())
        except StopAsyncIteration:
            return
        yield item


def awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` itself, or for a coroutine function one that runs it to its end.

    All calls share one event loop, so that clients which a handler keeps between requests work.
    """
    code = getattr(function, "__code__", None)
    if code is None or not code.co_flags & _CO_COROUTINE:
        return function

    def run(*args: object) -> Any:
        return _event_loop().run_until_complete(function(*args))

    run.__name__ = function.__name__
    run.__wrapped__ = function  # type: ignore[attr-defined]  # its arity is the handler's
    return run


def _event_loop() -> AbstractEventLoop:
    global _loop  # noqa: PLW0603  (one per process, made by the first coroutine)
    if _loop is None:
        import asyncio  # noqa: PLC0415  (fifty milliseconds that other handlers need not pay)

        _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)
    return _loop
