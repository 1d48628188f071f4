"""The SageMaker Python SDK, version 3, as a client of the runtime."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local_runtime.container_environment import client_environment

from .conftest import PATIENCE_S

# In a process of its own, as its users run it: importing the SDK sets up more than a test should.
SCRIPT = """
import json
import sys
from pathlib import Path

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant

container, role, name, report = json.loads(sys.argv[1]), *sys.argv[2:]
model = Model.create(
    model_name=name,
    execution_role_arn=role,
    primary_container=ContainerDefinition(
        image=container["Image"],
        model_data_url=container["ModelDataUrl"],
        environment=container["Environment"],
    ),
)
config = EndpointConfig.create(
    endpoint_config_name=name,
    production_variants=[
        ProductionVariant(
            variant_name="AllTraffic",
            model_name=name,
            instance_type="ml.m5.large",
            initial_instance_count=1,
        )
    ],
)
endpoint = Endpoint.create(endpoint_name=name, endpoint_config_name=name)
endpoint.wait_for_status("InService", poll=1, timeout=180)
answer = endpoint.invoke(body=b"1,2", content_type="text/csv", accept="text/csv")
found = Endpoint.get(endpoint_name=name)
listed = [each.endpoint_name for each in Endpoint.get_all(name_contains=name)]
endpoint.delete()
endpoint.wait_for_delete(poll=1, timeout=180)
config.delete()
model.delete()
Path(report).write_text(  # standard output is for the SDK's progress bars
    json.dumps(
        {
            "body": answer.body.read().decode(),
            "variant": answer.invoked_production_variant,
            "status": found.endpoint_status,
            "listed": listed,
        }
    )
)
"""

ECHO = """
def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    return data

def output_fn(data, accept):
    return data, accept
"""


@pytest.mark.skipif(
    importlib.util.find_spec("sagemaker") is None, reason="the SageMaker SDK is not installed"
)
def test_the_sdk_creates_invokes_and_deletes_an_endpoint(runtime: Any, tmp_path: Path) -> None:
    name = runtime.name("sdk")
    container = runtime.handler(ECHO)
    role, report = "arn:aws:iam::123456789012:role/execution", str(tmp_path / "report.json")

    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(container), role, name, report],
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            **client_environment(runtime.url, "us-east-1"),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr[-3000:]
    assert json.loads(Path(report).read_text()) == {
        "body": "1,2",
        "variant": "AllTraffic",
        "status": "InService",
        "listed": [name],
    }
    assert runtime.sagemaker.list_endpoints(NameContains=name)["Endpoints"] == []
    assert runtime.sagemaker.list_models(NameContains=name)["Models"] == []
