"""What ``python -m benchmarking`` does with bad input, and with a world that breaks."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .benchmark import Bench, create_model, new_bench, record, samples
from .conftest import PATIENCE_S, wait_until

pytestmark = pytest.mark.e2e

FAILING = """
def model_fn(model_dir):
    raise RuntimeError("the weights are torn")
"""
# Long enough to be interrupted in, short enough to be waited for.
LONG = ("--rate", "40", "--duration", "60")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A runtime of this module's own, a model and payloads."""
    started = new_bench(tmp_path_factory)
    yield started
    started.runtime.stop()


def started(bench: Bench, out: Path, *more: str) -> subprocess.Popen[str]:
    """A benchmark that is under way: some of its requests have been answered."""
    process = subprocess.Popen(
        bench.command("stability", *bench.subject(out), "--no-metrics", *more),
        cwd=bench.repository,
        env=dict(bench.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    partial = out / "samples.partial.jsonl"
    wait_until(lambda: partial.exists() and partial.stat().st_size > 0)
    return process


def endpoint_of(bench: Bench) -> str:
    """The benchmark's one endpoint."""
    listed = bench.runtime.sagemaker.list_endpoints(NameContains="bench-")["Endpoints"]
    assert len(listed) == 1
    name: str = listed[0]["EndpointName"]
    return name


def test_a_model_that_is_not_there_is_named_with_those_that_are(bench: Bench) -> None:
    out = bench.out()
    subject = ["--model-name", "absent", "--payloads", str(bench.payloads), "--out", str(out)]

    done = bench("stability", *subject)

    assert done.returncode == 1
    assert "model_name must be a model of us-east-1, got absent" in done.stderr
    assert bench.model in done.stderr
    assert not out.exists()


def test_a_memory_size_that_does_not_exist_names_those_that_do(bench: Bench) -> None:
    done = bench("stability", *bench.subject(bench.out()), "--memory-sizes", "1000")

    assert done.returncode == 2
    assert "must be one of 1024, 2048, 3072, 4096, 5120, 6144, got 1000" in done.stderr


def test_every_broken_line_of_the_payloads_is_named(bench: Bench) -> None:
    payloads = bench.folder / "broken.jsonl"
    payloads.write_text('{"body": "1"}\n\n{"body": 1}\n{"body_base64": "?"}\n{"body": "@gone"}\n')
    subject = ["--model-name", bench.model, "--payloads", str(payloads)]

    done = bench("stability", *subject, "--out", str(bench.out()))

    assert done.returncode == 1
    faults = ("line 2: empty", "line 3: body must", "line 4: body_base64", "line 5: body file")
    for fault in faults:
        assert fault in done.stderr


def test_a_payload_beyond_an_options_limit_rules_that_option_out(bench: Bench) -> None:
    (bench.folder / "large.bin").write_bytes(bytes(5 * 1024 * 1024))
    payloads = bench.folder / "large.jsonl"
    payloads.write_text('{"body": "@large.bin"}\n')
    subject = ["--model-name", bench.model, "--payloads", str(payloads)]

    alone = bench("stability", *subject, "--out", str(bench.out()))
    among_others = bench("compare", *subject, "--out", str(bench.out()), "--dry-run")

    assert alone.returncode == 1
    assert "4194304 bytes at most, the payload of line 1 has 5242880" in alone.stderr
    assert among_others.returncode == 0
    assert "serverless-1024mb-c5" in among_others.stdout
    assert "not possible: a request may have 4194304 bytes" in among_others.stdout


def test_without_credentials_one_sentence_says_so(bench: Bench) -> None:
    bench.more = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    try:
        done = bench("stability", *bench.subject(bench.out()))
    finally:
        bench.more = {}

    assert done.returncode == 1
    assert done.stderr.startswith("python -m benchmarking: no AWS credentials are found")
    assert len(done.stderr.splitlines()) == 1


def test_endpoints_that_fail_to_be_created_are_recorded_and_removed(bench: Bench) -> None:
    out = bench.out()
    failing = create_model(bench.runtime, FAILING)
    subject = ["--model-name", failing, "--payloads", str(bench.payloads), "--out", str(out)]

    done = bench("stability", *subject, "--memory-sizes", "1024", "2048")

    assert done.returncode == 1
    run = record(out)
    assert run["state"] == "complete"
    assert len(run["cells"]) == 2
    for cell in run["cells"]:
        assert cell["error"].startswith("the endpoint is Failed: ")
    assert bench.left() == []


def test_an_endpoint_that_is_deleted_keeps_what_was_measured_of_it(bench: Bench) -> None:
    out = bench.out()
    process = started(bench, out, *LONG, "--memory-sizes", "1024", "--give-up-after", "20")

    bench.runtime.sagemaker.delete_endpoint(EndpointName=endpoint_of(bench))
    _, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 1
    (cell,) = record(out)["cells"]
    assert cell["error"] == "the endpoint was deleted by somebody while it was measured"
    assert cell["error"] in errors
    assert any(sample["outcome"] == "ok" for sample in samples(out))
    assert bench.left() == []


def test_an_interrupt_keeps_what_was_measured_and_removes_the_rest(bench: Bench) -> None:
    out = bench.out()
    process = started(bench, out, *LONG, "--memory-sizes", "1024", "2048")

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    run = record(out)
    assert run["state"] == "interrupted"
    assert [cell["error"] for cell in run["cells"]] == ["interrupted by the user"]
    assert samples(out)
    assert (out / "report.html").exists()
    assert bench.left() == []


def test_a_second_interrupt_does_not_keep_anything_from_being_removed(bench: Bench) -> None:
    out = bench.out()
    process = started(bench, out, *LONG, "--memory-sizes", "1024", "2048")

    process.send_signal(signal.SIGINT)
    wait_until(lambda: record(out)["cells"][0]["finished_at"])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    assert record(out)["state"] == "interrupted"
    assert bench.left() == []


def test_what_a_killed_run_has_left_is_cleaned_and_the_run_goes_on(bench: Bench) -> None:
    out = bench.out()
    short = ("--rate", "40", "--duration", "10", "--memory-sizes", "1024")
    process = started(bench, out, *short)
    process.kill()
    process.communicate()
    assert len(bench.left()) == 2

    shown = bench("clean", "--dry-run")
    assert shown.stdout.count("would be removed: ") == 2
    assert len(bench.left()) == 2

    cleaned = bench("clean")
    assert cleaned.returncode == 0, cleaned.stderr
    assert bench.left() == []
    assert bench("clean").stdout == "nothing to remove\n"

    resumed = bench("resume", str(out))
    assert resumed.returncode == 0, resumed.stderr
    run = record(out)
    assert run["state"] == "complete"
    cut, whole = run["cells"]
    assert cut["error"] == "the program ended while this was measured"
    assert (whole["id"], whole["error"]) == (f"{cut['id']}-try2", None)
    assert {sample["cell"] for sample in samples(out)} == {cut["id"], whole["id"]}
    assert bench("resume", str(out)).returncode == 1
    assert bench.left() == []


def test_things_are_found_by_their_tags_when_their_journal_is_lost(bench: Bench) -> None:
    out = bench.out()
    process = started(bench, out, *LONG, "--memory-sizes", "1024")
    bystander = bench.runtime.deploy_config(
        bench.runtime.config(bench.runtime.handler("def model_fn(model_dir):\n    return None\n"))
    )
    process.kill()
    process.communicate()
    for journal in (bench.folder / "state").rglob("*.jsonl"):
        journal.unlink()

    assert bench("clean").stdout == "nothing to remove\n"
    assert bench("clean", "--older-than", "2h").stdout == "nothing to remove\n"
    assert bench("clean", "--older-than", "0s").returncode == 0

    assert bench.left() == []
    assert bench.runtime.settled(bystander)["EndpointStatus"] == "InService"
    bench.runtime.sagemaker.delete_endpoint(EndpointName=bystander)


def test_a_full_disk_ends_the_run_with_everything_removed(bench: Bench) -> None:
    out = bench.out()

    process = started(bench, out, "--rate", "400", "--duration", "60", "--memory-sizes", "1024")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (120_000, 120_000))
    _, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 1
    assert "cannot be written: File too large" in errors
    assert "resume" in errors
    assert bench.left() == []
    assert json.loads((out / "run.json").read_text())["state"] == "failed"


def test_an_out_folder_with_a_run_is_not_written_over(bench: Bench) -> None:
    out = bench.out()
    out.mkdir()
    (out / "run.json").write_text("{}")

    done = bench("stability", *bench.subject(out))

    assert done.returncode == 1
    assert f"out must be a folder without a run, got {out}" in done.stderr
    assert (out / "run.json").read_text() == "{}"
    assert [path.name for path in out.iterdir()] == ["run.json"]
