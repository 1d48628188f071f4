"""A control plane on a loopback port, with a stand-in for the data plane's reports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import waitress
from botocore.config import Config

from local_runtime.control_plane.server import ControlPlane

REGION = "eu-west-1"


class RunningControlPlane:
    """A control plane that answers on ``url``, and the clients to ask it."""

    def __init__(self, control_plane: ControlPlane, url: str) -> None:
        self.control_plane = control_plane
        self.store = control_plane.store
        self.url = url

    def client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - nobody checks it
            config=Config(retries={"total_max_attempts": 1}),
        )

    def report(self, name: str, outcome: Any, *, failure_reason: str | None = None) -> None:
        """Say about the endpoint's newest generation what a data plane would."""
        [endpoint] = [each for each in self._endpoints() if each["name"] == name]
        self.store.report(name, endpoint["generation"], outcome, failure_reason=failure_reason)

    def _endpoints(self) -> list[dict[str, Any]]:
        endpoints: list[dict[str, Any]] = self.store.desired(after=0, wait_s=0)["endpoints"]
        return endpoints


@pytest.fixture(scope="session")
def served() -> Iterator[RunningControlPlane]:
    """One server for the whole folder: moto's state is the process's anyway."""
    control_plane = ControlPlane()
    server = waitress.create_server(control_plane, host="127.0.0.1", port=0, threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield RunningControlPlane(control_plane, f"http://127.0.0.1:{server.effective_port}")
    server.close()
