"""Two closed forms of queueing theory that costs are computed with, for Poisson arrivals."""

from __future__ import annotations

from decimal import Decimal


def erlang_b(units: int, load: Decimal) -> Decimal:
    """The share of requests that find every unit busy when nobody waits (Erlang's loss formula).

    Requests beyond the provisioned concurrency spill over to on-demand capacity at once, so warm
    units see just this. The durations' distribution does not matter.

    Args:
        load: mean number of requests in service were there units without end.
    """
    blocked = Decimal(1)
    for busy in range(1, units + 1):
        blocked = load * blocked / (busy + load * blocked)
    return blocked


def covered(rate_per_s: Decimal, stay_s: Decimal) -> Decimal:
    """The share of time in which an instance is there that stays ``stay_s`` after each arrival.

    It is away only when none came in the last ``stay_s``.
    """
    return 1 - (-rate_per_s * stay_s).exp()
