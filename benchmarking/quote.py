"""What a plan takes before it is begun, and what has been spent while it runs.

Dollars are those of AWS's prices, on a local runtime too, where nothing is paid: the plan is the
same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from benchmarking.plan import Placement, Trial
from benchmarking.records import Option
from benchmarking.usage import exact
from hosting.pricing import GB, PriceList, UnknownPriceError

_ZERO: Final = Decimal(0)
# How long AWS takes to create an endpoint, roughly; nothing documents it. Serverless endpoints took
# users 2 to 5 minutes; instances have to start first.
_DEPLOYMENT_S: Final[dict[Option, float]] = {
    "serverless": 240.0,
    "serverless-provisioned": 300.0,
    "real-time": 420.0,
    "multi-model": 420.0,
    "async": 420.0,
}
# On the local runtime a container is a process.
_LOCAL_DEPLOYMENT_S: Final = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumption:
    """What is guessed before anything was measured.

    Args:
        service_s: of one request.
        request_bytes: of one request, on average.
        local: whether endpoints are those of the local runtime, which are there at once.
        wall_s_per_service_s: below 1 where the service's clock is faster than the wall's.
    """

    service_s: float
    request_bytes: float
    local: bool = False
    wall_s_per_service_s: float = 1.0

    def deployment_s(self, option: Option) -> float:
        """How long an endpoint takes to be created."""
        return _LOCAL_DEPLOYMENT_S if self.local else _DEPLOYMENT_S[option]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One endpoint of the plan.

    Args:
        minutes: on the wall: of its creation and its measurements.
        usd: None: a price is unknown.
        unknown: which.
    """

    key: str
    infeasible: str | None
    cells: int
    requests: float
    minutes: float
    usd: Decimal | None
    unknown: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """The whole plan."""

    lines: tuple[Line, ...]
    minutes: float

    @property
    def endpoints(self) -> int:
        """How many are created."""
        return sum(line.infeasible is None for line in self.lines)

    @property
    def requests(self) -> float:
        """How many are sent."""
        return sum(line.requests for line in self.lines)

    @property
    def usd(self) -> Decimal | None:
        """What all of it costs; None when a price is unknown."""
        known = [line.usd for line in self.lines if line.infeasible is None]
        amounts = [usd for usd in known if usd is not None]
        return sum(amounts, _ZERO) if len(amounts) == len(known) else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Prices that the list does not hold."""
        return tuple(dict.fromkeys(line.unknown for line in self.lines if line.unknown is not None))


def quote(
    waves: Sequence[Sequence[Trial]], assumption: Assumption, prices: PriceList, region: str
) -> Quote:
    """Add up a plan.

    Args:
        waves: trials that are deployed together.
    """
    lines, total_s = [], 0.0
    for wave in waves:
        possible = [trial for trial in wave if trial.infeasible is None]
        creating = [assumption.deployment_s(trial.placement.option) for trial in possible]
        total_s += max(creating, default=0.0)
        for trial in wave:
            line = _line(trial, assumption, prices, region)
            lines.append(line)
            if trial.infeasible is None:
                total_s += measuring_s(trial, assumption)
    return Quote(lines=tuple(lines), minutes=total_s / 60)


def measuring_s(trial: Trial, assumption: Assumption) -> float:
    """How long the measurements of a trial take on the wall."""
    return sum(
        each.expected_s(service_s=assumption.service_s)
        + (0.0 if each.gap_s is None else each.gap_s * assumption.wall_s_per_service_s)
        for each in trial.measurements
    )


def usd(
    placement: Placement,
    prices: PriceList,
    region: str,
    *,
    requests: float,
    busy_s: float,
    alive_s: float,
    request_bytes: float,
    response_bytes: float,
) -> Decimal:
    """What an endpoint costs for some use.

    Args:
        busy_s: sum of the requests' times.
        alive_s: how long the endpoint is there.
        request_bytes: of one request, on average.
        response_bytes: of one answer, on average.

    Raises:
        UnknownPriceError: the list lacks a price.
    """
    data = exact(requests * request_bytes) * prices.data_in(region).usd
    data += exact(requests * response_bytes) * prices.data_out(region).usd
    total = data / GB
    if not placement.is_serverless:
        assert placement.instance_type is not None, "an option on instances has a type"
        assert placement.instances is not None, "and a number"
        hourly = (
            prices.async_instance_hour if placement.option == "async" else prices.instance_hour
        )(region, placement.instance_type)
        return total + placement.instances * exact(alive_s) / 3600 * hourly.usd
    assert placement.memory_size_mb is not None, "a serverless option has a memory size"
    if placement.provisioned_concurrency is None:
        per_s = prices.serverless_duration(region, placement.memory_size_mb).usd
        return total + exact(busy_s) * per_s
    kept = prices.provisioned_usage(region, placement.memory_size_mb).usd
    # Requests that spill over are on demand, which is dearer per second: the bound is the larger.
    per_s = max(
        prices.provisioned_duration(region, placement.memory_size_mb).usd,
        prices.serverless_duration(region, placement.memory_size_mb).usd,
    )
    total += placement.provisioned_concurrency * exact(alive_s) * kept
    return total + exact(busy_s) * per_s


def _line(trial: Trial, assumption: Assumption, prices: PriceList, region: str) -> Line:
    if trial.infeasible is not None:
        return Line(
            key=trial.placement.key,
            infeasible=trial.infeasible,
            cells=len(trial.measurements),
            requests=0.0,
            minutes=0.0,
            usd=_ZERO,
        )
    requests = sum(
        each.expected_requests(service_s=assumption.service_s) for each in trial.measurements
    )
    deployment_s = assumption.deployment_s(trial.placement.option)
    alive_s = deployment_s + measuring_s(trial, assumption)
    amount, unknown = None, None
    try:
        amount = usd(
            trial.placement,
            prices,
            region,
            requests=requests,
            busy_s=requests * assumption.service_s,
            alive_s=alive_s,
            request_bytes=assumption.request_bytes,
            response_bytes=assumption.request_bytes,
        )
    except UnknownPriceError as error:
        unknown = str(error)
    return Line(
        key=trial.placement.key,
        infeasible=None,
        cells=len(trial.measurements),
        requests=requests,
        minutes=alive_s / 60,
        usd=amount,
        unknown=unknown,
    )
