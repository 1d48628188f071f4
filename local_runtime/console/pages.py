"""What the pages ask for: one method for each route below ``/console/api``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_runtime.console import alarm_views, dashboard_views, endpoint_charts
from local_runtime.console.endpoint_views import EndpointViews, models_below
from local_runtime.console.faults import BadRequest, NotFound
from local_runtime.console.log_lines import COMPONENTS, ENDPOINTS, LogLines
from local_runtime.console.scaling_views import ScalingViews
from local_runtime.console.scene import Scene
from local_runtime.console.stored_answers import StoredAnswers
from local_runtime.console.time_range import DEFAULT, RangeError, TimeRange, range_of_body
from local_runtime.control_plane.autoscaling_api import AutoscalingApi
from local_runtime.control_plane.cloudwatch.service import CloudWatch
from local_runtime.control_plane.container_logs import ContainerLogs
from local_runtime.control_plane.errors import ApiError
from local_runtime.control_plane.local_client import LocalClients
from local_runtime.control_plane.sagemaker import SageMakerApi
from local_runtime.control_plane.store import Store

Json = dict[str, Any]

DEFAULT_REGION: Final = "us-east-1"
_SHORT: Final = "PT1H"
_NEWEST_ACTIVITIES: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """The parts of the control plane that the console reads."""

    store: Store
    sagemaker: SageMakerApi
    cloudwatch: CloudWatch
    scaling: AutoscalingApi
    logs: ContainerLogs | None
    clients: LocalClients
    url: str
    account_id: str


class Question:
    """The parameters of one request."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters

    @property
    def region(self) -> str:
        """The region that the page shows."""
        return self._parameters.get("region", DEFAULT_REGION)

    def get(self, name: str) -> str | None:
        """A parameter; None where it is not given."""
        return self._parameters.get(name)

    def need(self, name: str) -> str:
        """A parameter that has to be given.

        Raises:
            BadRequest: it is not.
        """
        if name not in self._parameters:
            raise BadRequest(f"{name} must be given")
        return self._parameters[name]


