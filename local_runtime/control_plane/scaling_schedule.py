"""When a scheduled action is due: at(...), rate(...) and cron(...).

Source: API reference of Application Auto Scaling, PutScheduledAction, Schedule; and
https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FORM: Final = re.compile(r"(?P<kind>at|rate|cron)\((?P<body>[^()]*)\)")
_RATE: Final = re.compile(r"(?P<number>[1-9]\d*) (?P<unit>minute|hour|day)s?")
_UNIT_S: Final = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS: Final = {name.upper(): n for n, name in enumerate(calendar.month_abbr) if name}
# Sunday is 1 in these expressions.
_WEEKDAYS: Final = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
# A date that never comes, such as 30 February, is looked for only so long.
_DAYS_SEARCHED: Final = 366 * 5


class ScheduleError(ValueError):
    """An expression that cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """A schedule that has been read.

    ``every_s`` is set for a rate: seconds of the service's clock. The others are moments of the
    wall's calendar, which ``after`` finds.
    """

    kind: Literal["at", "rate", "cron"]
    every_s: float | None = None
    after: Callable[[float], float | None] | None = None


def read(expression: str, timezone: str = "UTC") -> Schedule:
    """Read an expression.

    Raises:
        ScheduleError: it cannot be read, or there is no such time zone.
    """
    match = _FORM.fullmatch(expression)
    if match is None:
        raise ScheduleError(f"Schedule must be at(...), rate(...) or cron(...), got {expression}")
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise ScheduleError(f"Timezone must be an IANA name, got {timezone}") from fault
    body = match["body"]
    match match["kind"]:
        case "at":
            return Schedule(kind="at", after=_at(body, zone))
        case "rate":
            return Schedule(kind="rate", every_s=_rate(body))
        case _:
            return Schedule(kind="cron", after=_cron(body, zone))


def _at(body: str, zone: ZoneInfo) -> Callable[[float], float | None]:
    try:
        moment = datetime.strptime(body, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone)
    except ValueError as fault:
        raise ScheduleError(f"at(...) must hold yyyy-mm-ddThh:mm:ss, got {body}") from fault
    due_s = moment.timestamp()
    return lambda now_s: due_s if due_s > now_s else None


def _rate(body: str) -> float:
    match = _RATE.fullmatch(body)
    if match is None:
        raise ScheduleError(f"rate(...) must hold a number of minutes, hours or days, got {body}")
    return float(int(match["number"]) * _UNIT_S[match["unit"]])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    years: frozenset[int]
    any_day: bool
    any_weekday: bool

    def on(self, day: date) -> bool:
        """Whether it is due on a day."""
        if day.month not in self.months or day.year not in self.years:
            return False
        is_last = day.day == calendar.monthrange(day.year, day.month)[1]
        by_day = day.day in self.days or (self.last_day and is_last)
        by_weekday = day.isoweekday() % 7 + 1 in self.weekdays
        if self.any_day:
            return by_weekday
        return by_day if self.any_weekday else by_day or by_weekday


def _cron(body: str, zone: ZoneInfo) -> Callable[[float], float | None]:
    fields = body.split()
    if len(fields) != 6:
        raise ScheduleError(f"cron(...) must hold six fields, got {len(fields)}")
    minutes, hours, days, months, weekdays, years = (field.upper() for field in fields)
    if days != "?" and weekdays != "?" and "*" not in {days, weekdays}:
        raise ScheduleError("cron(...) must have ? for the day of month or for the day of week")
    cron = _Cron(
        minutes=_numbers("minutes", minutes, 0, 59),
        hours=_numbers("hours", hours, 0, 23),
        days=frozenset() if days == "L" else _numbers("day of month", days, 1, 31),
        last_day=days == "L",
        months=_numbers("month", months, 1, 12, _MONTHS),
        weekdays=_numbers("day of week", weekdays, 1, 7, _WEEKDAYS),
        years=_numbers("year", years, 1970, 2199),
        any_day=days in {"*", "?"},
        any_weekday=weekdays in {"*", "?"},
    )

    def after(now_s: float) -> float | None:
        now = datetime.fromtimestamp(now_s, zone)
        for offset in range(_DAYS_SEARCHED):
            day = now.date() + timedelta(days=offset)
            if not cron.on(day):
                continue
            for hour in sorted(cron.hours):
                for minute in sorted(cron.minutes):
                    due = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                    if due.timestamp() > now_s:
                        return due.astimezone(UTC).timestamp()
        return None

    return after


def _numbers(
    name: str, field: str, first: int, last: int, names: dict[str, int] | None = None
) -> frozenset[int]:
    if field in {"*", "?"}:
        return frozenset(range(first, last + 1))
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, dash, high = span.partition("-")
        try:
            start = first if low == "*" else _number(low, names)
            end = _number(high, names) if dash else (last if step else start)
            stride = int(step) if step else 1
        except ValueError as fault:
            raise ScheduleError(f"cron(...) {name} cannot be {field}") from fault
        if not first <= start <= end <= last or stride < 1:
            raise ScheduleError(f"cron(...) {name} must be within {first}-{last}, got {field}")
        found.update(range(start, end + 1, stride))
    return frozenset(found)


def _number(text: str, names: dict[str, int] | None) -> int:
    if names is not None and text in names:
        return names[text]
    return int(text)
