"""Lines of files with the times at which they were seen."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_runtime.control_plane.log_files import EVENT_BYTES, LogFolder, LogStream
from local_runtime.control_plane.log_filter import FilterPatternError, compile_filter
from local_runtime.logs import cut_large, log_file, open_log

REGION = "us-east-1"
GROUP = "/aws/sagemaker/Endpoints/shop"


class Printed:
    """A container's file, and the stream that reads it; a look at second ``n`` is at 1000 n ms."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.path = log_file(state, REGION, GROUP, "AllTraffic/i-1")
        self._writer = os.fdopen(open_log(self.path), "wb", buffering=0)
        self.stream = LogStream(self.path)

    def print(self, text: str, *, at_s: int) -> None:
        self._writer.write(text.encode())
        self.stream.look(at_s * 1000)

    def cut(self) -> None:
        cut_large(self.state, 0)

    def seen(self) -> list[tuple[int, str]]:
        lines = self.stream.lines(self.stream.begin, self.stream.end)
        return [(line.time_ms // 1000, line.text) for line in lines]

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[Printed]:
    made = Printed(tmp_path)
    yield made
    made.close()


def test_a_line_has_the_time_of_the_look_that_saw_its_beginning(printed: Printed) -> None:
    printed.print("one\ntwo\nthr", at_s=1)
    printed.print("ee\nfour\n", at_s=2)

    assert printed.seen() == [(1, "one"), (1, "two"), (1, "three"), (2, "four")]


def test_a_line_without_its_end_waits_for_it_but_not_for_ever(
    printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed.print("done\nhalf", at_s=10)

    monkeypatch.setattr("time.time", lambda: 10.5)
    assert printed.seen() == [(10, "done")]
    monkeypatch.setattr("time.time", lambda: 12.0)
    assert printed.seen() == [(10, "done"), (10, "half")]


def test_blank_lines_are_no_events(printed: Printed) -> None:
    printed.print("\n  \none\r\n\n", at_s=1)

    assert printed.seen() == [(1, "one")]


def test_a_long_line_becomes_several_events(printed: Printed) -> None:
    printed.print("x" * (2 * EVENT_BYTES + 5) + "\nafter\n", at_s=1)

    sizes = [len(text) for _, text in printed.seen()]
    assert sizes == [EVENT_BYTES, EVENT_BYTES, 5, 5]


def test_what_was_moved_to_make_room_is_still_read(printed: Printed) -> None:
    printed.print("one\ntwo\n", at_s=1)
    printed.cut()
    printed.print("three\n", at_s=2)

    assert printed.seen() == [(1, "one"), (1, "two"), (2, "three")]


def test_after_the_second_move_the_oldest_lines_are_gone_and_places_stay(printed: Printed) -> None:
    printed.print("one\n", at_s=1)
    printed.cut()
    printed.print("two\n", at_s=2)
    place = printed.stream.place_of(2000)
    printed.cut()
    printed.print("three\n", at_s=3)

    assert printed.seen() == [(2, "two"), (3, "three")]
    assert [line.text for line in printed.stream.lines(place, printed.stream.end)] == [
        "two",
        "three",
    ]


def test_a_time_finds_the_first_line_seen_then(printed: Printed) -> None:
    printed.print("one\ntw", at_s=1)
    printed.print("o\nthree\n", at_s=3)
    stream = printed.stream

    def first(time_ms: int) -> str:
        return next(stream.lines(stream.place_of(time_ms), stream.end)).text

    assert first(0) == first(1000) == "one"
    # "two" was begun before: it belongs to the first second.
    assert first(1001) == first(3000) == "three"
    assert stream.place_of(3001) == stream.end


def test_the_lines_before_a_place_end_there(printed: Printed) -> None:
    printed.print("".join(f"line {number}\n" for number in range(100)), at_s=1)

    texts = [line.text for line in printed.stream.lines_before(printed.stream.end, 20)]

    assert texts == ["line 98", "line 99"]


def test_reading_in_pieces_is_reading_the_whole(printed: Printed) -> None:
    generator = random.Random(7)  # noqa: S311 - no secret
    expected = []
    for second in range(1, 200):
        lines = ["é" * generator.randrange(1, 4000) for _ in range(generator.randrange(4))]
        printed.print("".join(f"{line}\n" for line in lines), at_s=second)
        expected += [(second, line) for line in lines]

    assert printed.seen() == expected


def test_a_group_that_was_there_before_has_not_begun(tmp_path: Path) -> None:
    old, new = (
        Printed(tmp_path / "s"),
        log_file(tmp_path / "s", REGION, GROUP, "AllTraffic/i-2/encoder"),
    )
    old.print("before\n", at_s=1)
    began: list[str] = []

    folder = LogFolder(tmp_path / "s/logs", began.append)
    folder.look()
    assert began == []
    assert list(folder.streams(REGION + GROUP)) == ["AllTraffic/i-1"]

    new.parent.mkdir()
    new.write_text("now\n")
    folder.look()
    assert began == [REGION + GROUP]
    assert sorted(folder.streams(REGION + GROUP)) == ["AllTraffic/i-1", "AllTraffic/i-2/encoder"]
    old.close()


def test_an_erased_stream_begins_anew_when_its_container_prints(tmp_path: Path) -> None:
    printed = Printed(tmp_path)
    printed.print("before\n", at_s=1)
    folder = LogFolder(tmp_path / "logs", lambda _: None)

    folder.erase(REGION + GROUP, "AllTraffic/i-1")
    folder.look()
    assert folder.streams(REGION + GROUP) == {}

    printed.print("after\n", at_s=2)
    folder.look()
    stream = folder.streams(REGION + GROUP)["AllTraffic/i-1"]
    assert [line.text for line in stream.lines(0, stream.end)] == ["after"]
    printed.close()


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("", ["ERROR disk full", "error: disk", "WARN 3 retries"]),
        ("ERROR", ["ERROR disk full"]),
        ("disk ERROR", ["ERROR disk full"]),
        ('"disk full"', ["ERROR disk full"]),
        ("?ERROR ?WARN", ["ERROR disk full", "WARN 3 retries"]),
        ("disk -ERROR", ["error: disk"]),
        ("disk ?WARN", ["ERROR disk full", "error: disk"]),
        ("%[0-9] retries%", ["WARN 3 retries"]),
        ("error:", ["error: disk"]),
    ],
)
def test_a_filter_pattern_keeps_lines(pattern: str, kept: list[str]) -> None:
    matches = compile_filter(pattern)

    assert [
        line for line in ("ERROR disk full", "error: disk", "WARN 3 retries") if matches(line)
    ] == kept


@pytest.mark.parametrize("pattern", ['{ $.level = "error" }', "[ip, user]", "%(%"])
def test_a_pattern_that_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(FilterPatternError):
        compile_filter(pattern)
