"""Ends this process group when the process that started it is gone."""

from __future__ import annotations

import _thread
import os

_SIGKILL = 9  # importing signal would take a third of the time that this program needs to start


def watch(descriptor: int) -> None:
    """Kill the whole process group when the pipe's other end closes.

    The other end is open in the parent alone. The kernel closes it however the parent ends, so
    nothing a handler started in its group can outlive the runtime.

    Raises:
        OSError: ``descriptor`` is not open.
    """
    os.set_inheritable(descriptor, False)
    _thread.start_new_thread(_wait, (descriptor,))


def _wait(descriptor: int) -> None:
    try:
        while os.read(descriptor, 64):
            pass
    except OSError:
        pass  # closed by a handler that closes every descriptor: no longer watched, so not trusted
    os.killpg(os.getpgrp(), _SIGKILL)
