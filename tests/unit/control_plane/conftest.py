"""A control plane on a loopback port, with a stand-in for the data plane's reports."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import waitress
from botocore.config import Config

from local_runtime.control_plane.component_records import StaleReport
from local_runtime.control_plane.server import ControlPlane
from local_runtime.control_plane.store import Outcome, Store

REGION = "eu-west-1"
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
UNDER_WAY = ("Creating", "Updating", "Deleting")
CONTAINER = {"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}

_names = itertools.count(1)


def fresh(prefix: str) -> str:
    """A name that no other test uses: the control plane lives as long as the test run."""
    return f"{prefix}-{next(_names)}"


def variant(model: str, **changes: Any) -> dict[str, Any]:
    """A production variant on one instance."""
    return {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **changes,
    }


class DataPlane:
    """Answers for the data plane: what a container's environment asks for happens.

    ``FAIL`` holds the reason of a failed start, ``HOLD`` leaves the endpoint as it is until a test
    reports by itself. What a test has reported is left alone: taken back, an endpoint asks for its
    old containers under the same generation.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        revision, answered = 0, set()
        while True:
            desired = self._store.desired(after=revision, wait_s=60)
            revision = desired["revision"]
            for endpoint in desired["endpoints"]:
                work = (endpoint["arn"], endpoint["generation"], endpoint["deleting"])
                if work not in answered and endpoint["status"] in UNDER_WAY:
                    answered.add(work)
                    with contextlib.suppress(StaleReport):
                        self._answer(endpoint)

    def _answer(self, endpoint: dict[str, Any]) -> None:
        name, generation = endpoint["name"], endpoint["generation"]
        environment: dict[str, str] = {}
        for model in endpoint["models"].values():
            primary = model.get("PrimaryContainer")
            for container in [primary] if primary is not None else model["Containers"]:
                environment |= container.get("Environment", {})
        if endpoint["deleting"]:
            self._store.report(name, generation, "Deleted")
        elif "FAIL" in environment:
            outcome: Outcome = "Failed" if endpoint["previous"] is None else "RolledBack"
            self._store.report(name, generation, outcome, failure_reason=environment["FAIL"])
        elif "HOLD" not in environment:
            self._store.report(name, generation, "InService")


class RunningControlPlane:
    """A control plane that answers on ``url``, and the clients to ask it."""

    def __init__(self, control_plane: ControlPlane, url: str, logs: Path) -> None:
        self.control_plane = control_plane
        self.logs = logs
        self.store = control_plane.store
        self.url = url
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str = REGION) -> Any:
        """A boto3 client, made once: making one takes longer than most tests."""
        if (service, region) not in self._clients:
            self._clients[service, region] = self._new_client(service, region)
        return self._clients[service, region]

    def _new_client(self, service: str, region: str) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - nobody checks it
            config=Config(retries={"total_max_attempts": 1}),
        )

    def document(self, name: str) -> dict[str, Any]:
        """What the data plane is told about an endpoint."""
        endpoints = self.store.desired(after=0, wait_s=0)["endpoints"]
        [found] = [endpoint for endpoint in endpoints if endpoint["name"] == name]
        document: dict[str, Any] = found
        return document

    def report(self, name: str, outcome: Outcome, *, failure_reason: str | None = None) -> None:
        """Say about the endpoint's newest generation what a data plane would."""
        generation = self.document(name)["generation"]
        self.store.report(name, generation, outcome, failure_reason=failure_reason)

    def finish(self, stack: str) -> dict[str, Any]:
        """Wait for a stack's operation; the stack as the API describes it."""
        stacks = self.control_plane.cloudformation
        found = next(
            each for each in reversed(stacks.stacks.in_region(REGION)) if each.name == stack
        )
        stacks.engine.wait(found)
        described: dict[str, Any] = self.client("cloudformation").describe_stacks(
            StackName=found.stack_id
        )["Stacks"][0]
        return described

    def create_stack(self, template: dict[str, Any], **request: Any) -> dict[str, Any]:
        """Create a stack of a new name and wait for it."""
        name = request.pop("StackName", fresh("stack"))
        self.client("cloudformation").create_stack(
            StackName=name,
            TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **request,
        )
        return self.finish(name)

    def update_stack(self, name: str, template: dict[str, Any], **request: Any) -> dict[str, Any]:
        """Update a stack and wait for it."""
        self.client("cloudformation").update_stack(
            StackName=name,
            TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **request,
        )
        return self.finish(name)

    def delete_stack(self, name: str) -> dict[str, Any]:
        """Delete a stack and wait for it."""
        self.client("cloudformation").delete_stack(StackName=name)
        return self.finish(name)

    def failures(self, stack_id: str) -> list[str]:
        """Why resources of a stack failed, oldest first."""
        events = self.client("cloudformation").describe_stack_events(StackName=stack_id)
        return [
            event["ResourceStatusReason"]
            for event in reversed(events["StackEvents"])
            if event["ResourceStatus"].endswith("_FAILED")
        ]

    def events(self, stack_id: str) -> list[str]:
        """A stack's history, oldest first, as ``logical id: status``."""
        events = self.client("cloudformation").describe_stack_events(StackName=stack_id)
        return [
            f"{event['LogicalResourceId']}: {event['ResourceStatus']}"
            for event in reversed(events["StackEvents"])
        ]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningControlPlane]:
    """One server for the whole folder: moto's state is the process's anyway."""
    logs = tmp_path_factory.mktemp("state") / "logs"
    control_plane = ControlPlane("http://127.0.0.1:8566", logs=logs)
    DataPlane(control_plane.store)
    server = waitress.create_server(control_plane, host="127.0.0.1", port=0, threads=8)

    def run() -> None:
        # Closing waitress from outside ends its loop with an error about the closed socket.
        with contextlib.suppress(OSError):
            server.run()

    threading.Thread(target=run, daemon=True).start()
    yield RunningControlPlane(control_plane, f"http://127.0.0.1:{server.effective_port}", logs)
    server.close()
