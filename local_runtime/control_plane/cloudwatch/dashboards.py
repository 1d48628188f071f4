"""Dashboards: kept and shown as they were put; nothing here draws them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from local_runtime.control_plane.cloudwatch import dashboard_body
from local_runtime.control_plane.errors import (
    DashboardInvalidInputError,
    DashboardNotFoundError,
    InvalidNextToken,
    InvalidParameterValue,
)

Json = dict[str, Any]

# Source: API reference, ListDashboards: "one page returns up to 1000 results".
_PER_PAGE: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_NAME: Final = 255


@dataclass(kw_only=True, slots=True)
class Dashboard:
    """One dashboard, its body as it was put."""

    name: str
    body: str
    modified_s: float
    tags: dict[str, str] = field(default_factory=dict)


class Dashboards:
    """The dashboards of an account by name; they belong to no region."""

    def __init__(self, account_id: str, *, now_s: Callable[[], float] = time.time) -> None:
        self._account_id = account_id
        self._now_s = now_s
        self._lock = threading.Lock()
        self._kept: dict[str, Dashboard] = {}

    def give(self, write: Callable[[Any], bytes]) -> bytes:
        """Everything that the next life gets, written while nothing can change it."""
        with self._lock:
            return write(self._kept)

    def take(self, record: Any) -> None:
        """Begin with what an earlier life has given."""
        with self._lock:
            self._kept = record

    def put_dashboard(self, request: Json, region: str) -> Json:  # noqa: ARG002 - global
        """Keep a dashboard.

        Raises:
            DashboardInvalidInputError: its name or its body is not what CloudWatch takes.
        """
        name, body = request["DashboardName"], request["DashboardBody"]
        if len(name) > _LONGEST_NAME or _NAME.fullmatch(name) is None:
            raise DashboardInvalidInputError(
                "The value for field DashboardName contains invalid characters. It can only"
                f" contain 1 to {_LONGEST_NAME} alphanumerics, dash (-) and underscore (_),"
                f" got {name!r}"
            )
        found = dashboard_body.findings(_parsed(body))
        errors = [finding for finding in found if finding.is_error]
        if errors:
            raise DashboardInvalidInputError(
                dashboard_body.refusal(errors),
                dashboardValidationMessages=[error.document() for error in errors],
            )
        with self._lock:
            before = self._kept.get(name)
            # As with alarms, tags are taken only when the dashboard is new.
            given = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
            self._kept[name] = Dashboard(
                name=name,
                body=body,
                modified_s=self._now_s(),
                tags=given if before is None else before.tags,
            )
        return {"DashboardValidationMessages": [finding.document() for finding in found]}

    def get_dashboard(self, request: Json, region: str) -> Json:  # noqa: ARG002 - global
        """Show a dashboard.

        Raises:
            DashboardNotFoundError: nothing has the name.
        """
        name = request["DashboardName"]
        with self._lock:
            found = self._kept.get(name)
        if found is None:
            raise DashboardNotFoundError(f"Dashboard {name} does not exist")
        return {"DashboardArn": self.arn(name), "DashboardBody": found.body, "DashboardName": name}

    def list_dashboards(self, request: Json, region: str) -> Json:  # noqa: ARG002 - global
        """List dashboards by name.

        The token is the last name of the page before, so that what comes or goes in between
        neither repeats nor hides a dashboard.
        """
        prefix, after = request.get("DashboardNamePrefix", ""), request.get("NextToken", "")
        if after and _NAME.fullmatch(after) is None:
            raise InvalidNextToken(f"Invalid NextToken: {after}")
        with self._lock:
            names = sorted(n for n in self._kept if n.startswith(prefix) and n > after)
            page = [self._kept[name] for name in names[:_PER_PAGE]]
        answer: Json = {
            "DashboardEntries": [
                {
                    "DashboardName": each.name,
                    "DashboardArn": self.arn(each.name),
                    "LastModified": each.modified_s,
                    "Size": len(each.body.encode()),
                }
                for each in page
            ]
        }
        if len(names) > len(page):
            answer["NextToken"] = page[-1].name
        return answer

    def delete_dashboards(self, request: Json, region: str) -> Json:  # noqa: ARG002 - global
        """Forget dashboards, all or none.

        Raises:
            DashboardNotFoundError: one does not exist.
        """
        names = request["DashboardNames"]
        if not names:
            raise InvalidParameterValue("The parameter DashboardNames must not be empty")
        with self._lock:
            missing = [name for name in names if name not in self._kept]
            if missing:
                raise DashboardNotFoundError(f"Dashboard {', '.join(missing)} does not exist")
            for name in names:
                self._kept.pop(name, None)
        return {}

    def tags(self, arn: str) -> dict[str, str] | None:
        """The tags of a dashboard, to be changed in place; None when nothing has this ARN."""
        name = arn.rpartition("/")[2]
        with self._lock:
            found = self._kept.get(name) if arn == self.arn(name) else None
            return None if found is None else found.tags

    def arn(self, name: str) -> str:
        """The ARN of a dashboard, whether or not it exists."""
        return f"arn:aws:cloudwatch::{self._account_id}:dashboard/{name}"


def _parsed(body: str) -> Json:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # the latter of brackets in brackets, thousands deep
        document = None
    if not isinstance(document, dict):
        raise DashboardInvalidInputError("The field DashboardBody must be a valid JSON object")
    return document
