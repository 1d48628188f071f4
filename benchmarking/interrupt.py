"""Ctrl-C and its kin: the first ends the measuring, the second is answered, the third gives up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """Turns signals into an orderly end.

    While requests are sent, the first signal only sets ``stop``, so that those under way are
    recorded. While things are removed, signals are answered with a sentence, until the third.
    Otherwise a signal raises KeyboardInterrupt.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.stop = threading.Event()
        self._say = say
        self._count = 0
        self._gentle = self._removing = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() has returned

    @property
    def happened(self) -> bool:
        """Whether somebody wants the run to end."""
        return self._count > 0

    @contextlib.contextmanager
    def gentle(self) -> Iterator[threading.Event]:
        """Let a signal set the event that is yielded, instead of raising.

        Raises:
            KeyboardInterrupt: at the end, when there was one.
        """
        self.stop.clear()
        self._gentle = True
        try:
            yield self.stop
        finally:
            self._gentle = False
        if self._count:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def removing(self) -> Iterator[None]:
        """Finish removing what was created, whatever the user presses, short of three times."""
        self._removing = True
        try:
            yield
        finally:
            self._removing = False

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._count += 1
        if self._removing and self._count < 3:
            self._say(
                "still removing what was created; once more gives it up, and"
                " `python -m benchmarking clean` takes it up again"
            )
            return
        if self._gentle and not self.stop.is_set():
            self._say("stopping: requests under way are recorded, then everything is removed")
            self.stop.set()
            return
        raise KeyboardInterrupt
