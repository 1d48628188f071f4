"""Endpoints as the record has them, with the numbers that the runtime has measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from hosting.endpoint import EndpointKind, EndpointSpec, VariantSpec
from local_runtime.console import alarm_views
from local_runtime.console.faults import NotFound
from local_runtime.console.scene import Scene
from local_runtime.control_plane.cloudwatch.metric_store import MetricStore
from local_runtime.control_plane.cloudwatch.statistics import Tally, merged
from local_runtime.control_plane.sagemaker import SageMakerApi
from local_runtime.control_plane.store import Store

Json = dict[str, Any]
# Whether metrics of these dimensions are theirs.
Whose = Callable[[Mapping[str, str]], bool]

_NAMESPACE: Final = "AWS/SageMaker"
_SPARKS: Final = 40
_MICRO: Final = 1e-6
# What counts as a request, and what as one that failed.
_REQUESTS: Final = ("Invocations",)
_QUEUED_REQUESTS: Final = ("InvocationsProcessed", "InvocationFailures", "ExpiredRequests")
_ERRORS: Final = ("Invocation4XXErrors", "Invocation5XXErrors")
_QUEUED_ERRORS: Final = ("InvocationFailures", "ExpiredRequests")
_BUCKET_S: Final = 60


class EndpointViews:
    """Reads the record and the metrics."""

    def __init__(self, store: Store, sagemaker: SageMakerApi) -> None:
        self._store = store
        self._sagemaker = sagemaker

    def hosts(self, region: str) -> dict[str, str]:
        """The endpoints of inference components, by the components' names."""
        return {
            component["name"]: entry["name"]
            for entry in self._entries()
            if entry["region"] == region
            for component in entry["components"]
        }

    def regions(self) -> set[str]:
        """Where endpoints are."""
        return {entry["region"] for entry in self._entries()}

    def all(self, scene: Scene) -> list[Json]:
        """A line for each endpoint of a region, by name."""
        alarms = alarm_views.by_endpoint(scene.alarms, scene.region, self.hosts(scene.region))
        found = [
            self._summary(entry, scene, alarms.get(entry["name"], []))
            for entry in self._entries()
            if entry["region"] == scene.region
        ]
        return sorted(found, key=lambda each: str(each["name"]))

    def one(self, name: str, scene: Scene) -> Json:
        """Everything about one endpoint.

        Raises:
            NotFound: the region has none of this name.
        """
        entry = self._entry(name, scene.region)
        spec, hosts = _spec(entry), self.hosts(scene.region)
        alarms = alarm_views.by_endpoint(scene.alarms, scene.region, hosts).get(name, [])
        described = self._sagemaker.call("DescribeEndpoint", {"EndpointName": name}, scene.region)
        return {
            **self._summary(entry, scene, alarms),
            "arn": described["EndpointArn"],
            "components": [
                {"name": each, "numbers": _numbers(scene, _of_component(each), spec.kind)}
                for each in _hosted(entry)
            ],
            "containers": [
                _container(variant, position, scene, name)
                for variant in spec.variants
                for position in range(len(variant.model.containers))
            ],
            "overhead": _timing(scene, _of_endpoint(name), "OverheadLatency"),
            "latency": _timing(scene, _of_endpoint(name), "ModelLatency"),
            "is_pipeline": any(variant.model.is_pipeline for variant in spec.variants),
            "is_direct": any(
                len(variant.model.containers) > 1 and not variant.model.is_pipeline
                for variant in spec.variants
            ),
            "artifact_prefix": _artifact_prefix(spec),
            "queue": _queue(spec),
            "alarms": alarms,
        }

    def made_of(self, name: str, region: str) -> tuple[EndpointSpec, list[str]]:
        """What an endpoint is made of, and the names of the components on it.

        Raises:
            NotFound: the region has none of this name.
        """
        entry = self._entry(name, region)
        return _spec(entry), _hosted(entry)

    def deployed_s(self, name: str, region: str) -> float:
        """When the present configuration came: since then, or since there is the endpoint."""
        described = self._sagemaker.call("DescribeEndpoint", {"EndpointName": name}, region)
        config = {"EndpointConfigName": described["EndpointConfigName"]}
        created = self._sagemaker.call("DescribeEndpointConfig", config, region)["CreationTime"]
        return float(max(described["CreationTime"], created))

    def _entries(self) -> list[Mapping[str, Any]]:
        entries: list[Mapping[str, Any]] = self._store.desired(after=-1, wait_s=0)["endpoints"]
        return entries

    def _entry(self, name: str, region: str) -> Mapping[str, Any]:
        for entry in self._entries():
            if (entry["region"], entry["name"]) == (region, name):
                return entry
        raise NotFound(f"no endpoint {name!r} in {region}")

    def _summary(self, entry: Mapping[str, Any], scene: Scene, alarms: Sequence[Json]) -> Json:
        name, spec = entry["name"], _spec(entry)
        described = self._sagemaker.call("DescribeEndpoint", {"EndpointName": name}, scene.region)
        current = {each["VariantName"]: each for each in described.get("ProductionVariants", [])}
        return {
            "name": name,
            "region": entry["region"],
            "kind": spec.kind,
            "status": described["EndpointStatus"],
            "failure_reason": described.get("FailureReason"),
            "created_s": described["CreationTime"],
            "modified_s": described["LastModifiedTime"],
            "config": described["EndpointConfigName"],
            "variants": [
                _variant(variant, current.get(variant.name, {})) for variant in spec.variants
            ],
            "raised": [alarm["name"] for alarm in alarm_views.worth_a_look(alarms)],
            "numbers": _numbers(scene, _of_endpoint(name, _hosted(entry)), spec.kind),
        }


