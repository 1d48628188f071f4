"""The endpoints that the data plane knows, and what serves each of them now."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from local_runtime.errors import EndpointNotFound, ServiceUnavailable
from local_runtime.instances import Fleet

if TYPE_CHECKING:
    from local_runtime.async_backlog import Backlog

DEFAULT_ACCOUNT_ID: Final = "123456789012"


class Endpoint:
    """An endpoint's name and the fleet behind it.

    ``fleet`` is replaced in one step when an update has succeeded: a request belongs to the fleet
    that it found, and that one is drained before it stops. While traffic moves step by step, the
    ``candidate`` is the fleet that it moves to, and has its share of it. ``backlog`` is the queue
    before them, if the endpoint is asynchronous.
    """

    def __init__(self, name: str, *, region: str, account_id: str) -> None:
        self.name = name
        self.region = region
        self.account_id = account_id
        self.fleet: Fleet | None = None
        self.candidate: Fleet | None = None
        self.candidate_share = 0.0
        self.backlog: Backlog | None = None
        # It has been in service: with no fleet it is only out of order for now.
        self.has_served = False

    def serving(self) -> Fleet:
        """The fleet that answers now; while traffic moves, one of two by their shares.

        Raises:
            EndpointNotFound: it has never been in service.
            ServiceUnavailable: it has been, and will be again.
        """
        if self.candidate is not None and random.random() < self.candidate_share:  # noqa: S311
            return self.candidate
        if self.fleet is not None:
            return self.fleet
        if self.has_served:
            raise ServiceUnavailable(f"endpoint {self.name} is being restarted; try again")
        raise EndpointNotFound(self.name, self.account_id)

    def shares(self) -> list[tuple[Fleet, float]]:
        """Every fleet that serves, with its share of the traffic."""
        if self.fleet is None:
            return []
        if self.candidate is None:
            return [(self.fleet, 1.0)]
        parts = [
            (self.fleet, 1.0 - self.candidate_share),
            (self.candidate, self.candidate_share),
        ]
        return [(fleet, share) for fleet, share in parts if share > 0]


class EndpointTable:
    """Endpoints by name; in two regions one name may mean two endpoints."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[str, Endpoint]] = {}

    def add(self, endpoint: Endpoint) -> None:
        """Make an endpoint known."""
        self._by_name.setdefault(endpoint.name, {})[endpoint.region] = endpoint

    def remove(self, endpoint: Endpoint) -> None:
        """Forget an endpoint."""
        regions = self._by_name.get(endpoint.name, {})
        regions.pop(endpoint.region, None)
        if not regions:
            self._by_name.pop(endpoint.name, None)

    def find(self, name: str, region: str | None) -> Endpoint:
        """The endpoint of this name.

        Args:
            name: as the path says.
            region: that the request was signed for; None when it was not signed.

        Raises:
            EndpointNotFound: there is none.
        """
        regions = self._by_name.get(name)
        if regions is not None:
            if region in regions:
                return regions[region]
            if region is None and len(regions) == 1:
                return next(iter(regions.values()))
        raise EndpointNotFound(name, DEFAULT_ACCOUNT_ID)

    def all(self) -> list[Endpoint]:
        """Every endpoint."""
        return [endpoint for regions in self._by_name.values() for endpoint in regions.values()]
