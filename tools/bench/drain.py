"""How fast an asynchronous endpoint works off its queue, beside what the object store can do.

Each request is an object that is read and an object that is written. The store's own rate is that
of the same pairs, sent straight to it.
"""

from __future__ import annotations

import http.client
import io
import queue
import statistics
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from tools.bench import page
from tools.bench.ours import BUCKET, IMAGE, ON_ONE_INSTANCE, Runtime, runtime
from tools.bench.subjects import BUILD

HEADING: Final = "Working off an asynchronous queue"
_NAME: Final = "drain"
_AT_ONCE: Final = 8
_TIMEOUT_S: Final = 600.0
_BODY: Final = b"0.5,-1.25,3.75,2.0,0.125,-0.5,1.5,2.5,-3.0,4.0"

# Waits for the file that the environment names: until then the queue only grows.
_HANDLER: Final = """\
import os, time

def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    while not os.path.exists(os.environ["GO"]):
        time.sleep(0.01)
    return data

def predict_fn(data, model):
    return data

def output_fn(data, accept):
    return data
"""


def main(*, quick: bool) -> int:
    """Measure and write; the exit code."""
    BUILD.mkdir(parents=True, exist_ok=True)
    rounds, requests = (2, 500) if quick else (5, 2000)
    drained: list[float] = []
    stored: list[float] = []
    with tempfile.TemporaryDirectory() as folder, runtime(BUILD / "drain") as started:
        go = Path(folder) / "go"
        _deploy(started, go)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            go.unlink(missing_ok=True)
            drained.append(_drain(started, go, f"round-{number}", requests))
            stored.append(_store(started, f"round-{number}", requests))
    command = "python -m tools.bench drain" + (" --quick" if quick else "")
    ratios = [ours / store for ours, store in zip(drained, stored, strict=True)]
    rows = [
        ["the endpoint works off", page.spread(drained, 0)],
        ["the object store alone: the same reads and writes", page.spread(stored, 0)],
    ]
    section = f"""\
{requests:,} requests wait before a handler that returns what it gets; each reads an object of
{len(_BODY)} bytes and writes one, {_AT_ONCE} at a time. Beside it the same reads and writes, sent
to the object store by {_AT_ONCE} threads; nothing else is done meanwhile. {rounds} rounds in turns.
{page.machine(command)}

{page.table(("", "objects read and written per second"), rows)}

The endpoint reaches {statistics.median(ratios):.0%} of the store's own rate
({min(ratios):.0%} to {max(ratios):.0%})."""
    page.put_section(HEADING, section)
    print(section)
    return 0


def _deploy(started: Runtime, go: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(_HANDLER)
        tar.addfile(member, io.BytesIO(_HANDLER.encode()))
    started.client("s3").put_object(Bucket=BUCKET, Key="drain.tar.gz", Body=packed.getvalue())
    container = {
        "Image": IMAGE,
        "ModelDataUrl": f"s3://{BUCKET}/drain.tar.gz",
        "Environment": {
            "SAGEMAKER_PROGRAM": "inference.py",
            "GO": str(go),
            "SAGEMAKER_MODEL_SERVER_WORKERS": "2",
        },
    }
    asynchronous = {
        "OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/out/"},
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": _AT_ONCE},
    }
    started.create(_NAME, [container], asynchronous=asynchronous, **ON_ONE_INSTANCE)


def _drain(started: Runtime, go: Path, name: str, count: int) -> float:
    """Let requests wait, let them go; how many were answered per second."""
    client = started.client("sagemaker-runtime")
    s3 = started.client("s3")

    def send(number: int) -> str:
        key = f"in/{name}/{number}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=_BODY)
        answer = client.invoke_endpoint_async(
            EndpointName=_NAME, InputLocation=f"s3://{BUCKET}/{key}", ContentType="text/csv"
        )
        location: str = answer["OutputLocation"]
        return location.removeprefix(f"s3://{BUCKET}/")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outputs = list(pool.map(send, range(count)))
    before = len(_outputs(s3).intersection(outputs))
    began_s = time.monotonic()
    go.touch()
    # To list them all takes the store's time, too: only when those that came last are there.
    for key in outputs[-_AT_ONCE:]:
        _await(partial(_exists, s3, key), began_s)
    ended_s = _await(lambda: _outputs(s3).issuperset(outputs), began_s)
    return (count - before) / (ended_s - began_s)


def _await(condition: Callable[[], bool], began_s: float) -> float:
    """Ask until it holds; the moment at which the last question was put."""
    while (asked_s := time.monotonic()) - began_s < _TIMEOUT_S:
        if condition():
            return asked_s
        time.sleep(0.02)
    raise RuntimeError(f"not every request was answered in {_TIMEOUT_S:g} s")


def _exists(s3: Any, key: str) -> bool:
    try:
        s3.head_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        return False
    return True


def _outputs(s3: Any) -> set[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="out/")
    return {entry["Key"] for each in pages for entry in each.get("Contents", [])}


def _store(started: Runtime, name: str, count: int) -> float:
    """Read what the requests read and write what they write; pairs per second."""
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(count):
        numbers.put(number)

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", started.port, timeout=60)
        for number in _taken(numbers):
            content = _exchange(connection, "GET", f"/{BUCKET}/in/{name}/{number}", None)
            _exchange(connection, "PUT", f"/{BUCKET}/copy/{name}/{number}", content)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(_AT_ONCE)]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.monotonic() - began_s)


def _taken(numbers: queue.SimpleQueue[int]) -> Iterator[int]:
    while True:
        try:
            yield numbers.get_nowait()
        except queue.Empty:
            return


def _exchange(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None
) -> bytes:
    connection.request(method, target, body, {"Host": "s3.localhost"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {target} answered {answer.status}: {content[:300]!r}")
    return content
