"""InvokeEndpoint, as boto3 sees it."""

from __future__ import annotations

import http.client
import io
import json
import zipfile
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import ACCOUNT_ID, ECHO, REGION, Runtime

pytestmark = pytest.mark.e2e

LIMIT_BYTES = 25 * 1024 * 1024

_WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

RAISES = """
def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    raise ValueError("column 3 is not a number")
"""


@pytest.fixture(scope="module")
def echo(runtime: Runtime) -> str:
    return runtime.deploy(runtime.handler(ECHO))


@pytest.fixture(scope="module")
def own_server(runtime: Runtime) -> str:
    return runtime.deploy(runtime.handler("", image="tests/own-server:1"))


def refusal(runtime: Runtime, name: str, body: bytes = b"x", **more: Any) -> ClientError:
    with pytest.raises(ClientError) as raised:
        runtime.invoke(name, body, **more)
    return raised.value


def code_and_status(error: ClientError) -> tuple[str, int]:
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def message(error: ClientError) -> str:
    text: str = error.response["Error"]["Message"]
    return text


def test_an_answer_carries_the_body_the_type_and_the_variant(runtime: Runtime, echo: str) -> None:
    answer = runtime.invoke(echo, b"\x00\xff", Accept="application/x-npy")

    assert answer["Body"] == b"\x00\xff"
    assert answer["ContentType"] == "application/x-npy"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_an_empty_body_is_served(runtime: Runtime, echo: str) -> None:
    assert runtime.invoke(echo, b"")["Body"] == b""


def test_a_container_gets_the_headers_of_the_api_and_no_others(
    runtime: Runtime, own_server: str
) -> None:
    answer = runtime.invoke(
        own_server,
        b"1,2",
        ContentType="text/csv; charset=utf-8",
        Accept="application/json;q=0.9, text/csv",
        CustomAttributes="trace=1; unit=mm",
        InferenceId="request-7",
    )

    seen = json.loads(answer["Body"])
    assert seen.pop("Host").startswith("127.0.0.1")
    assert seen == {
        "path": "/invocations",
        "body": "1,2",
        "Content-Type": "text/csv; charset=utf-8",
        "Accept": "application/json;q=0.9, text/csv",
        "Content-Length": "3",
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1; unit=mm",
        "X-Amzn-SageMaker-Inference-Id": "request-7",
    }


def test_a_request_without_accept_reaches_the_container_with_any_type(
    runtime: Runtime, own_server: str
) -> None:
    seen = json.loads(runtime.invoke(own_server, b"x")["Body"])

    assert seen["Accept"] == "*/*"


def test_a_body_at_the_limit_is_served(runtime: Runtime, echo: str) -> None:
    body = bytes(LIMIT_BYTES)

    assert len(runtime.invoke(echo, body)["Body"]) == LIMIT_BYTES


def test_a_body_one_byte_over_the_limit_is_refused(runtime: Runtime, echo: str) -> None:
    error = refusal(runtime, echo, bytes(LIMIT_BYTES + 1))

    assert code_and_status(error) == ("ValidationError", 400)
    assert f"{LIMIT_BYTES + 1} bytes" in message(error)


