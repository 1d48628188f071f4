"""The control plane's internal routes: what should be hosted, and how the work on it goes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from hosting.limits import FAILURE_REASON_MAX_LENGTH
from local_runtime.http_client import (
    AnswerTooLargeError,
    ConnectionLostError,
    UnixAddress,
    fetch,
)
from local_runtime.instances import Fleet
from local_runtime.rollout import RolloutTakenBackError, Stage

_log = logging.getLogger(__name__)

_POLL_S: Final = 25.0
_RETRY_S: Final = 0.5

Entry = Mapping[str, Any]


class ControlPlane:
    """The control plane's internal routes."""

    def __init__(self, address: UnixAddress) -> None:
        self._address = address

    async def desired(self, after: int) -> Entry:
        """The endpoints that should exist, as soon as they differ from revision ``after``."""
        while True:
            target = f"/_local_runtime/endpoints?after={after}&wait_s={_POLL_S:g}"
            try:
                answer = await fetch(self._address, "GET", target, timeout_s=_POLL_S + 30)
                if answer.status == 200:
                    document: Entry = json.loads(bytes(answer.body))
                    return document
                _log.warning("the control plane answered a poll with %s", answer.status)
            except (OSError, ConnectionLostError, AnswerTooLargeError) as error:
                _log.warning("the control plane did not answer a poll: %s", error)
            await asyncio.sleep(_RETRY_S)

    async def report(
        self,
        entry: Entry,
        outcome: str,
        reason: str | None = None,
        fleet: Fleet | None = None,
        *,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Say how one generation of an endpoint ended; a newer one makes this void."""
        variants = [] if fleet is None else fleet.variants
        body = json.dumps(
            {
                "generation": entry["generation"],
                "outcome": outcome,
                "failure_reason": None if reason is None else reason[:FAILURE_REASON_MAX_LENGTH],
                "variants": [
                    {"name": variant.name, "instance_count": len(variant.instances)}
                    for variant in variants
                ],
                **more,
            }
        ).encode()
        await self._post(f"endpoints/{quote(entry['name'])}/status", body)

    async def report_component(
        self,
        region: str,
        entry: Entry,
        outcome: str,
        *,
        copies: int,
        reason: str | None = None,
    ) -> None:
        """Say how the work on one generation of an inference component goes, or has ended."""
        document = {
            "region": region,
            "generation": entry["generation"],
            "outcome": outcome,
            "failure_reason": None if reason is None else reason[:FAILURE_REASON_MAX_LENGTH],
            "copies": copies,
        }
        body = json.dumps(document).encode()
        await self._post(f"components/{quote(entry['name'])}/status", body)

    async def report_instances(self, region: str, endpoint: str, counts: Mapping[str, int]) -> None:
        """Say how many instances there are, where their number follows the copies on them."""
        body = json.dumps({"region": region, "counts": counts}).encode()
        await self._post(f"endpoints/{quote(endpoint)}/instances", body)

    async def _post(self, path: str, body: bytes) -> None:
        target = f"/_local_runtime/{path}"
        while True:
            try:
                answer = await fetch(self._address, "POST", target, body=body, timeout_s=30.0)
            except (OSError, ConnectionLostError, AnswerTooLargeError) as error:
                _log.warning("the control plane did not take a report: %s", error)
                await asyncio.sleep(_RETRY_S)
                continue
            if answer.status not in {204, 409}:
                _log.error("the control plane refused a report: %s %r", answer.status, answer.body)
            return

    async def progress(
        self,
        entry: Entry,
        stage: Stage,
        share: float,
        *,
        fleet: Fleet | None,
        reason: str | None = None,
    ) -> None:
        """Say how far an update has come; with a reason, that it is being taken back."""
        await self.report(entry, "Progress", reason, fleet, more={"stage": stage, "share": share})

    async def alarm_states(self, region: str, names: Sequence[str]) -> Mapping[str, str | None]:
        """The state of each alarm; None for one that does not exist.

        Raises:
            RolloutTakenBackError: the control plane does not say.
        """
        target = "/_local_runtime/alarms?" + urlencode(
            {"region": region, "name": list(names)}, doseq=True
        )
        try:
            answer = await fetch(self._address, "GET", target, timeout_s=30.0)
        except (OSError, ConnectionLostError, AnswerTooLargeError) as error:
            raise RolloutTakenBackError(f"The alarms cannot be read: {error}") from error
        states: Mapping[str, str | None] = json.loads(bytes(answer.body))
        return states
