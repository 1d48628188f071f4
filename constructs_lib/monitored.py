"""An endpoint as its operators see it: what it is called, and what is expected of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import aws_cdk as cdk

from constructs_lib.endpoint import Endpoint
from constructs_lib.imported_endpoint import ImportedEndpoint
from constructs_lib.inference_component import InferenceComponent, InferenceComponentEndpoint
from constructs_lib.instances import Instances
from constructs_lib.pipeline_endpoint import InferencePipelineEndpoint
from constructs_lib.scaling import AnyScaling
from constructs_lib.serverless_endpoint import ServerlessEndpoint, ServerlessVariant
from hosting import instances as instance_facts
from hosting import objectives
from hosting.endpoint import EndpointKind

# Together with the longest names of a metric, a variant and a container, an id of 255 letters.
_SLUG_MAX_LENGTH = 100

AnyEndpoint = Endpoint | ImportedEndpoint | InferenceComponent

_KIND_TITLES: dict[EndpointKind, str] = {
    "real-time": "real-time endpoint",
    "pipeline": "inference pipeline",
    "multi-model": "multi-model endpoint",
    "async": "asynchronous endpoint",
    "serverless": "serverless endpoint",
    "inference-component": "inference component",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """What the callers of an endpoint were promised.

    Args:
        latency: within which the model answers ``percentile`` percent of the requests; nothing is
            expected of latency without it.
        percentile: above 0 and below 100.
        availability: share of the requests that are answered without an error of the server's,
            above 0 and below 1; None expects nothing.

    Raises:
        ValueError: a number is out of its range.
    """

    latency: cdk.Duration | None = None
    percentile: float = 99.0
    availability: float | None = 0.999

    def __post_init__(self) -> None:
        objectives.require(
            None if self.latency is None else self.latency.to_milliseconds(),
            self.percentile,
            self.availability,
        )

    @property
    def statistic(self) -> str:
        """The percentile as CloudWatch spells it."""
        return f"p{self.percentile:.12g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitored:
    """An endpoint, or an inference component, that dashboards show and alarms watch.

    Args:
        endpoint: of any kind.
        title: what people call it, in one line; a dashboard holds each title once.
        objective: what callers were promised.

    Raises:
        ValueError: the title has no letter or digit, is too long, or is no single line.
    """

    endpoint: AnyEndpoint
    title: str
    objective: Objective = Objective()

    def __post_init__(self) -> None:
        if not self.slug:
            raise ValueError(f"title must hold a letter or a digit, got {self.title!r}")
        if not self.title.isprintable():
            raise ValueError(f"title must be one line of text, got {self.title!r}")
        if len(self.slug) > _SLUG_MAX_LENGTH:
            raise ValueError(
                f"title must be at most {_SLUG_MAX_LENGTH} letters, or a fifth of that beyond a to"
                f" z, got {self.title!r}"
            )

    @property
    def slug(self) -> str:
        """The title as a part of a metric's id, which takes no letters beyond a to z."""
        words = re.findall(r"[^\W_]+", self.title.lower())
        return "_".join(
            "".join(each if each.isascii() else f"u{ord(each):x}" for each in word)
            for word in words
        )

    @property
    def kind(self) -> EndpointKind:
        """What the endpoint is."""
        match self.endpoint:
            case ImportedEndpoint():
                return self.endpoint.kind
            case InferenceComponent():
                return "inference-component"
            case _:
                return self.endpoint.KIND

    @property
    def description(self) -> str:
        """What the endpoint is, in words."""
        if isinstance(self.endpoint, InferenceComponentEndpoint):
            return "endpoint of inference components"
        return _KIND_TITLES[self.kind]

    @property
    def is_component(self) -> bool:
        """Whether it is one model among others on an endpoint's instances."""
        return isinstance(self.endpoint, InferenceComponent)

    @property
    def answers_requests(self) -> bool:
        """Whether it publishes metrics of requests; below components, they do that themselves."""
        return self.kind != "inference-component" or self.is_component

    @property
    def caches_models(self) -> bool:
        """Whether models are loaded when requests ask for them."""
        return self.kind == "multi-model" or (
            isinstance(self.endpoint, InferencePipelineEndpoint)
            and self.endpoint.has_multi_model_container
        )

    @property
    def name(self) -> str:
        """The endpoint's name, or the component's."""
        if isinstance(self.endpoint, InferenceComponent):
            return self.endpoint.component_name
        return self.endpoint.endpoint_name

    @property
    def fixed_name(self) -> str | None:
        """The name where it is known before the endpoint exists."""
        match self.endpoint:
            case Endpoint():
                return self.endpoint.fixed_name
            case InferenceComponent():
                return self.endpoint.component_name
            case ImportedEndpoint():
                return self.endpoint.endpoint_name

    @property
    def variant_names(self) -> tuple[str, ...]:
        """Of its production variants, the main one first; none for a component."""
        if isinstance(self.endpoint, InferenceComponent):
            return ()
        return self.endpoint.variant_names

    @property
    def serverless(self) -> ServerlessVariant | None:
        """Its size, if it is serverless and defined here."""
        return self.endpoint.variant if isinstance(self.endpoint, ServerlessEndpoint) else None

    @property
    def runs_on_instances(self) -> bool:
        """Whether instances of its own are behind it."""
        return self.kind != "serverless" and not self.is_component

    def fleet(self, variant_name: str) -> Instances | None:
        """What a variant runs on, where that is known."""
        if isinstance(self.endpoint, InferenceComponent):
            return None
        return self.endpoint.fleets.get(variant_name)

    def scaling(self, variant_name: str) -> AnyScaling | None:
        """How a variant is scaled, if it is."""
        if not isinstance(self.endpoint, Endpoint):
            return None
        return self.endpoint.scalings.get(variant_name)

    def container_names(self, variant_name: str) -> tuple[str, ...]:
        """Names under which a pipeline's containers publish their latency."""
        if isinstance(self.endpoint, InferencePipelineEndpoint | ImportedEndpoint):
            return self.endpoint.container_names.get(variant_name, ())
        return ()

    def cores(self, variant_name: str) -> int | None:
        """Processors of each instance; None where types differ or are not known."""
        return self._per_instance(variant_name, "vcpus")

    def gpus(self, variant_name: str) -> int | None:
        """GPUs of each instance; None where types differ or are not known."""
        return self._per_instance(variant_name, "gpus")

    def _per_instance(self, variant_name: str, attribute: str) -> int | None:
        fleet = self.fleet(variant_name)
        known = instance_facts.instance_types()
        if fleet is None or any(each not in known for each in fleet.types):
            return None
        counts = {getattr(instance_facts.instance_type(each), attribute) for each in fleet.types}
        return counts.pop() if len(counts) == 1 else None
