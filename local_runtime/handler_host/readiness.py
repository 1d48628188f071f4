"""Tells the process that started this one that requests are accepted now."""

from __future__ import annotations

import os

from .process_log import log


class Readiness:
    """The descriptor on which to tell it, once."""

    def __init__(self, descriptor: int) -> None:
        """Args:
        descriptor: of a socket or a pipe; closed after it is told.

        Raises:
            OSError: it is not open.
        """
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._identity = _identity(descriptor)

    def tell(self) -> None:
        """Who waits for it need not look again and again.

        A handler that closes every descriptor is found by looking; what it has opened since under
        this one's number is not written to.
        """
        try:
            if _identity(self._descriptor) == self._identity:
                os.write(self._descriptor, b"r")
                os.close(self._descriptor)
        except OSError as error:
            log(f"nobody was told that requests are accepted: {error.strerror}")


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
