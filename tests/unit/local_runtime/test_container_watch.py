"""Whether a container has too much is looked at where it can have."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from local_runtime.container_watch import ContainerWatch
from local_runtime.settings import Limits
from local_runtime.utilization import memory_in_use, process_count, processes


class Idle:
    """A container without a process."""

    title = "container"
    process_groups: list[int]

    def __init__(self) -> None:
        self.process_groups = []

    def say(self, line: str) -> None:
        raise AssertionError(line)


def times_asked(limits: Limits, looks: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a watch asks for the containers in the first ``looks`` turns of its loop."""
    asked = turns = 0

    def containers() -> Iterator[Idle]:
        nonlocal asked
        asked += 1
        yield Idle()

    class Containers:
        def __iter__(self) -> Iterator[Idle]:
            return containers()

    class EnoughError(Exception):
        pass

    async def no_time(_: float) -> None:
        nonlocal turns
        turns += 1
        if turns > looks:
            raise EnoughError

    monkeypatch.setattr("local_runtime.container_watch.asyncio.sleep", no_time)
    with pytest.raises(EnoughError):
        asyncio.run(ContainerWatch(limits).run(Containers()))
    return asked


def test_no_container_is_looked_at_while_the_machine_has_less_than_one_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    roomy = Limits(container_memory_bytes=2**60, container_processes=2**30)

    assert times_asked(roomy, 3, monkeypatch) == 0


@pytest.mark.parametrize(
    "limits",
    [
        Limits(container_memory_bytes=1, container_processes=2**30),
        Limits(container_memory_bytes=2**60, container_processes=1),
    ],
)
def test_containers_are_looked_at_where_one_of_their_limits_can_be_reached(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert times_asked(limits, 3, monkeypatch) == 3


def test_the_machine_has_at_least_what_this_process_has() -> None:
    [this] = [process for process in processes() if process.pid == os.getpid()]

    assert memory_in_use() > this.resident_bytes > 0
    assert process_count() > 0
