"""An update on its way, with fleets and alarms that are the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hosting.update_policy import UpdatePolicy
from local_runtime.clock import Clock
from local_runtime.endpoints import Endpoint
from local_runtime.rollout import Rollout, RolloutTakenBackError, Stage


class Variant:
    def __init__(self, count: int) -> None:
        self.name = "v"
        self.instances = [object()] * count


class Fleet:
    """A fleet that has as many instances as it is told, and remembers how many those were."""

    def __init__(self, count: int) -> None:
        self.variants = [Variant(count)]
        self.counts = [count]

    async def follow(self, capacities: Mapping[str, Any]) -> None:
        count = capacities["v"]["instances"]
        self.variants[0].instances = [object()] * count
        self.counts.append(count)


class Update:
    """An update of four instances, with whatever policy."""

    def __init__(self, policy: UpdatePolicy, *, spent_s: float = 0.0) -> None:
        self.endpoint = Endpoint("e", region="r", account_id="1")
        self.old = Fleet(4)
        self.endpoint.fleet = self.old  # type: ignore[assignment]
        self.new = Fleet(policy.batches(4)[0] if policy.strategy == "rolling" else 4)
        self.told: list[tuple[Stage, float]] = []
        self.states: dict[str, str | None] = {}
        self.ring_at: float | None = None
        capacities = {"v": {"weight": 1.0, "instances": 4}}
        self.rollout = Rollout(
            self.endpoint,
            self.new,  # type: ignore[arg-type]
            policy,
            Clock(1e5),
            capacities=capacities,
            old_capacities=capacities,
            watch=self.watch,
            tell=self.tell,
            spent_s=spent_s,
        )

    async def watch(self, names: Sequence[str]) -> Mapping[str, str | None]:
        if self.ring_at is not None and self.endpoint.candidate_share >= self.ring_at:
            return dict.fromkeys(names, "ALARM")
        return {name: self.states.get(name, "OK") for name in names}

    async def tell(self, stage: Stage, share: float) -> None:
        self.told.append((stage, round(share, 2)))

    def run(self) -> None:
        asyncio.run(self.rollout.run())

    def fails(self, message: str) -> None:
        async def both() -> None:
            with pytest.raises(RolloutTakenBackError, match=message):
                await self.rollout.run()
            await self.rollout.take_back()

        asyncio.run(both())
        assert self.endpoint.candidate is None


def test_a_linear_update_bakes_between_its_steps() -> None:
    update = Update(UpdatePolicy(strategy="linear", percent=50, wait_s=60, termination_wait_s=30))
    update.run()

    assert update.told == [
        ("ActivatingTraffic", 0.5),
        ("Baking", 0.5),
        ("ActivatingTraffic", 1.0),
        ("Baking", 1.0),
    ]
    assert update.endpoint.candidate_share == 1


def test_without_a_policy_all_traffic_moves_at_once_and_nothing_waits() -> None:
    update = Update(UpdatePolicy())
    update.run()

    assert update.told == [("ActivatingTraffic", 1.0)]


def test_a_rolling_update_never_has_fewer_instances_than_before() -> None:
    update = Update(UpdatePolicy(strategy="rolling", percent=25))
    update.run()

    assert update.new.counts == [1, 1, 2, 3, 4]
    assert update.old.counts == [4, 3, 2, 1]


def test_a_rolling_update_that_is_taken_back_has_all_old_instances_in_its_batches() -> None:
    policy = UpdatePolicy(
        strategy="rolling",
        percent=25,
        wait_s=10,
        rollback_percent=0,
        rollback_instances=1,
        alarms=("a",),
    )
    update = Update(policy)
    update.ring_at = 0.75
    update.fails("alarm a is in state ALARM")

    assert update.old.counts == [4, 3, 2, 3, 4]


@pytest.mark.parametrize(
    ("states", "message"),
    [({"a": None}, "alarm a does not exist"), ({"b": "ALARM"}, "alarm b is in state ALARM")],
)
def test_alarms_are_looked_at_while_the_update_bakes(
    states: dict[str, str | None], message: str
) -> None:
    update = Update(UpdatePolicy(wait_s=60, alarms=("a", "b")))
    update.states = states
    update.fails(message)


def test_alarms_without_data_take_nothing_back() -> None:
    update = Update(UpdatePolicy(wait_s=60, alarms=("a",)))
    update.states = {"a": "INSUFFICIENT_DATA"}
    update.run()


@pytest.mark.parametrize(("spent_s", "wait_s"), [(601, 0), (400, 300)])
def test_an_update_that_takes_longer_than_its_timeout_is_taken_back(
    spent_s: float, wait_s: float
) -> None:
    update = Update(UpdatePolicy(wait_s=wait_s, timeout_s=600), spent_s=spent_s)
    update.fails(r"longer than its MaximumExecutionTimeoutInSeconds \(600\)")


def test_requests_are_split_by_the_candidates_share() -> None:
    update = Update(UpdatePolicy())
    endpoint = update.endpoint
    endpoint.candidate, endpoint.candidate_share = update.new, 0.25  # type: ignore[assignment]

    served = [endpoint.serving() for _ in range(4000)]

    assert 800 < served.count(update.new) < 1200  # type: ignore[arg-type]
    assert [share for _, share in endpoint.shares()] == [0.75, 0.25]
