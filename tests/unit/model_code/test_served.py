"""The handlers behind the program that serves them on a laptop: a process each, over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model_code import digit_reader, photo_themes, regional_prices, summarizer, tumor_screening
from model_code.handler import Handler

if TYPE_CHECKING:
    from tests.unit.model_code.conftest import Answer

HOST = Path(__file__).parents[3] / "local_runtime" / "handler_host"
START_S = 120.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=START_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Served:
    """A handler in a process of its own."""

    def __init__(self, path: str, answer: type[Answer]) -> None:
        self._path = path
        self._answer = answer

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        with contextlib.closing(_UnixConnection(self._path)) as connection:
            connection.request(method, path, body, {} if headers is None else dict(headers))
            response = connection.getresponse()
            return self._answer(
                response.status, response.headers.get("Content-Type", ""), response.read()
            )

    def invoke(self, body: str | bytes, content_type: str, accept: str = "*/*") -> Answer:
        content = body.encode() if isinstance(body, str) else body
        return self.request(
            "POST", "/invocations", content, {"Content-Type": content_type, "Accept": accept}
        )


@pytest.fixture(scope="module")
def serve(
    assemble: Callable[[Handler], Path], answer_type: type[Answer]
) -> Iterator[Callable[[Handler, str], Served]]:
    with contextlib.ExitStack() as started:

        def start(handler: Handler, stack: str) -> Served:
            model_dir = assemble(handler)
            # A path of a unix socket has 107 bytes at most, which pytest's own folders may exceed.
            folder = started.enter_context(tempfile.TemporaryDirectory())
            path = f"{folder}/s"
            arguments = ["--socket", path, "--stack", stack, "--model-dir", str(model_dir)]
            process = subprocess.Popen(
                [sys.executable, str(HOST), *arguments],
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": folder,
                    "SAGEMAKER_PROGRAM": "inference.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                },
            )
            started.callback(process.wait)
            started.callback(process.kill)
            served = Served(path, answer_type)
            deadline = time.monotonic() + START_S
            while True:
                assert process.poll() is None, f"the handler host ended with {process.returncode}"
                try:
                    assert served.request("GET", "/ping").status == 200
                except (FileNotFoundError, ConnectionRefusedError):
                    assert time.monotonic() < deadline, "the handler host never answered a ping"
                    time.sleep(0.02)
                else:
                    return served

        yield start


def through(served: list[Served], body: str | bytes, content_type: str) -> Answer:
    answer = served[0].invoke(body, content_type)
    for container in served[1:]:
        if answer.status != 200:
            break
        answer = container.invoke(answer.body, answer.content_type)
    return answer


def test_tumours_are_screened_alike_by_three_processes_and_by_one(
    serve: Callable[[Handler, str], Served],
) -> None:
    pipeline = [
        serve(tumor_screening.PREPROCESS, "scikit-learn"),
        serve(tumor_screening.CLASSIFY, "xgboost"),
        serve(tumor_screening.REPORT, "scikit-learn"),
    ]
    single = serve(tumor_screening.SINGLE, "xgboost")
    samples = tumor_screening.PREPROCESS.model_files.parent / "samples"

    for name, content_type in [
        ("measurements.csv", "text/csv"),
        ("measurements.json", "application/json"),
    ]:
        body = (samples / name).read_bytes()
        answer = through(pipeline, body, content_type)
        assert [row["label"] for row in json.loads(answer.body)] == [
            "malignant",
            "malignant",
            "benign",
            "benign",
        ]
        assert single.invoke(body, content_type) == answer

    refused = through(pipeline, "1,2,abc", "text/csv")
    assert refused.status == 400
    assert "row 1, column mean_perimeter: must be a number" in json.loads(refused.body)["error"]
    assert single.invoke("1,2,abc", "text/csv") == refused
    assert pipeline[0].invoke(b"", "image/png").status == 415
    assert pipeline[0].invoke(body, content_type, "text/csv").content_type == (
        "text/csv; charset=utf-8"
    )


def test_a_house_is_priced_by_three_processes(serve: Callable[[Handler, str], Served]) -> None:
    pipeline = [
        serve(regional_prices.FEATURES, "scikit-learn"),
        # Workers of a multi-model container use sagemaker-inference, whatever the framework.
        serve(regional_prices.ESTIMATES["austin-tx"], "inference"),
        serve(regional_prices.PRICE, "scikit-learn"),
    ]
    samples = regional_prices.FEATURES.model_files.parent / "samples"

    answer = through(pipeline, (samples / "house.csv").read_bytes(), "text/csv")

    (price,) = json.loads(answer.body)
    assert price["city"] == "Austin, TX"
    assert price["low_usd"] < price["price_usd"] < price["high_usd"]
    assert through(pipeline, (samples / "house.json").read_bytes(), "application/json") == answer


def test_a_picture_of_a_digit_is_read_by_a_process(
    serve: Callable[[Handler, str], Served],
) -> None:
    reader = serve(digit_reader.READER, "scikit-learn")
    samples = digit_reader.READER.model_files.parent / "samples"

    picture = reader.invoke((samples / "7.png").read_bytes(), "image/png")
    array = reader.invoke(
        (samples / "digits.npy").read_bytes(), "application/x-npy", "application/x-npy"
    )

    assert json.loads(picture.body)["predictions"][0]["digit"] == 7
    assert array.content_type == "application/x-npy"
    assert array.body.startswith(b"\x93NUMPY")


def test_an_album_gets_its_themes_from_three_processes(
    serve: Callable[[Handler, str], Served],
) -> None:
    steps = (photo_themes.GATE, photo_themes.RECOGNIZE, photo_themes.THEMES)
    pipeline = [serve(step, "scikit-learn") for step in steps]
    album = photo_themes.GATE.model_files.parent / "samples" / "album.json"

    answer = through(pipeline, album.read_bytes(), "application/json")

    assert json.loads(answer.body)["themes"][0]["theme"] == "sightseeing"


def test_an_article_is_summarised_by_a_process(serve: Callable[[Handler, str], Served]) -> None:
    container = serve(summarizer.EXTRACTIVE, "huggingface")
    article = summarizer.EXTRACTIVE.model_files.parent / "samples" / "article.json"

    answer = container.invoke(article.read_bytes(), "application/json")
    refused = container.invoke(b"{}", "application/json")

    assert answer.content_type == "application/json"
    assert json.loads(answer.body)[0]["method"] == "textrank"
    assert refused.status == 400
    assert b"the body must be" in refused.body
