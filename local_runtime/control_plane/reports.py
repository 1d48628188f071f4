"""What the data plane says about its work: each report belongs to a generation of what it is on."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any, Final

from local_runtime.control_plane.component_records import StaleReport
from local_runtime.control_plane.store import Store

INTERNAL_PREFIX: Final = "/_local_runtime/"

_PATH: Final = re.compile(
    rf"{INTERNAL_PREFIX}(?P<kind>endpoints|components)/(?P<name>[^/]+)/(?P<about>status|instances)"
)
_OUTCOMES: Final = ("InService", "Failed", "RolledBack", "Deleted")
# An update has come further, or is being taken back.
_PROGRESS: Final = "Progress"

Answer = tuple[HTTPStatus, Any]


class Reports:
    """Takes reports into the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @staticmethod
    def takes(path: str) -> bool:
        """Whether a path is one that reports are posted to."""
        return _PATH.fullmatch(path) is not None

    def take(self, path: str, body: bytes) -> Answer:
        """Take a report; 409 when what it is about has moved on."""
        match = _PATH.fullmatch(path)
        assert match is not None, "takes has said so"
        name = match["name"]
        try:
            report = json.loads(body)
            if match["kind"] == "components":
                return self._component(name, report)
            if match["about"] == "instances":
                self._store.count_instances(report["region"], name, report["counts"])
                return HTTPStatus.NO_CONTENT, None
            return self._endpoint(name, report)
        except StaleReport as stale:
            return HTTPStatus.CONFLICT, {"message": str(stale)}
        except (ValueError, KeyError, TypeError) as fault:
            return HTTPStatus.BAD_REQUEST, {"message": f"not a status report: {fault!r}"}

    def _endpoint(self, name: str, report: Any) -> Answer:
        generation, outcome = report["generation"], report["outcome"]
        counts = {entry["name"]: entry["instance_count"] for entry in report.get("variants", [])}
        if outcome not in (*_OUTCOMES, _PROGRESS):
            message = f"outcome must be one of {(*_OUTCOMES, _PROGRESS)}, got {outcome!r}"
            return HTTPStatus.BAD_REQUEST, {"message": message}
        if outcome == _PROGRESS:
            self._store.advance(
                name,
                generation,
                {"stage": report["stage"], "share": report["share"], "counts": counts},
                failure_reason=report.get("failure_reason"),
            )
        else:
            self._store.report(
                name,
                generation,
                outcome,
                failure_reason=report.get("failure_reason"),
                instance_counts=counts,
            )
        return HTTPStatus.NO_CONTENT, None

    def _component(self, name: str, report: Any) -> Answer:
        outcome = report["outcome"]
        if outcome not in (*_OUTCOMES, _PROGRESS):
            message = f"outcome must be one of {(*_OUTCOMES, _PROGRESS)}, got {outcome!r}"
            return HTTPStatus.BAD_REQUEST, {"message": message}
        self._store.components.report(
            report["region"],
            name,
            report["generation"],
            None if outcome == _PROGRESS else outcome,
            copies=report["copies"],
            failure_reason=report.get("failure_reason"),
        )
        return HTTPStatus.NO_CONTENT, None