def _spec(entry: Mapping[str, Any]) -> EndpointSpec:
    return EndpointSpec.from_api(entry["name"], entry["config"], entry["models"])


def _hosted(entry: Mapping[str, Any]) -> list[str]:
    """The inference components on an endpoint."""
    return [each["name"] for each in entry["components"]]


def _of_endpoint(endpoint: str, components: Sequence[str] = (), **dimensions: str) -> Whose:
    """The metrics of an endpoint that have at least these dimensions.

    Those of ``components`` have no dimension but the component's name.
    """
    wanted = {"EndpointName": endpoint, **dimensions}.items()
    return lambda own: wanted <= own.items() or own.get("InferenceComponentName") in components


def _of_component(component: str) -> Whose:
    return lambda own: own.get("InferenceComponentName") == component


def _variant(variant: VariantSpec, current: Mapping[str, Any]) -> Json:
    size = variant.serverless
    return {
        "name": variant.name,
        "model": variant.model.name,
        "weight": current.get("CurrentWeight", variant.initial_weight),
        "instance_type": variant.instance_type,
        "current": current.get("CurrentInstanceCount"),
        "desired": current.get(
            "DesiredInstanceCount", None if size else variant.initial_instance_count
        ),
        "serverless": None
        if size is None
        else {
            "memory_mb": size.memory_size_mb,
            "max_concurrency": size.max_concurrency,
            "provisioned": size.provisioned_concurrency,
        },
    }


def _container(variant: VariantSpec, position: int, scene: Scene, endpoint: str) -> Json:
    container = variant.model.containers[position]
    return {
        "variant": variant.name,
        "name": container.hostname,
        "image": container.image.rpartition("/")[2],
        "multi_model": container.mode == "MultiModel",
        "model_data": container.model_data_url,
        "program": container.environment.get("SAGEMAKER_PROGRAM"),
        "latency": _timing(
            scene,
            _of_endpoint(endpoint, VariantName=variant.name, ContainerName=container.hostname),
            "ContainerLatency",
        ),
    }


def _artifact_prefix(spec: EndpointSpec) -> str | None:
    """Where the models of a multi-model container are."""
    for variant in spec.variants:
        for container in variant.model.containers:
            if container.mode == "MultiModel":
                return container.model_data_url
    return None


def _queue(spec: EndpointSpec) -> Json | None:
    queue = spec.async_inference
    if queue is None:
        return None
    return {
        "output": queue.output_path,
        "failures": queue.failure_path,
        "per_instance": queue.max_concurrent_invocations,
    }


def _numbers(scene: Scene, whose: Whose, kind: EndpointKind) -> Json:
    """Requests, those that failed, and how long models took, over the range."""
    queued = kind == "async"
    counted = _sum(scene, whose, _QUEUED_REQUESTS if queued else _REQUESTS)
    failed = _sum(scene, whose, _QUEUED_ERRORS if queued else _ERRORS)
    return {
        "requests": round(sum(counted.values())),
        "errors": round(sum(failed.values())),
        "latency": _timing(scene, whose, "ModelLatency"),
        "sparks": _sparks(counted, scene),
    }


def _sum(scene: Scene, whose: Whose, names: Iterable[str]) -> dict[int, float]:
    """How many of all variants and components, by minute."""
    total: dict[int, float] = {}
    for name in names:
        for minute, tally in _tallies(scene, whose, name).items():
            total[minute] = total.get(minute, 0.0) + tally.total
    return total


def _timing(scene: Scene, whose: Whose, name: str) -> Json | None:
    """How long something took, in seconds; None when it was not measured in the range."""
    tallies = _tallies(scene, whose, name)
    if not tallies:
        return None
    whole = merged(tallies.values())
    document: Json = {"count": whole.count}
    for member, statistic in (("average_s", "Average"), ("p50_s", "p50"), ("p99_s", "p99")):
        value = whole.statistic(statistic)
        document[member] = None if value is None else value * _MICRO
    return document


def _tallies(scene: Scene, whose: Whose, name: str) -> dict[int, Tally]:
    """The samples of a metric by minute, over every metric that is theirs."""
    store: MetricStore = scene.store
    found: dict[int, Tally] = {}
    for metric in store.metrics(
        scene.region,
        lambda one: (
            one.name == name and one.namespace == _NAMESPACE and whose(dict(one.dimensions))
        ),
    ):
        periods = store.periods(
            metric,
            math.floor(scene.range.start_s / _BUCKET_S) * _BUCKET_S,
            scene.range.end_s,
            _BUCKET_S,
            unit=None,
            service_time=True,
        )
        for minute, tally in periods.items():
            found.setdefault(minute, Tally()).add(tally)
    return found


def _sparks(counted: Mapping[int, float], scene: Scene) -> Sequence[float]:
    """The range in forty parts, and the requests of each."""
    parts = [0.0] * _SPARKS
    for minute, value in counted.items():
        place = (minute * _BUCKET_S - scene.range.start_s) / scene.range.length_s
        parts[min(max(math.floor(place * _SPARKS), 0), _SPARKS - 1)] += value
    return parts


def models_below(prefix: str, list_keys: Callable[[str, str], list[str]]) -> list[str]:
    """The target models of a multi-model container: what lies below its prefix."""
    bucket, _, folder = prefix.removeprefix("s3://").partition("/")
    return [
        key.removeprefix(folder).removeprefix("/")
        for key in list_keys(bucket, folder)
        if key != folder and not key.endswith("/")
    ]
