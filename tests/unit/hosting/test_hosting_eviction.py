"""Laws of the least-recently-used rule, for any order of use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.eviction import DoesNotFitError, LeastRecentlyUsed

names = st.sampled_from("abcdefgh")
sizes = st.fixed_dictionaries({name: st.integers(0, 6) for name in "abcdefgh"})
steps = st.lists(
    st.tuples(st.sampled_from(["use", "pin", "unpin", "grow", "remove"]), names), max_size=60
)


def use(tier: LeastRecentlyUsed[str], name: str, size: int) -> bool:
    """Serve one request for ``name``; says whether it was there."""
    if name in tier:
        tier.touch(name)
        return True
    tier.admit(name, size)
    return False


def test_the_model_used_longest_ago_leaves_first() -> None:
    tier = LeastRecentlyUsed[str](budget=3)
    for name in "abc":
        tier.admit(name, 1)
    tier.touch("a")

    assert tier.admit("d", 2) == ["b", "c"]
    assert list(tier) == ["a", "d"]


def test_a_model_in_use_stays_though_it_is_the_oldest() -> None:
    tier = LeastRecentlyUsed[str](budget=2)
    tier.admit("a", 1)
    tier.admit("b", 1)
    tier.pin("a")

    assert tier.admit("c", 1) == ["b"]


def test_a_model_is_in_use_until_every_pin_is_taken_back() -> None:
    tier = LeastRecentlyUsed[str](budget=1)
    tier.admit("a", 1)
    tier.pin("a")
    tier.pin("a")
    tier.unpin("a")

    with pytest.raises(DoesNotFitError) as refusal:
        tier.admit("b", 1)

    assert refusal.value.ever
    tier.unpin("a")
    assert tier.admit("b", 1) == ["a"]


def test_what_is_larger_than_the_budget_never_fits_and_evicts_nothing() -> None:
    tier = LeastRecentlyUsed[str](budget=3)
    tier.admit("a", 1)

    with pytest.raises(DoesNotFitError, match="got 4") as refusal:
        tier.admit("b", 4)

    assert not refusal.value.ever
    assert list(tier) == ["a"]


def test_a_model_that_has_grown_drives_out_others_but_not_itself() -> None:
    tier = LeastRecentlyUsed[str](budget=4)
    tier.admit("a", 1)
    tier.admit("b", 1)

    assert tier.resize("a", 4) == ["b"]
    assert tier.used == 4


def test_a_model_without_size_fits_into_a_budget_of_0() -> None:
    tier = LeastRecentlyUsed[str](budget=0)

    assert tier.admit("a", 0) == []


@pytest.mark.parametrize("wrong", [-1])
def test_sizes_and_budgets_below_0_are_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"got {wrong}"):
        LeastRecentlyUsed[str](budget=wrong)
    with pytest.raises(ValueError, match=f"got {wrong}"):
        LeastRecentlyUsed[str](budget=1).admit("a", wrong)


@given(steps=steps, size=sizes, budget=st.integers(0, 12))
def test_the_budget_is_exceeded_only_by_what_is_in_use_and_has_grown(
    steps: list[tuple[str, str]], size: dict[str, int], budget: int
) -> None:
    tier = LeastRecentlyUsed[str](budget)
    pins = dict.fromkeys("abcdefgh", 0)
    for verb, name in steps:
        before = set(tier)
        evicted: list[str] = []
        grown = None
        if verb == "use" and name not in tier:
            try:
                evicted = tier.admit(name, size[name])
            except DoesNotFitError:
                assert set(tier) == before
        elif verb == "use":
            tier.touch(name)
        elif verb == "pin" and name in tier:
            tier.pin(name)
            pins[name] += 1
        elif verb == "unpin" and pins[name] > 0:
            tier.unpin(name)
            pins[name] -= 1
        elif verb == "grow" and name in tier:
            grown = name
            evicted = tier.resize(name, size[name] + 3)
        elif verb == "remove" and name in tier:
            tier.remove(name)
            pins[name] = 0

        assert not any(pins[victim] for victim in evicted)
        assert set(evicted).isdisjoint(tier)
        assert tier.used == sum(tier.size(held) for held in tier)
        if grown is None and tier.used > tier.budget:
            over = tier.shrink()
            assert not any(pins[victim] for victim in over)
        if tier.used > tier.budget:
            assert all(pins[held] or held == grown for held in tier)


@given(trace=st.lists(names, max_size=120), budget=st.integers(1, 7))
def test_a_larger_budget_holds_all_that_a_smaller_one_does(trace: list[str], budget: int) -> None:
    """LRU is a stack algorithm (Mattson 1970), for models of one size."""
    small, large = LeastRecentlyUsed[str](budget), LeastRecentlyUsed[str](budget + 1)
    for name in trace:
        hit_small, hit_large = use(small, name, 1), use(large, name, 1)

        assert hit_large or not hit_small
        assert set(small) <= set(large)


@given(trace=st.lists(names, max_size=120), budget=st.integers(1, 8))
def test_what_was_used_last_is_what_is_there(trace: list[str], budget: int) -> None:
    tier = LeastRecentlyUsed[str](budget)
    for name in trace:
        use(tier, name, 1)

    assert list(tier) == list(dict.fromkeys(reversed(trace)))[:budget][::-1]
