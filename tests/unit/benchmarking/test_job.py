"""The job around a benchmark: its arguments, and S3 that does not do as it should.

What it does with a real run is tested in ``tests/e2e/test_benchmark_policy.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from benchmarking import job
from benchmarking.errors import FAILED

PLACE = ("--results", "s3://bucket/results/", "--run", "first")


class Store:
    """S3 with these objects, by their URL."""

    def __init__(self, objects: dict[str, str], *, refuses: bool = False) -> None:
        self.objects = objects
        self.refuses = refuses

    def download_file(self, bucket: str, key: str, target: str) -> None:
        if self.refuses:
            raise ClientError({"Error": {"Code": "403", "Message": "denied"}}, "HeadObject")
        url = f"s3://{bucket}/{key}"
        if url not in self.objects:
            raise ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "HeadObject")
        Path(target).write_text(self.objects[url])

    def upload_file(self, source: str, bucket: str, key: str) -> None:
        if self.refuses:
            raise S3UploadFailedError("denied")
        self.objects[f"s3://{bucket}/{key}"] = Path(source).read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--results", "s3://b/", "stability"], "run must be named, by --run or BENCHMARK_RUN"),
        ([*PLACE], "supply either a verb of python -m benchmarking or --clean"),
        ([*PLACE, "--clean", "stability"], "supply either a verb"),
        (["stability"], "the following arguments are required: --results"),
    ],
)
def test_arguments_that_make_no_job_are_refused(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(job.RUN_VARIABLE, raising=False)

    with pytest.raises(SystemExit) as stopped:
        job.main(arguments, s3=Store({}))

    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_results_must_be_in_s3() -> None:
    with pytest.raises(SystemExit, match="results must look like s3://bucket/prefix/, got folder"):
        job.main(["--results", "folder", "--run", "a", "stability"], s3=Store({}))


@pytest.mark.parametrize(
    "given",
    [["--payloads", "s3://bucket/payloads/no.jsonl"], ["--payloads=s3://bucket/payloads/no.jsonl"]],
)
def test_payloads_that_are_not_there_are_named(given: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"object that exists, got s3://bucket/payloads/no\.jsonl"):
        job.main([*PLACE, "--work", str(tmp_path), "stability", *given], s3=Store({}))


def test_a_store_that_refuses_is_one_line_and_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store({}, refuses=True)
    given = ["--payloads", "s3://bucket/payloads/few.jsonl"]

    code = job.main([*PLACE, "--work", str(tmp_path), "stability", *given], s3=store)

    assert code == FAILED
    assert "benchmarking.job: An error occurred (403)" in capsys.readouterr().err


def test_what_a_run_has_written_is_kept_though_it_failed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stands in for the benchmark; $4 is what --out names.
    monkeypatch.setattr(
        job,
        "_BENCHMARK",
        ("sh", "-c", 'mkdir -p "$4" && echo kept > "$4/samples.jsonl" && exit 1', "benchmark"),
    )
    store = Store({"s3://bucket/payloads/few.jsonl": "{}\n"})
    verb = ["stability", "--payloads=s3://bucket/payloads/few.jsonl"]

    code = job.main([*PLACE, "--work", str(tmp_path), *verb], s3=store)

    assert code == 1
    assert capfd.readouterr().err == ""
    assert store.objects["s3://bucket/results/first/samples.jsonl"] == "kept\n"
    assert list(tmp_path.iterdir()) == []
