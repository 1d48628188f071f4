"""CloudWatch as a whole: its parts put together, and its requests answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from hosting.alarms import EXTRA_DATAPOINTS
from local_runtime.control_plane.cloudwatch import wire
from local_runtime.control_plane.cloudwatch.alarms import AlarmBook
from local_runtime.control_plane.cloudwatch.api import CloudWatchApi
from local_runtime.control_plane.cloudwatch.evaluation import SILENCE_S, Evaluation
from local_runtime.control_plane.cloudwatch.metric_store import MetricStore
from local_runtime.control_plane.cloudwatch.notifications import TOPIC, TopicNotifier
from local_runtime.control_plane.local_client import LocalClients

Response = tuple[HTTPStatus, list[tuple[str, str]], bytes]


class CloudWatch:
    """The metrics, the alarms on them, and the API in front of both."""

    def __init__(
        self,
        account_id: str,
        clients: LocalClients,
        *,
        speed: float = 1.0,
        now_s: Callable[[], float] = time.time,
        silence_s: float = SILENCE_S,
        extra_datapoints: int = EXTRA_DATAPOINTS,
    ) -> None:
        """Args:
        account_id: whose alarms these are.
        clients: how alarms reach topics.
        speed: service seconds per second of the wall.
        now_s: the wall's seconds since 1970.
        silence_s: see ``Evaluation``.
        extra_datapoints: see ``Evaluation``.
        """
        self.metrics = MetricStore(speed)
        self.alarms = AlarmBook(account_id, now_s=now_s)
        self.evaluation = Evaluation(
            self.metrics,
            self.alarms,
            now_s=now_s,
            silence_s=silence_s,
            extra_datapoints=extra_datapoints,
        )
        self.evaluation.on_action(TOPIC, TopicNotifier(clients, account_id))
        self.api = CloudWatchApi(self.metrics, self.alarms, self.evaluation, now_s=now_s)

    def answer(
        self, protocol: wire.Protocol, environ: Mapping[str, Any], body: bytes, region: str
    ) -> Response:
        """Answer a request that ``wire.recognize`` has recognized."""
        return wire.answer(
            protocol, environ, body, lambda name, request: self.api.call(name, request, region)
        )

    def start(self) -> None:
        """Evaluate alarms from now on."""
        threading.Thread(target=self.evaluation.run, name="alarms", daemon=True).start()