def test_a_chunked_body_over_the_limit_is_refused(runtime: Runtime, echo: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", runtime.port)
    connection.request(
        "POST",
        f"/endpoints/{echo}/invocations",
        body=(bytes(1024 * 1024) for _ in range(26)),
        encode_chunked=True,
        headers={"Transfer-Encoding": "chunked"},
    )

    answer = connection.getresponse()

    assert answer.status == 400
    assert answer.headers["x-amzn-ErrorType"] == "ValidationError"
    connection.close()


def test_a_chunked_body_is_served(runtime: Runtime, echo: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", runtime.port)
    connection.request(
        "POST",
        f"/endpoints/{echo}/invocations",
        body=iter([b"one ", b"two ", b"three"]),
        encode_chunked=True,
        headers={"Transfer-Encoding": "chunked"},
    )

    assert connection.getresponse().read() == b"one two three"
    connection.close()


def test_an_unknown_endpoint_is_a_validation_error(runtime: Runtime) -> None:
    error = refusal(runtime, "nobody")

    assert code_and_status(error) == ("ValidationError", 400)
    assert message(error) == f"Endpoint nobody of account {ACCOUNT_ID} not found."


def test_an_endpoint_of_another_region_is_not_found(runtime: Runtime, echo: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", runtime.port)
    scope = "Credential=local/20261120/eu-west-1/sagemaker/aws4_request"
    connection.request(
        "POST",
        f"/endpoints/{echo}/invocations",
        body=b"x",
        headers={"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x"},
    )

    assert connection.getresponse().status == 400
    connection.close()


def test_a_target_model_needs_a_multi_model_endpoint(runtime: Runtime, echo: str) -> None:
    error = refusal(runtime, echo, TargetModel="one.tar.gz")

    assert code_and_status(error) == ("ValidationError", 400)
    assert message(error) == (
        f"Endpoint {echo} is not a multi-model endpoint and does not support target model header."
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"TargetVariant": "Other"},
        {"TargetContainerHostname": "first"},
        {"CustomAttributes": "x" * 1025},
        {"ContentType": "x" * 1025},
        {"Accept": "x" * 1025},
        {"InferenceId": "x" * 65},
        {"InferenceComponentName": "component"},
        {"EnableExplanations": "`true`"},
        {"SessionId": "NEW_SESSION"},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_a_parameter_that_the_endpoint_cannot_honour_is_refused(
    runtime: Runtime, echo: str, parameters: dict[str, Any]
) -> None:
    error = refusal(runtime, echo, **parameters)

    assert code_and_status(error) == ("ValidationError", 400)


def test_a_bucket_may_be_called_endpoints(runtime: Runtime) -> None:
    runtime.s3.create_bucket(Bucket="endpoints")
    runtime.s3.put_object(Bucket="endpoints", Key="a/invocations", Body=b"an object")

    found = runtime.s3.get_object(Bucket="endpoints", Key="a/invocations")["Body"].read()

    assert found == b"an object"


@pytest.mark.parametrize(
    "path",
    [
        "/_local_runtime/endpoints",
        "/%5Flocal_runtime/endpoints",
        "//_local_runtime/endpoints",
        "http://localhost/_local_runtime/endpoints",
    ],
)
def test_routes_between_the_planes_are_not_public(runtime: Runtime, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", runtime.port)
    connection.request("GET", path)

    assert connection.getresponse().status in {400, 403}
    connection.close()


def test_an_error_of_the_handler_is_a_model_error(runtime: Runtime) -> None:
    name = runtime.deploy(runtime.handler(RAISES))

    error = refusal(runtime, name)

    assert code_and_status(error) == ("ModelError", 424)
    assert message(error).startswith('Received server error (500) from primary with message "')
    assert message(error).endswith(
        "See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
        f"#logEventViewer:group=/aws/sagemaker/Endpoints/{name} in account {ACCOUNT_ID} for more"
        " information."
    )
    assert error.response["OriginalStatusCode"] == 500
    assert error.response["LogStreamArn"].startswith(
        f"arn:aws:logs:us-east-1:{ACCOUNT_ID}:log-group:/aws/sagemaker/Endpoints/{name}"
    )
    assert "column 3 is not a number" in runtime.log(name)


def test_instances_that_are_as_busy_take_turns(runtime: Runtime) -> None:
    code = ECHO.replace("return data, accept", "import os; return str(os.getpid()), accept")
    name = runtime.deploy(runtime.handler(code), InitialInstanceCount=2)

    answers = {runtime.invoke(name, b"x")["Body"] for _ in range(4)}
    described = runtime.sagemaker.describe_endpoint(EndpointName=name)

    assert len(answers) == 2
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    folder = runtime.state_dir / "logs" / REGION / "aws/sagemaker/Endpoints" / name / "AllTraffic"
    assert len(list(folder.iterdir())) == 2


def test_variants_share_the_traffic_by_weight_unless_one_is_named(runtime: Runtime) -> None:
    def variant(name: str, weight: float) -> dict[str, Any]:
        return runtime.variant(runtime.handler(ECHO), VariantName=name, InitialVariantWeight=weight)

    name = runtime.deploy_config(
        runtime.config_of([variant("Most", 3.0), variant("Some", 1.0), variant("None", 0.0)])
    )

    chosen = Counter(runtime.invoke(name)["InvokedProductionVariant"] for _ in range(200))

    assert set(chosen) == {"Most", "Some"}
    assert 105 <= chosen["Most"] <= 190  # 150 expected; 0.001 % of runs lie outside
    assert runtime.invoke(name, TargetVariant="None")["InvokedProductionVariant"] == "None"


def test_as_many_workers_as_the_model_asks_for_serve_at_once(runtime: Runtime) -> None:
    code = ECHO.replace("return data, accept", "import os; return str(os.getpid()), accept")
    name = runtime.deploy(
        runtime.handler(code, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "3"})
    )

    assert len({runtime.invoke(name, b"x")["Body"] for _ in range(12)}) >= 1
    marked = [c for c in runtime.processes().values() if "handler_host" in c]
    assert len(marked) >= 3


def test_an_endpoint_reads_the_runtime_s_own_s3_and_nothing_of_the_user(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = ECHO.replace(
        "return data, accept", "import json, os; return json.dumps(dict(os.environ)), accept"
    )
    name = runtime.deploy(runtime.handler(code, environment={"MINE": "yes"}))

    environment = json.loads(runtime.invoke(name, b"x", Accept="application/json")["Body"])

    assert environment["MINE"] == "yes"
    assert environment["AWS_ENDPOINT_URL"] == runtime.url
    assert environment["AWS_ACCESS_KEY_ID"] == "local"
    assert "PYTEST_CURRENT_TEST" not in environment
    assert environment["HOME"].startswith(str(runtime.state_dir))


def test_a_container_without_model_data_is_served(runtime: Runtime) -> None:
    own = {"Image": "tests/own-server"}

    assert runtime.invoke(runtime.deploy(own), b"x")["ContentType"] == "application/json"


def test_uncompressed_model_data_is_served(runtime: Runtime) -> None:
    code = ECHO.replace(
        "return None", "return open(model_dir + '/weights/one.txt').read()"
    ).replace("return data\n\ndef output", "return model\n\ndef output")
    runtime.s3.put_object(Bucket="models", Key="plain/code/inference.py", Body=code)
    runtime.s3.put_object(Bucket="models", Key="plain/weights/one.txt", Body="0.25")
    source = {
        "S3Uri": "s3://models/plain/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    container = runtime.handler(ECHO)
    del container["ModelDataUrl"]

    name = runtime.deploy({**container, "ModelDataSource": {"S3DataSource": source}})

    assert runtime.invoke(name, b"x")["Body"] == b"0.25"


def test_code_may_come_from_a_source_archive_of_its_own(runtime: Runtime) -> None:
    source = runtime.container({"serve.py": ECHO})
    name = runtime.deploy(
        runtime.container(
            {"weights.txt": "0.5"},
            environment={
                "SAGEMAKER_PROGRAM": "serve.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": source["ModelDataUrl"],
            },
        )
    )

    assert runtime.invoke(name, b"x")["Body"] == b"x"


def wheel(name: str, code: str) -> bytes:
    """A package that pip can install without an index."""
    packed = io.BytesIO()
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(f"{name}.py", code)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", _WHEEL)
        file.writestr(f"{info}/RECORD", "")
    return packed.getvalue()


def test_requirements_are_installed_beside_what_the_interpreter_has(runtime: Runtime) -> None:
    code = "import numpy, tinyunits\n" + ECHO.replace(
        "return data, accept", "return tinyunits.WORD, accept"
    )
    container = runtime.container(
        {
            "code/inference.py": code,
            "code/requirements.txt": "numpy\n./tinyunits-1.0-py3-none-any.whl\n",
            "code/tinyunits-1.0-py3-none-any.whl": wheel("tinyunits", "WORD = 'millimetre'"),
        }
    )

    first = runtime.deploy(container)
    second = runtime.deploy(container)

    assert runtime.invoke(first, b"x")["Body"] == b"millimetre"
    assert runtime.invoke(second, b"x")["Body"] == b"millimetre"
    environments = runtime.state_dir / "handler-environments"
    assert len(list(environments.rglob("tinyunits.py"))) == 1
    assert not list(environments.rglob("numpy/__init__.py"))
