"""A composite alarm's suppressor: another alarm that holds its actions back.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-suppression.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hosting.alarms import State

SuppressedBy = Literal["Alarm", "WaitPeriod", "ExtensionPeriod"]


@dataclass(kw_only=True, slots=True)
class Suppression:
    """What is held back, and until when; times are the service's seconds.

    ``acted`` is the state whose actions were last carried out: an alarm that comes back to it
    while its actions are held has nothing to say.
    """

    suppressor: str
    wait_s: float
    extension_s: float
    acted: State
    is_on: bool = False
    held_since_s: float | None = None
    left_at_s: float | None = None

    @classmethod
    def of(cls, request: Mapping[str, Any], state: State) -> Suppression | None:
        """As a PutCompositeAlarm asks for it; None when it names no suppressor."""
        name = request.get("ActionsSuppressor")
        if name is None:
            return None
        return cls(
            suppressor=name.rpartition(":alarm:")[2],
            wait_s=request["ActionsSuppressorWaitPeriod"],
            extension_s=request["ActionsSuppressorExtensionPeriod"],
            acted=state,
        )

    def observe(self, *, is_on: bool, now_s: float) -> None:
        """Take notice of the suppressor's state: whether it is in ALARM."""
        if self.is_on and not is_on:
            self.left_at_s = now_s
        self.is_on = is_on

    def hold(self, now_s: float) -> None:
        """The alarm has come into another state; the wait begins with the first that is held."""
        if self.held_since_s is None:
            self.held_since_s = now_s

    def by(self, now_s: float) -> SuppressedBy | None:
        """What holds the actions now; None when there are none, or nothing does."""
        if self.is_on:
            return "Alarm"
        if self.left_at_s is not None and now_s < self.left_at_s + self.extension_s:
            return "ExtensionPeriod"
        if (
            self.held_since_s is not None
            # The wait is for a suppressor that is still to come, not for one that went.
            and (self.left_at_s is None or self.left_at_s < self.held_since_s)
            and now_s < self.held_since_s + self.wait_s
        ):
            return "WaitPeriod"
        return None

    def release(self, state: State, now_s: float) -> bool:
        """Whether the actions of the alarm's state are to be carried out now, once."""
        if self.held_since_s is None or self.by(now_s) is not None:
            return False
        self.held_since_s = None
        is_news = state != self.acted
        self.acted = state
        return is_news
