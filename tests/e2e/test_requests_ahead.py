"""A quick worker gets requests before it is done; it may die with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.e2e

MORTAL = """
import os, time

def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    if data == "die":
        time.sleep(0.5)  # until the others have come
        os._exit(1)
    return data

def output_fn(data, accept):
    return data, "text/plain"
"""


def test_only_the_request_that_kills_the_worker_fails(runtime: Any) -> None:
    name = runtime.deploy(runtime.handler(MORTAL))
    for _ in range(5):
        runtime.invoke(name, "live", ContentType="text/csv")

    def answer(body: str) -> str:
        try:
            answer = runtime.invoke(name, body, ContentType="text/csv")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return str(answer["Body"].decode())

    # As many as may wait in this runtime: requests in front of the fatal one and behind it.
    bodies = [f"live {number}" for number in range(8)]
    bodies[4] = "die"
    with ThreadPoolExecutor(len(bodies)) as threads:
        answers = list(threads.map(answer, bodies))

    assert answers.pop(4) == "ModelError"
    assert answers == [body for body in bodies if body != "die"]