class Pages:
    """Answers by route, each ``(question, name) -> document``; the name ends the route's path."""

    def __init__(self, sources: Sources, *, now_s: Callable[[], float] = time.time) -> None:
        self._sources = sources
        self._now_s = now_s
        self._endpoints = EndpointViews(sources.store, sources.sagemaker)
        self._scaling = ScalingViews(sources.scaling)
        self._objects = StoredAnswers(sources.clients)
        self.routes: dict[str, Callable[[Question, str], Json]] = {
            "runtime": self.runtime,
            "overview": self.overview,
            "endpoints": self.endpoint,
            "charts": self.charts,
            "models": self.models,
            "logs": self.logs,
            "alarms": self.alarm,
            "dashboards": self.dashboard,
            "object": self.object,
        }

    def runtime(self, _: Question, __: str) -> Json:
        """The runtime itself: its address, clock, account and regions."""
        cloudwatch = self._sources.cloudwatch
        regions = self._endpoints.regions() | {alarm.region for alarm in cloudwatch.alarms.all()}
        return {
            "url": self._sources.url,
            "account_id": self._sources.account_id,
            "speed": cloudwatch.metrics.speed,
            "now_s": self._now_s(),
            "default_region": DEFAULT_REGION,
            "regions": sorted(regions | {DEFAULT_REGION}),
        }

    def overview(self, question: Question, _: str) -> Json:
        """Everything of a region in a line each."""
        scene = self._scene(question, default=_SHORT)
        hosts = self._endpoints.hosts(scene.region)
        alarms = alarm_views.in_region(scene.alarms, scene.region, hosts)
        return {
            "endpoints": self._endpoints.all(scene),
            "raised": alarm_views.worth_a_look(alarms),
            "watching": sum(not alarm["scales"] for alarm in alarms),
            "dashboards": self._dashboards(scene.region),
            "activities": self._scaling.newest(scene.region, _NEWEST_ACTIVITIES, hosts),
        }

    def endpoint(self, question: Question, name: str) -> Json:
        """One endpoint: what it is, its numbers, alarms and scaling."""
        scene = self._scene(question, default=_SHORT)
        found = self._endpoints.one(name, scene)
        return {**found, "scaling": self._scaling_of(name, scene.region)}

    def charts(self, question: Question, name: str) -> Json:
        """The charts of one endpoint."""
        scene = self._scene(question, default=_SHORT)
        spec, components = self._endpoints.made_of(name, scene.region)
        moments = [
            (self._endpoints.deployed_s(name, scene.region), "deployed"),
            *(
                (activity["begun_s"], "scaled")
                for activity in self._scaling_of(name, scene.region)["activities"]
                if not activity["not_scaled"]
            ),
        ]
        body = endpoint_charts.body(spec, components, moments)
        return {"widgets": dashboard_views.drawn(body, scene, self._groups(scene.region))}

    def models(self, question: Question, name: str) -> Json:
        """The target models that a multi-model endpoint can be asked for."""
        found = self._endpoints.one(name, self._scene(question, default=_SHORT))
        prefix = found["artifact_prefix"]
        if prefix is None:
            return {"models": []}

        def list_keys(bucket: str, folder: str) -> list[str]:
            return self._objects.keys(bucket, folder, question.region)

        return {"models": models_below(prefix, list_keys)}

    def logs(self, question: Question, name: str) -> Json:
        """What the containers of an endpoint print, or those of a component on it."""
        since = question.get("since")
        try:
            since_s = None if since is None else float(since)
        except ValueError:
            raise BadRequest(f"since must be seconds since 1970, got {since!r}") from None
        component = question.get("component")
        group = f"{ENDPOINTS}/{name}" if component is None else f"{COMPONENTS}/{component}"
        lines = LogLines(self._sources.logs, question.region, group)
        return lines.read(question.get("stream"), question.get("after"), since_s)

    def alarm(self, question: Question, name: str) -> Json:
        """One alarm with its history and what it watches; without a name, all."""
        scene = self._scene(question, default=DEFAULT)
        hosts = self._endpoints.hosts(scene.region)
        if not name:
            return {"alarms": alarm_views.in_region(scene.alarms, scene.region, hosts)}
        found = alarm_views.details(scene.alarms, scene.region, name, hosts)
        if found["kind"] == "composite":
            return found
        properties = {"title": "What it watches", "annotations": {"alarms": [found["arn"]]}}
        body = {"widgets": [{"type": "metric", "width": 24, "properties": properties}]}
        widgets = dashboard_views.drawn(body, scene, self._groups(scene.region))
        return {**found, "widgets": widgets}

    def dashboard(self, question: Question, name: str) -> Json:
        """One dashboard with its widgets evaluated; without a name, the list."""
        if not name:
            return {"dashboards": self._dashboards(question.region)}
        cloudwatch = self._sources.cloudwatch
        try:
            kept = cloudwatch.api.call("GetDashboard", {"DashboardName": name}, question.region)
        except ApiError as refused:
            raise NotFound(str(refused)) from refused
        body = dashboard_views.parsed(kept["DashboardBody"])
        own = range_of_body(body, now_s=self._now_s(), speed=cloudwatch.metrics.speed)
        default = DEFAULT if own is None else own
        scene = self._scene(
            question, default=default, fixed_periods=body.get("periodOverride") == "inherit"
        )
        return {
            "name": name,
            "range": default if question.get("range") is None else question.get("range"),
            "widgets": dashboard_views.drawn(body, scene, self._groups(scene.region)),
            "body": json.dumps(body, indent=2),
        }

    def object(self, question: Question, _: str) -> Json:
        """An object of S3: what an asynchronous request was answered."""
        return self._objects.read(question.need("location"), question.region)

    # -- what the routes share

    def _scaling_of(self, name: str, region: str) -> Json:
        return self._scaling.of_endpoint(name, region, self._endpoints.hosts(region))

    def _scene(self, question: Question, *, default: str, fixed_periods: bool = False) -> Scene:
        metrics = self._sources.cloudwatch.metrics
        asked = question.get("range")
        try:
            shown = TimeRange.read(
                default if asked is None else asked, now_s=self._now_s(), speed=metrics.speed
            )
        except RangeError as fault:
            raise BadRequest(str(fault)) from fault
        return Scene(
            store=metrics,
            alarms=self._sources.cloudwatch.alarms,
            range=shown,
            region=question.region,
            fixed_periods=fixed_periods,
        )

    def _dashboards(self, region: str) -> list[Json]:
        answer = self._sources.cloudwatch.api.call("ListDashboards", {}, region)
        return [
            {"name": entry["DashboardName"], "modified_s": entry["LastModified"]}
            for entry in answer["DashboardEntries"]
        ]

    def _groups(self, region: str) -> Callable[[str], LogLines]:
        return lambda group: LogLines(self._sources.logs, region, group)
