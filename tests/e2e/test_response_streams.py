"""InvokeEndpointWithResponseStream, as boto3's event stream parser takes it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from .conftest import ECHO, Runtime, wait_until

pytestmark = pytest.mark.e2e


def streaming(steps: str) -> str:
    """A handler of the inference toolkit's kind that yields."""
    return f"""
import pathlib, time

def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    return data

def output_fn(data, accept):
    def pieces():
        {steps}
    return pieces(), accept
"""


def open_stream(runtime: Runtime, name: str, body: bytes = b"x", **more: Any) -> dict[str, Any]:
    more.setdefault("Accept", "text/plain")
    answer: dict[str, Any] = runtime.invoker.invoke_endpoint_with_response_stream(
        EndpointName=name, Body=body, ContentType="text/plain", **more
    )
    return answer


def parts(answer: dict[str, Any]) -> Generator[bytes, None, None]:
    """The pieces of an answer; its connection is closed when no more are wanted."""
    try:
        for event in answer["Body"]:
            yield event["PayloadPart"]["Bytes"]
    finally:
        answer["Body"].close()


def test_each_piece_arrives_while_the_handler_makes_the_next(
    runtime: Runtime, tmp_path: Path
) -> None:
    code = streaming(
        f"""yield "first"
        while not (pathlib.Path({str(tmp_path)!r}) / "go").exists():
            time.sleep(0.01)
        yield b"second" """
    )
    name = runtime.deploy(runtime.handler(code))

    answer = open_stream(runtime, name)
    stream = parts(answer)
    first = next(stream)
    (tmp_path / "go").touch()

    assert first == b"first"
    assert list(stream) == [b"second"]
    assert answer["ContentType"].startswith("text/plain")
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_an_answer_that_comes_whole_is_streamed_too(runtime: Runtime) -> None:
    name = runtime.deploy(runtime.handler(ECHO))
    body = bytes(range(256)) * 4096

    received = list(parts(open_stream(runtime, name, body)))

    assert b"".join(received) == body
    assert len(received) > 1


def test_the_caller_may_name_what_it_accepts_and_its_attributes(runtime: Runtime) -> None:
    name = runtime.deploy(runtime.handler(streaming("yield accept")))

    answer = open_stream(runtime, name, Accept="application/jsonlines", CustomAttributes="a=b")

    assert list(parts(answer)) == [b"application/jsonlines"]
    assert answer["ContentType"] == "application/jsonlines"


def test_a_pipeline_streams_what_its_last_container_says(runtime: Runtime) -> None:
    upper = ECHO.replace("return data\n\ndef output", "return data.upper()\n\ndef output")
    name = runtime.deploy(
        runtime.handler(upper), runtime.handler(streaming("yield data; yield b'!'"))
    )

    assert b"".join(parts(open_stream(runtime, name, b"abc"))) == b"ABC!"


def test_an_error_before_the_first_piece_is_a_model_error(runtime: Runtime) -> None:
    code = streaming("raise ValueError('not today'); yield b''")
    name = runtime.deploy(runtime.handler(code))

    with pytest.raises(ClientError, match="not today") as raised:
        open_stream(runtime, name)

    assert raised.value.response["Error"]["Code"] == "ModelError"


def test_an_error_after_it_breaks_the_stream_off(runtime: Runtime) -> None:
    code = streaming("yield b'so far'; raise ValueError('no further')")
    name = runtime.deploy(runtime.handler(code))
    stream = parts(open_stream(runtime, name))

    assert next(stream) == b"so far"
    with pytest.raises(EventStreamError) as raised:
        next(stream)
    assert raised.value.response["Error"]["Code"] == "ModelStreamError"
    # The worker lives, and so does the endpoint.
    wait_until(lambda: answers(runtime, name))


def test_a_stream_that_takes_too_long_says_so(start_runtime: Any) -> None:
    runtime = start_runtime(settings="[limits]\nstreaming_timeout_s = 3.0")
    name = runtime.deploy(runtime.handler(streaming("yield b'begun'; time.sleep(600)")))
    stream = parts(open_stream(runtime, name))

    assert next(stream) == b"begun"
    with pytest.raises(EventStreamError, match="timed out"):
        next(stream)


def test_a_client_that_does_not_read_makes_the_handler_wait(runtime: Runtime) -> None:
    code = streaming(
        """for _ in range(200):
            yield b"x" * 1_000_000"""
    )
    name = runtime.deploy(runtime.handler(code))
    answer = open_stream(runtime, name)

    received = sum(len(part) for part in parts(answer))

    assert received == 200_000_000


def test_a_client_that_leaves_is_nothing_to_the_next(runtime: Runtime) -> None:
    code = streaming(
        """for _ in range(100 if data == b"long" else 1):
            yield b"x" * 1_000_000"""
    )
    name = runtime.deploy(runtime.handler(code))
    answer = open_stream(runtime, name, b"long")
    stream = parts(answer)
    next(stream)
    stream.close()

    assert sum(len(part) for part in parts(open_stream(runtime, name, b"short"))) == 1_000_000


def test_target_model_is_refused(runtime: Runtime) -> None:
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - boto3 has no such parameter
    from botocore.httpsession import URLLib3Session  # noqa: PLC0415

    name = runtime.deploy(runtime.handler(ECHO))
    request = AWSRequest(
        "POST",
        f"{runtime.url}/endpoints/{name}/invocations-response-stream",
        headers={"X-Amzn-SageMaker-Target-Model": "a.tar.gz"},
        data=b"x",
    )

    answer = URLLib3Session().send(request.prepare())

    assert answer.status_code == 400
    assert b"does not support TargetModel" in answer.content


def test_a_serverless_environment_streams_as_well(runtime: Runtime) -> None:
    variant = runtime.variant(runtime.handler(streaming("yield b'a'; yield b'b'")))
    del variant["InstanceType"], variant["InitialInstanceCount"]
    variant["ServerlessConfig"] = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    name = runtime.deploy_config(runtime.config_of([variant]))

    assert b"".join(parts(open_stream(runtime, name))) == b"ab"


def answers(runtime: Runtime, name: str) -> bool:
    """Whether a stream can be opened by now."""
    try:
        return next(parts(open_stream(runtime, name))) == b"so far"
    except ClientError:
        return False
