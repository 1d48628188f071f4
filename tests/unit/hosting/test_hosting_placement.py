"""Where copies of inference components go."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.instances import instance_type
from hosting.placement import (
    Occupancy,
    Resources,
    Strategy,
    choose_copy,
    choose_instance,
)

STRATEGIES: tuple[Strategy, ...] = ("BINPACK", "SPREAD")
SMALL = Resources(cpu_cores=1, memory_mib=1024)

amounts = st.floats(0, 64, allow_nan=False)
resources = st.builds(Resources, cpu_cores=amounts, memory_mib=amounts, accelerators=amounts)


@st.composite
def occupied(draw: st.DrawFn) -> Occupancy:
    capacity = draw(resources)
    share = draw(st.floats(0, 1))
    used = Resources(
        cpu_cores=capacity.cpu_cores * share,
        memory_mib=capacity.memory_mib * share,
        accelerators=capacity.accelerators * share,
    )
    return Occupancy(capacity=capacity, used=used, copies=draw(st.integers(0, 5)))


def machine(*, used: int = 0, copies: int = 0) -> Occupancy:
    """An ml.m5.xlarge of which ``used`` cores are taken."""
    return Occupancy(
        capacity=Resources.of_instance(instance_type("ml.m5.xlarge")),
        used=Resources(cpu_cores=used, memory_mib=1024 * used),
        copies=copies,
    )


def test_an_instance_has_the_cores_memory_and_gpus_of_its_type() -> None:
    assert Resources.of_instance(instance_type("ml.g5.12xlarge")) == Resources(
        cpu_cores=48, memory_mib=196_608, accelerators=4
    )
    assert Resources.of_instance(instance_type("ml.m5.large")).accelerators == 0


def test_accelerators_that_nobody_has_counted_refuse_nothing() -> None:
    assert Resources.of_instance(instance_type("ml.inf2.xlarge")).accelerators == math.inf


def test_packing_fills_the_fullest_instance_that_has_room() -> None:
    full, half, empty = machine(used=4), machine(used=2), machine()

    assert choose_instance(SMALL, [empty, half, full], "BINPACK") == 1


def test_spreading_takes_the_instance_with_the_fewest_copies() -> None:
    two, one = machine(used=2, copies=2), machine(used=3, copies=1)

    assert choose_instance(SMALL, [two, one], "SPREAD") == 1
    assert choose_instance(SMALL, [two, machine(used=4), one], "SPREAD") == 2


def test_a_copy_that_needs_what_no_instance_has_is_placed_nowhere() -> None:
    gpu = Resources(memory_mib=128, accelerators=1)

    assert choose_instance(gpu, [machine(), machine()], "BINPACK") is None


def test_packing_empties_the_emptiest_instance_first() -> None:
    assert choose_copy([machine(used=3, copies=3), machine(used=1, copies=1)], "BINPACK") == 1
    assert choose_copy([machine(used=3, copies=3), machine(used=1, copies=1)], "SPREAD") == 0
    assert choose_copy([machine(used=3)], "SPREAD") is None


def test_ten_tenths_of_a_core_fit_into_one() -> None:
    used = Resources()
    tenth = Resources(cpu_cores=0.1)
    for _ in range(10):
        assert Occupancy(capacity=Resources(cpu_cores=1), used=used).has_room(tenth)
        used += tenth
    assert not Occupancy(capacity=Resources(cpu_cores=1), used=used).has_room(tenth)


@given(needs=resources, instances=st.lists(occupied(), max_size=6))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_copy_is_placed_exactly_when_some_instance_has_room(
    needs: Resources, instances: list[Occupancy], strategy: Strategy
) -> None:
    chosen = choose_instance(needs, instances, strategy)

    assert (chosen is not None) == any(instance.has_room(needs) for instance in instances)
    if chosen is not None:
        assert instances[chosen].has_room(needs)


@given(instances=st.lists(occupied(), max_size=6))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_copy_leaves_only_where_there_is_one(
    instances: list[Occupancy], strategy: Strategy
) -> None:
    chosen = choose_copy(instances, strategy)

    assert (chosen is not None) == any(instance.copies for instance in instances)
    if chosen is not None:
        assert instances[chosen].copies > 0


@given(copies=st.integers(0, 20))
def test_spreading_over_equal_instances_is_even(copies: int) -> None:
    capacity = Resources(memory_mib=100)
    used, held = [Resources()] * 3, [0] * 3
    for _ in range(copies):
        chosen = choose_instance(
            Resources(memory_mib=1),
            [
                Occupancy(capacity=capacity, used=u, copies=n)
                for u, n in zip(used, held, strict=True)
            ],
            "SPREAD",
        )
        assert chosen is not None
        used[chosen] += Resources(memory_mib=1)
        held[chosen] += 1

    assert max(held) - min(held) <= 1
