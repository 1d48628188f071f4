from __future__ import annotations

from pathlib import Path

import pytest

from benchmarking.coldness import Row
from benchmarking.errors import RefusedError
from benchmarking.recorder import Recorder
from benchmarking.records import Cell, Outcome, Run, Sample, read_run, read_samples

RUN = Run(
    verb="stability",
    run_id="r",
    state="running",
    started_at="2026-11-20T00:00:00+00:00",
    model_name="m",
    region="us-east-1",
    seed=1,
    arguments={},
    environment={},
    payload_bytes=(1,),
)


def sample(number: int, *, cell: str = "a", took_s: float = 0.1, outcome: Outcome = "ok") -> Sample:
    return Sample(
        cell=cell,
        number=number,
        phase="measure",
        payload=0,
        intended_s=None,
        sent_s=float(number),
        first_byte_s=None,
        done_s=number + took_s,
        status=200,
        outcome=outcome,
        error=None,
        request_bytes=1,
        response_bytes=1,
        cold=None,
    )


def begun(cell: str = "a") -> Cell:
    return Cell(id=cell, option="serverless", started_at="2026-11-20T00:00:01+00:00")


def test_a_folder_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    Recorder.begin(tmp_path, RUN)

    with pytest.raises(RefusedError, match="out must be a folder without a run"):
        Recorder.begin(tmp_path, RUN)


def test_samples_join_the_others_when_their_cell_has_ended_with_their_marks(tmp_path: Path) -> None:
    recorder = Recorder.begin(tmp_path, RUN)
    for number in range(3):
        recorder.sample(sample(number))
    assert not (tmp_path / "samples.jsonl").exists()

    recorder.end_cell(lambda rows: [row.sent_s > 1 for row in rows])
    recorder.sample(sample(0, cell="b"))
    recorder.end_cell(lambda rows: [None] * len(rows))
    recorder.end("complete")

    found = [(each.cell, each.number, each.cold) for each in read_samples(tmp_path)]
    assert found == [("a", 0, False), ("a", 1, False), ("a", 2, True), ("b", 0, None)]
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "samples.jsonl"}


def test_a_killed_run_keeps_the_samples_of_the_cell_that_it_was_at(tmp_path: Path) -> None:
    killed = Recorder.begin(tmp_path, RUN)
    killed.put(begun())
    killed.sample(sample(0))
    killed.close()
    with (tmp_path / "samples.partial.jsonl").open("a") as stream:
        stream.write('{"cell": "a", "numb')

    again = Recorder.again(tmp_path)

    assert [each.number for each in read_samples(tmp_path)] == [0]
    (cell,) = read_run(tmp_path).cells
    assert cell.error == "the program ended while this was measured"
    assert again.finished("a") is None
    assert again.new_id("a") == "a-try2"


def test_a_cell_that_was_finished_at_a_later_try_is_finished(tmp_path: Path) -> None:
    recorder = Recorder.begin(tmp_path, RUN)
    recorder.put(Cell(id="a", option="serverless", error="cut", finished_at="t"))
    recorder.put(Cell(id="a1", option="serverless", finished_at="t"))
    assert recorder.finished("a") is None

    second = Cell(id="a-try2", option="serverless", finished_at="t")
    recorder.put(second)

    assert recorder.finished("a") == second
    assert recorder.latest("a") == second
    assert recorder.new_id("a") == "a-try3"


def test_samples_can_be_marked_again_when_more_is_known(tmp_path: Path) -> None:
    recorder = Recorder.begin(tmp_path, RUN)
    for cell in "ab":
        for number in range(2):
            recorder.sample(sample(number, cell=cell))
        recorder.end_cell(lambda rows: [None] * len(rows))

    def all_cold(rows: object) -> list[bool | None]:
        assert rows == [Row(0.0, 0.1, "ok"), Row(1.0, 1.1, "ok")]
        return [True, True]

    recorder.close()

    recorder.remark({"b": all_cold})

    assert [each.cold for each in read_samples(tmp_path)] == [None, None, True, True]


def test_samples_that_cannot_join_stay_where_they_were(tmp_path: Path) -> None:
    recorder = Recorder.begin(tmp_path, RUN)
    recorder.sample(sample(0))

    def too_few(rows: object) -> list[bool | None]:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        recorder.end_cell(too_few)
    recorder.end("failed")

    assert [each.number for each in read_samples(tmp_path)] == [0]
