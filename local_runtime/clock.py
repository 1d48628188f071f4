"""The service's clock: AWS's minutes pass ``speed`` times faster than the wall's.

Metric periods, alarm evaluation, cooldowns and idle timers follow it. What a client or a handler
measures does not, and neither do points in time: every timestamp that the APIs show is the wall's,
so that "the last hour" means to CloudWatch what it means to the client.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Service seconds since the clock was made.

    It runs on the monotonic clock: setting the machine's time moves nothing.
    """

    def __init__(self, speed: float = 1.0, *, now: Callable[[], float] = time.monotonic) -> None:
        """Args:
        speed: service seconds per second of the wall.
        now: seconds that only ever grow.

        Raises:
            ValueError: the speed is not above 0.
        """
        if speed <= 0:
            raise ValueError(f"speed must be above 0, got {speed:g}")
        self.speed = speed
        self._now = now
        self._start = now()

    def now_s(self) -> float:
        """Service seconds since the clock was made."""
        return (self._now() - self._start) * self.speed

    def wall_s(self, service_s: float) -> float:
        """How long a time of the service takes on the wall."""
        return service_s / self.speed

    async def sleep(self, service_s: float) -> None:
        """Wait for a time of the service."""
        await asyncio.sleep(service_s / self.speed)
