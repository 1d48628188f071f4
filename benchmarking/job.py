"""A benchmark without anybody at the keyboard: inputs from S3, results to S3, safe to stop.

What ``constructs_lib.BenchmarkJob`` runs in a container::

    python -m benchmarking.job --results s3://bucket/results/ --run first \
        compare --model-name digits --payloads s3://bucket/payloads/digits.jsonl --rate 20

The journal of what was created is copied to S3 as it grows, and everything else at the end, so that
``python -m benchmarking.job --results … --run first --clean`` can remove what a run has left whose
container was killed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from benchmarking.errors import DONE, FAILED
from benchmarking.journal import JOURNAL_FILE

# How a state machine names the run.
RUN_VARIABLE: Final = "BENCHMARK_RUN"
_BENCHMARK: Final = (sys.executable, "-m", "benchmarking")
# What a container that is killed without a warning may have created unseen.
_COPY_PERIOD_S: Final = 1.0
# What talking to S3 raises; uploads have an error of their own.
_TROUBLE: Final = (Boto3Error, BotoCoreError, ClientError)


def main(arguments: Sequence[str] | None = None, *, s3: Any = None) -> int:
    """Run one benchmark, or remove what one has left; return its exit code."""
    options, verb = _parser().parse_known_args(arguments)
    if not options.run:
        _parser().error(f"run must be named, by --run or {RUN_VARIABLE}")
    if options.clean == bool(verb):
        _parser().error(
            "supply either a verb of python -m benchmarking or --clean, got both or none"
        )
    if options.region is not None:
        os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = options.region
    place = _Place(boto3.client("s3") if s3 is None else s3, options.results, options.run)
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        folder = Path(work) / "run"
        try:
            if options.clean:
                return _clean(place, folder)
            return _measure(place, folder, _with_local_payloads(place, Path(work), verb))
        except _TROUBLE as error:
            sys.stderr.write(f"benchmarking.job: {error}\n")
            return FAILED


class _Place:
    """A run's folder in S3."""

    def __init__(self, s3: Any, results: str, run: str) -> None:
        parts = urlsplit(results)
        if parts.scheme != "s3" or not parts.netloc:
            raise SystemExit(f"results must look like s3://bucket/prefix/, got {results}")
        self._s3 = s3
        self.bucket = parts.netloc
        self._prefix = f"{parts.path.strip('/')}/{run}/".removeprefix("/")

    def put(self, folder: Path, path: Path) -> None:
        """Copy a file of the run's folder."""
        key = self._prefix + path.relative_to(folder).as_posix()
        self._s3.upload_file(str(path), self.bucket, key)

    def put_all(self, folder: Path) -> None:
        """Copy the whole folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(folder, path)

    def get(self, name: str, target: Path) -> bool:
        """Fetch a file of the run's folder; whether there is one."""
        return self.fetch(f"s3://{self.bucket}/{self._prefix}{name}", target)

    def fetch(self, url: str, target: Path) -> bool:
        """Fetch any object; whether there is one."""
        parts = urlsplit(url)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._s3.download_file(parts.netloc, parts.path.removeprefix("/"), str(target))
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
                raise
            return False
        return True


def _measure(place: _Place, folder: Path, verb: Sequence[str]) -> int:
    with _copied(place, folder):
        code = _run([*_BENCHMARK, *verb, "--out", str(folder), "--quiet"])
    place.put_all(folder)
    return code


def _clean(place: _Place, folder: Path) -> int:
    if not place.get(JOURNAL_FILE, folder / JOURNAL_FILE):
        sys.stdout.write("the run has no journal: it has created nothing\n")
        return DONE
    code = _run([*_BENCHMARK, "clean", str(folder)])
    place.put(folder, folder / JOURNAL_FILE)
    return code


def _run(command: Sequence[str]) -> int:
    """Run a program; the wish to end is handed to it as Ctrl-C, which lets it clean up."""
    # A group of its own: what stops this program must reach the other once, through us.
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own program

    def stop(_number: int, _frame: FrameType | None) -> None:
        process.send_signal(signal.SIGINT)

    with _handling((signal.SIGTERM, signal.SIGINT), stop):
        return process.wait()


@contextmanager
def _handling(
    signals: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def _copied(place: _Place, folder: Path) -> Iterator[None]:
    """Keep the journal's copy fresh while the block runs."""
    done = threading.Event()
    journal = folder / JOURNAL_FILE

    def keep() -> None:
        size = -1
        while not done.wait(_COPY_PERIOD_S):
            if journal.is_file() and journal.stat().st_size != size:
                size = journal.stat().st_size
                try:
                    place.put(folder, journal)
                except _TROUBLE as error:
                    size = -1
                    sys.stderr.write(f"benchmarking.job: the journal was not copied: {error}\n")

    thread = threading.Thread(target=keep, name="journal")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _with_local_payloads(place: _Place, work: Path, verb: Sequence[str]) -> list[str]:
    answer = list(verb)
    for at, argument in enumerate(verb):
        url = argument.removeprefix("--payloads=")
        is_value = at > 0 and verb[at - 1] == "--payloads"
        if url.startswith("s3://") and (is_value or url != argument):
            local = work / "payloads.jsonl"
            if not place.fetch(url, local):
                raise SystemExit(f"payloads must be an object that exists, got {url}")
            answer[at] = argument.replace(url, str(local))
    return answer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarking.job",
        description="Run a verb of python -m benchmarking with inputs and results in S3.",
        allow_abbrev=False,
    )
    parser.add_argument("--results", required=True, metavar="S3-URL", help="runs are put below it")
    parser.add_argument(
        "--run", default=os.environ.get(RUN_VARIABLE), help=f"its name (default: {RUN_VARIABLE})"
    )
    parser.add_argument("--region", help="of the endpoints and the bucket")
    parser.add_argument("--work", type=Path, metavar="DIR", help="for files while it runs")
    parser.add_argument("--clean", action="store_true", help="remove what the run has left")
    return parser


if __name__ == "__main__":
    sys.exit(main())
