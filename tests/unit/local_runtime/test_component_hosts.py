"""Instances that follow the copies of inference components, on a clock of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hosting.endpoint import ManagedInstances
from hosting.placement import Resources
from local_runtime.clock import Clock
from local_runtime.component_hosts import Hosts, NoRoomError

WHOLE = Resources(cpu_cores=2, memory_mib=8192)
HALF = Resources(memory_mib=4096)


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def hosts(count: int, managed: ManagedInstances | None = None, idle_s: float = 60.0) -> Hosts:
    # A minute of this service's clock is a hundredth of a millisecond.
    clock = Clock(6e6)
    return Hosts(count, WHOLE, managed, clock=clock, idle_s=idle_s, changed=lambda: None)


def test_an_instance_is_added_only_when_a_copy_fits_nowhere() -> None:
    async def test() -> None:
        shared = hosts(1, ManagedInstances(minimum=0, maximum=2))
        for expected in (1, 1, 2, 2):
            shared.take(HALF, "a", "BINPACK")
            assert len(shared.all) == expected
        with pytest.raises(NoRoomError, match="not enough hardware resources"):
            shared.take(HALF, "a", "BINPACK")
        shared.close()

    in_a_loop(test)


def test_no_instance_is_added_for_a_copy_that_none_could_hold() -> None:
    async def test() -> None:
        shared = hosts(0, ManagedInstances(minimum=0, maximum=5))
        with pytest.raises(NoRoomError):
            shared.take(Resources(memory_mib=1, accelerators=1), "a", "SPREAD")
        assert shared.all == []

    in_a_loop(test)


def test_a_fixed_number_of_instances_stays_fixed() -> None:
    async def test() -> None:
        shared = hosts(1)
        shared.take(WHOLE, "a", "SPREAD")
        with pytest.raises(NoRoomError):
            shared.take(HALF, "b", "SPREAD")
        assert len(shared.all) == 1

    in_a_loop(test)


def test_an_instance_without_a_copy_goes_down_to_the_minimum() -> None:
    async def test() -> None:
        shared = hosts(1, ManagedInstances(minimum=1, maximum=3))
        places = [shared.take(WHOLE, "a", "BINPACK") for _ in range(3)]
        for place in places:
            shared.give_back(place)
        for _ in range(2_000):
            await asyncio.sleep(0)
        assert len(shared.all) == 1
        shared.close()

    in_a_loop(test)


def test_an_instance_that_gets_a_copy_in_time_stays() -> None:
    async def test() -> None:
        shared = hosts(2, ManagedInstances(minimum=0, maximum=2), idle_s=1e12)
        held = shared.take(HALF, "a", "BINPACK")
        shared.close()
        assert held.host in shared.all

    in_a_loop(test)


def test_fewer_instances_leave_those_with_the_most_copies() -> None:
    async def test() -> None:
        shared = hosts(3)
        kept = shared.take(HALF, "a", "SPREAD").host

        gone = shared.resize(1)

        assert shared.all == [kept]
        assert len(gone) == 2
        assert len({host.instance_id for host in (*gone, kept)}) == 3

    in_a_loop(test)
