"""A timer that calls within tens of microseconds of its time, which event loops' own do not.

Event loops count milliseconds: a request due at 1.2 ms would be sent at 2. On Linux a timer of the
kernel's wakes the loop through a file descriptor instead; elsewhere the loop's own timer is used,
and what it costs shows in the lateness of sending.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Final

_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE: Final = 1  # TFD_TIMER_ABSTIME


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timer:
    """Calls ``due`` once for each ``set``, at a moment of ``time.monotonic``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[], None]) -> None:
        self._loop = loop
        self._due = due
        self._handle: asyncio.TimerHandle | None = None
        self._descriptor: int | None = None
        if sys.platform == "linux":
            self._library = ctypes.CDLL(None, use_errno=True)
            descriptor = self._library.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
            if descriptor < 0:
                raise OSError(ctypes.get_errno(), "timerfd_create")
            self._descriptor = descriptor
            self._spec = _Itimerspec()
            self._spec_address = ctypes.byref(self._spec)
            loop.add_reader(descriptor, self._expired)

    def set(self, when_s: float) -> None:
        """Call at ``when_s``, at once when that is past; an earlier ``set`` is forgotten."""
        if self._descriptor is None:
            if self._handle is not None:
                self._handle.cancel()
            self._handle = self._loop.call_later(max(0.0, when_s - time.monotonic()), self._due)
            return
        seconds = int(when_s)
        value = self._spec.value
        value.seconds = seconds
        value.nanoseconds = int((when_s - seconds) * 1e9)
        self._library.timerfd_settime(self._descriptor, _ABSOLUTE, self._spec_address, None)

    def close(self) -> None:
        """Call no more."""
        if self._handle is not None:
            self._handle.cancel()
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _expired(self) -> None:
        assert self._descriptor is not None
        # Set again between its expiry and this call: the kernel has forgotten the first expiry.
        with contextlib.suppress(BlockingIOError):
            os.read(self._descriptor, 8)
            self._due()
