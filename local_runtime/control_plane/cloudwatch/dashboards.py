"""Dashboards: kept and shown as they were put; nothing here draws them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from local_runtime.control_plane.errors import InvalidParameterInput, ResourceNotFound

Json = dict[str, Any]


class Dashboards:
    """The dashboards of an account by name; they belong to no region."""

    def __init__(self, account_id: str, *, now_s: Callable[[], float] = time.time) -> None:
        self._account_id = account_id
        self._now_s = now_s
        self._lock = threading.Lock()
        self._bodies: dict[str, tuple[str, float]] = {}

    def put_dashboard(self, request: Json, region: str) -> Json:  # noqa: ARG002 - global
        """Keep a dashboard.

        Raises:
            InvalidParameterInput: its body is not a JSON object.
        """
        body = request["DashboardBody"]
        try:
            valid = isinstance(json.loads(body), dict)
        except ValueError:
            valid = False
        if not valid:
            raise InvalidParameterInput("The field DashboardBody must be a valid JSON object")
        with self._lock:
            self._bodies[request["DashboardName"]] = (body, self._now_s())
        return {"DashboardValidationMessages": []}

    def get_dashboard(self, request: Json, region: str) -> Json:  # noqa: ARG002 - global
        """Show a dashboard."""
        name = request["DashboardName"]
        with self._lock:
            found = self._bodies.get(name)
        if found is None:
            raise ResourceNotFound(f"Dashboard {name} does not exist")
        return {
            "DashboardArn": self._arn(name),
            "DashboardBody": found[0],
            "DashboardName": name,
        }

    def list_dashboards(self, request: Json, region: str) -> Json:  # noqa: ARG002 - global
        """List dashboards by name."""
        prefix = request.get("DashboardNamePrefix", "")
        with self._lock:
            found = [(name, *kept) for name, kept in sorted(self._bodies.items())]
        return {
            "DashboardEntries": [
                {
                    "DashboardName": name,
                    "DashboardArn": self._arn(name),
                    "LastModified": modified_s,
                    "Size": len(body.encode()),
                }
                for name, body, modified_s in found
                if name.startswith(prefix)
            ]
        }

    def delete_dashboards(self, request: Json, region: str) -> Json:  # noqa: ARG002 - global
        """Forget dashboards, all or none."""
        names = request["DashboardNames"]
        with self._lock:
            missing = [name for name in names if name not in self._bodies]
            if missing:
                raise ResourceNotFound(f"Dashboard {', '.join(missing)} does not exist")
            for name in names:
                self._bodies.pop(name, None)
        return {}

    def _arn(self, name: str) -> str:
        return f"arn:aws:cloudwatch::{self._account_id}:dashboard/{name}"
