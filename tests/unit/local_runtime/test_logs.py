"""Logs on disk."""

from __future__ import annotations

import os
from pathlib import Path

from local_runtime.logs import cut_large, log_file, log_size, open_log, tail


def test_the_layout_is_that_of_the_log_group_and_stream(tmp_path: Path) -> None:
    path = log_file(tmp_path, "eu-west-1", "/aws/sagemaker/Endpoints/e", "AllTraffic/i-1")

    assert path == tmp_path / "logs/eu-west-1/aws/sagemaker/Endpoints/e/AllTraffic/i-1.log"


def test_the_tail_is_the_last_lines_since_a_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    since = log_size(log)
    log.write_text("before\n" + "".join(f"line {number}\n\n" for number in range(100)))

    assert tail(log, since=since, lines=2) == ["line 98", "line 99"]
    assert len(tail(log, since=since)) == 20
    assert tail(log, since=log_size(log)) == []


def test_the_tail_of_a_log_that_was_cut_meanwhile_is_what_is_left(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("short\n")

    assert tail(log, since=10_000) == ["short"]


def test_the_tail_of_no_log_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "gone") == []


def test_bytes_that_are_no_text_do_not_hide_the_lines_around_them(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\xff\xfe\nlast\n")

    assert tail(log)[-1] == "last"


def test_a_large_log_is_moved_and_its_writers_go_on(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "deep" / "one.log"
    writer = open_log(log)
    os.write(writer, b"x" * 100)

    cut_large(tmp_path, 99)
    os.write(writer, b"after")
    os.close(writer)

    assert log.read_bytes() == b"after"
    assert log.with_name("one.log.1").read_bytes() == b"x" * 100


def test_a_small_log_stays(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "one.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * 100)

    cut_large(tmp_path, 100)

    assert log_size(log) == 100
