from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarking.errors import BenchmarkError
from benchmarking.journal import JOURNAL_FILE, Journal, Thing, state_folder


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def begun(folder: Path) -> Journal:
    folder.mkdir(exist_ok=True)
    return Journal.start(run_id="r1", folder=folder, region="us-east-1", url="http://x")


def test_what_is_announced_is_on_disk_in_both_places_before_anything_else(tmp_path: Path) -> None:
    journal = begun(tmp_path / "out")

    journal.announce("endpoint-config", "c")
    journal.announce("endpoint", "e")

    for path in (tmp_path / "out" / JOURNAL_FILE, state_folder() / "r1.jsonl"):
        assert Journal.read(path).things == (Thing("endpoint", "e"), Thing("endpoint-config", "c"))


def test_what_is_removed_is_gone_and_an_empty_journal_is_dropped(tmp_path: Path) -> None:
    journal = begun(tmp_path / "out")
    thing = journal.announce("endpoint", "e")
    journal.close()
    assert (state_folder() / "r1.jsonl").exists()

    Journal.read(state_folder() / "r1.jsonl").removed(thing)

    again = Journal.read(tmp_path / "out" / JOURNAL_FILE)
    assert again.things == ()
    again.close()
    assert not (state_folder() / "r1.jsonl").exists()
    assert (tmp_path / "out" / JOURNAL_FILE).exists()


def test_a_line_that_was_cut_short_is_passed_over_and_written_over(tmp_path: Path) -> None:
    journal = begun(tmp_path / "out")
    journal.announce("endpoint", "e")
    path = tmp_path / "out" / JOURNAL_FILE
    with path.open("a") as stream:
        stream.write('{"event": "create", "kind": "end')

    assert Journal.read(path).things == (Thing("endpoint", "e"),)
    Journal.read(path).announce("model", "m")
    assert {thing.name for thing in Journal.read(path).things} == {"e", "m"}


def test_a_run_taken_up_again_knows_what_it_had_created(tmp_path: Path) -> None:
    begun(tmp_path / "out").announce("endpoint", "e")
    (state_folder() / "r1.jsonl").unlink()

    assert begun(tmp_path / "out").things == (Thing("endpoint", "e"),)
    assert Journal.read(state_folder() / "r1.jsonl").things == (Thing("endpoint", "e"),)


def test_a_process_number_that_was_used_again_is_not_taken_for_the_run(tmp_path: Path) -> None:
    begun(tmp_path / "out")
    path = tmp_path / "out" / JOURNAL_FILE
    line = json.loads(path.read_text())
    living = os.getppid()
    path.write_text(json.dumps({**line, "pid": living, "pid_started": "1"}) + "\n")
    assert not Journal.read(path).is_alive

    started = Path(f"/proc/{living}/stat").read_text().rpartition(")")[2].split()[19]
    path.write_text(json.dumps({**line, "pid": living, "pid_started": started}) + "\n")
    assert Journal.read(path).is_alive


def test_nothing_is_created_when_the_journal_cannot_be_written(tmp_path: Path) -> None:
    journal = begun(tmp_path / "out")
    (state_folder() / "r1.jsonl").unlink()
    (state_folder() / "r1.jsonl").mkdir()

    with pytest.raises(BenchmarkError, match="nothing more is created: the journal"):
        journal.announce("endpoint", "e")


def test_another_file_is_not_taken_for_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n')

    with pytest.raises(BenchmarkError, match="is not the journal of a run"):
        Journal.read(path)
