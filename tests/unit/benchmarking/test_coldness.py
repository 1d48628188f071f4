from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarking.coldness import Coldness, Row, slowest
from benchmarking.plan import Placement
from benchmarking.records import Cell

ON_DEMAND = Placement(option="serverless", memory_size_mb=1024, max_concurrency=10)
LOADED = Cell(id="loaded", option="serverless")
GAP = Cell(id="gap", option="serverless", gap_s=600)


def one_after_another(count: int, *, first_s: float = 0.01) -> list[Row]:
    rows = [Row(0.0, first_s, "ok")]
    for _ in range(count - 1):
        rows.append(Row(rows[-1].done_s, rows[-1].done_s + 0.01, "ok"))
    return rows


def test_a_request_beyond_the_environments_there_are_is_cold() -> None:
    rows = [
        Row(0.0, 1.0, "ok"),
        Row(0.5, 1.5, "ok"),  # the first is still under way
        Row(1.2, 1.4, "ok"),  # the first's environment is free
        Row(1.3, 2.0, "throttle"),  # none was started for it
        Row(1.35, 2.0, "ok"),  # two are under way
    ]

    assert Coldness(ON_DEMAND).mark(LOADED, rows) == [None, True, False, None, True]


def test_provisioned_environments_are_warm_from_the_start() -> None:
    placement = Placement(
        option="serverless-provisioned",
        memory_size_mb=1024,
        max_concurrency=10,
        provisioned_concurrency=2,
    )
    rows = [Row(0.0, 1.0, "ok"), Row(0.1, 1.0, "ok"), Row(0.2, 1.0, "ok")]

    assert Coldness(placement).mark(LOADED, rows) == [False, False, True]


def test_the_first_request_is_cold_when_it_is_slower_than_a_hundred_warm_ones() -> None:
    assert Coldness(ON_DEMAND).mark(LOADED, one_after_another(101, first_s=0.5))[0] is True
    assert Coldness(ON_DEMAND).mark(LOADED, one_after_another(101))[0] is None
    assert Coldness(ON_DEMAND).mark(LOADED, one_after_another(50, first_s=0.5))[0] is None


def test_after_a_gap_what_takes_longer_than_every_warm_request_is_cold() -> None:
    coldness = Coldness(ON_DEMAND)
    coldness.mark(LOADED, one_after_another(20))

    rows = [Row(0.0, 0.3, "ok"), Row(0.0, 0.005, "ok"), Row(0.0, 0.3, "model-error")]
    assert coldness.mark(GAP, rows) == [True, False, None]


def test_without_warm_requests_nothing_is_said_after_a_gap() -> None:
    assert Coldness(ON_DEMAND).mark(GAP, [Row(0.0, 9.0, "ok")]) == [None]


def test_options_on_instances_have_no_cold_starts() -> None:
    placement = Placement(option="real-time", instance_type="ml.m5.large", instances=1)

    assert Coldness(placement).mark(LOADED, [Row(0.0, 9.0, "ok")]) == [None]


def test_as_many_are_marked_as_the_service_has_counted() -> None:
    rows = [Row(0.0, 0.1, "ok"), Row(0.0, 0.3, "ok"), Row(0.0, 0.2, "ok"), Row(0, 1, "throttle")]

    assert slowest(rows, 2) == [False, True, True, None]


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.001, 5)), min_size=1, max_size=60))
def test_there_are_as_many_cold_starts_as_requests_were_ever_at_once(
    planned: list[tuple[float, float]],
) -> None:
    """Each environment is started once, and as many are needed as requests overlap at most."""
    rows = [Row(sent, sent + took, "ok") for sent, took in sorted(planned)]
    overlapping = max(sum(a.sent_s <= b.sent_s < a.done_s for a in rows) for b in rows)

    marks = Coldness(ON_DEMAND).mark(LOADED, rows)

    # The first is cold or not, nobody knows; at equal moments the order of the list counts.
    assert marks.count(True) == overlapping - 1
