"""What templates serve: endpoints with their configurations, variants, models and scaling.

Built once per set of templates, so that a rule can follow a reference in one step. A reference
that leads to no resource of the templates, or to several, is None: it cannot be decided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from constructs_lib.rules import values
from constructs_lib.rules.resources import Resource, Templates, by_name, nearest
from hosting import images, instances
from hosting.expression import Unresolved

_PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")
_TARGET = re.compile(
    r"endpoint/(?P<endpoint>.+)/variant/(?P<variant>[^/]+)|inference-component/(?P<component>.+)"
)
# Stands for a part of an address that is not known; no repository is called so.
_SOMETHING = "unknown-part"


@dataclass(frozen=True, eq=False)
class Container:
    """One container of a model; ``path`` is its place in the resource."""

    resource: Resource
    path: str
    definition: Any

    def get(self, *path: str) -> Any:
        """A property; None when it is absent, unresolved when that cannot be told."""
        return values.at(self.definition, *path)

    @property
    def mode(self) -> str | None:
        """SingleModel unless the template says otherwise; None when it cannot be told."""
        mode = self.get("Mode")
        return "SingleModel" if mode is None else values.text(mode)

    @cached_property
    def image(self) -> images.ImageReference | None:
        """The image, where at least its repository is known."""
        address = values.expression(self.get("Image"))
        if address is None:
            return None
        readable = _PLACEHOLDER.sub(_SOMETHING, address)
        if "${" in readable:
            return None
        try:
            parsed = images.parse_image_uri(readable)
        except ValueError:
            return None
        return None if _SOMETHING in parsed.repository else parsed


@dataclass(frozen=True, eq=False)
class Model:
    """A model and its containers, in order."""

    resource: Resource

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        """The containers that can be read."""
        primary = self.resource.get("PrimaryContainer")
        if isinstance(primary, Mapping):
            return (Container(self.resource, "Properties.PrimaryContainer", primary),)
        return tuple(
            Container(self.resource, f"Properties.Containers.{position}", definition)
            for position, definition in enumerate(values.items(self.resource.get("Containers")))
            if isinstance(definition, Mapping)
        )

    @cached_property
    def is_complete(self) -> bool:
        """Whether ``containers`` are all there are."""
        if isinstance(self.resource.get("PrimaryContainer"), Mapping):
            return True
        containers = self.resource.get("Containers")
        return isinstance(containers, list) and len(containers) == len(self.containers)

    @property
    def is_multi_model(self) -> bool | None:
        """Whether a container loads models on demand; None when it cannot be told."""
        modes = [container.mode for container in self.containers]
        if "MultiModel" in modes:
            return True
        return None if None in modes or not self.is_complete else False

    @property
    def has_several_containers(self) -> bool | None:
        """Whether it is a pipeline or invoked container by container."""
        if len(self.containers) > 1:
            return True
        return False if self.is_complete else None

    @property
    def execution_mode(self) -> str | None:
        """Serial unless the template says otherwise; None when it cannot be told."""
        mode = self.resource.get("InferenceExecutionConfig", "Mode")
        return "Serial" if mode is None else values.text(mode)


@dataclass(frozen=True, eq=False)
class Variant:
    """A production or shadow variant of an endpoint configuration."""

    config: EndpointConfig
    path: str
    definition: Any
    model: Model | None

    def get(self, *path: str) -> Any:
        """A property; None when it is absent, unresolved when that cannot be told."""
        return values.at(self.definition, *path)

    @property
    def name(self) -> str | None:
        """Its name, or the expression that gives it."""
        return values.expression(self.get("VariantName"))

    @property
    def is_serverless(self) -> bool | None:
        """Whether it has no instances; None when it cannot be told."""
        serverless = self.get("ServerlessConfig")
        if isinstance(serverless, Mapping):
            return True
        return None if isinstance(serverless, Unresolved) else False

    @property
    def instance_type(self) -> str | None:
        """The instance type, where it is known."""
        return values.text(self.get("InstanceType"))

    @property
    def processor(self) -> instances.Processor | None:
        """What its instances compute with, where the instance type is known."""
        try:
            return None if self.instance_type is None else instances.processor(self.instance_type)
        except ValueError:
            return None

    @property
    def hosts_components(self) -> bool | None:
        """Whether it leaves its models to inference components."""
        name = self.get("ModelName")
        return True if name is None else (False if values.given(name) else None)


@dataclass(frozen=True, eq=False)
class EndpointConfig:
    """An endpoint configuration and its variants."""

    resource: Resource
    find_model: Callable[[Resource, Any], Model | None]

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """The production variants that can be read."""
        return self._variants("ProductionVariants")

    @cached_property
    def shadows(self) -> tuple[Variant, ...]:
        """The shadow variants that can be read."""
        return self._variants("ShadowProductionVariants")

    @property
    def all_variants(self) -> tuple[Variant, ...]:
        """Production and shadow variants."""
        return (*self.variants, *self.shadows)

    @cached_property
    def is_complete(self) -> bool:
        """Whether the variants are all there are."""
        production = self.resource.get("ProductionVariants")
        shadows = self.resource.get("ShadowProductionVariants")
        return (
            isinstance(production, list)
            and len(production) == len(self.variants)
            and (shadows is None or isinstance(shadows, list))
            and len(values.items(shadows)) == len(self.shadows)
        )

    @property
    def is_async(self) -> bool | None:
        """Whether requests wait in a queue; None when it cannot be told."""
        config = self.resource.get("AsyncInferenceConfig")
        if isinstance(config, Mapping):
            return True
        return None if isinstance(config, Unresolved) else False

    def _variants(self, field: str) -> tuple[Variant, ...]:
        return tuple(
            Variant(
                self,
                f"Properties.{field}.{position}",
                definition,
                self.find_model(self.resource, values.at(definition, "ModelName")),
            )
            for position, definition in enumerate(values.items(self.resource.get(field)))
            if isinstance(definition, Mapping)
        )


@dataclass(frozen=True, eq=False)
class Endpoint:
    """An endpoint and the configuration it starts with."""

    resource: Resource
    config: EndpointConfig | None


@dataclass(frozen=True, eq=False)
class Target:
    """A scalable target on a variant or an inference component."""

    resource: Resource
    kind: Literal["variant", "component", "malformed", "unknown"]
    endpoint: Endpoint | None = None
    variant_name: str | None = None

    @property
    def dimension(self) -> str | None:
        """What is scaled."""
        return values.text(self.resource.get("ScalableDimension"))

    @property
    def min_capacity(self) -> float | None:
        """The fewest there will be, where it is known."""
        return values.number(self.resource.get("MinCapacity"))

    @property
    def variant(self) -> Variant | None:
        """The variant it scales, where the templates define it."""
        if self.endpoint is None or self.endpoint.config is None:
            return None
        named = [each for each in self.endpoint.config.variants if each.name == self.variant_name]
        return named[0] if len(named) == 1 else None


@dataclass(frozen=True, eq=False)
class Policy:
    """A scaling policy and its target."""

    resource: Resource
    target: Target | None

    @property
    def type(self) -> str | None:
        """TargetTrackingScaling, StepScaling or what else the template says."""
        given = self.resource.get("PolicyType")
        if given is not None:
            return values.text(given)
        for kind in ("TargetTrackingScaling", "StepScaling"):
            if isinstance(self.resource.get(f"{kind}PolicyConfiguration"), Mapping):
                return kind
        return None


class Serving:
    """Everything that the templates serve with."""

    def __init__(self, templates: Templates) -> None:
        self.templates = templates
        self.models = tuple(Model(each) for each in templates.of_type("AWS::SageMaker::Model"))
        self.configs = tuple(
            EndpointConfig(each, self._model)
            for each in templates.of_type("AWS::SageMaker::EndpointConfig")
        )
        self.endpoints = tuple(
            Endpoint(each, self._config(each))
            for each in templates.of_type("AWS::SageMaker::Endpoint")
        )
        self.components = tuple(templates.of_type("AWS::SageMaker::InferenceComponent"))
        self.targets = tuple(
            self._target(each)
            for each in templates.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
            if _is_sagemaker(each)
        )
        self.policies = tuple(
            Policy(each, self._scaled_by(each))
            for each in templates.of_type("AWS::ApplicationAutoScaling::ScalingPolicy")
        )
        self.alarms = tuple(templates.of_type("AWS::CloudWatch::Alarm"))

    def policies_of(self, target: Target) -> Iterator[Policy]:
        """The policies on a target."""
        return (policy for policy in self.policies if policy.target is target)

    def targets_of(self, variant: Variant) -> Iterator[Target]:
        """The targets that scale a variant."""
        return (target for target in self.targets if target.variant is variant)

    def endpoints_of(self, config: EndpointConfig) -> Iterator[Endpoint]:
        """The endpoints that start with a configuration."""
        return (endpoint for endpoint in self.endpoints if endpoint.config is config)

    def configs_of(self, model: Model) -> Iterator[tuple[EndpointConfig, Variant]]:
        """The variants that serve a model."""
        for config in self.configs:
            for variant in config.all_variants:
                if variant.model is model:
                    yield config, variant

    def endpoint_named(self, asking: Resource, name: Any) -> Endpoint | None:
        """The endpoint that a name or an expression stands for."""
        expression = values.expression(name)
        if expression is None:
            return None
        found = nearest(self._endpoints_by_name.get(expression, ()), asking, expression)
        return None if found is None else self._endpoint_of[found]

    @cached_property
    def _endpoint_of(self) -> dict[Resource, Endpoint]:
        return {endpoint.resource: endpoint for endpoint in self.endpoints}

    @cached_property
    def _endpoints_by_name(self) -> dict[str, list[Resource]]:
        return by_name(self._endpoint_of, "EndpointName", "EndpointName")

    @cached_property
    def _configs_by_name(self) -> dict[str, list[Resource]]:
        return by_name(
            (config.resource for config in self.configs), "EndpointConfigName", "EndpointConfigName"
        )

    @cached_property
    def _models_by_name(self) -> dict[str, list[Resource]]:
        return by_name((model.resource for model in self.models), "ModelName", "ModelName")

    def _model(self, asking: Resource, name: Any) -> Model | None:
        expression = values.expression(name)
        found = (
            None
            if expression is None
            else nearest(self._models_by_name.get(expression, ()), asking, expression)
        )
        return next((model for model in self.models if model.resource is found), None)

    def _config(self, endpoint: Resource) -> EndpointConfig | None:
        name = values.expression(endpoint.get("EndpointConfigName"))
        found = (
            None if name is None else nearest(self._configs_by_name.get(name, ()), endpoint, name)
        )
        return next((config for config in self.configs if config.resource is found), None)

    def _target(self, resource: Resource) -> Target:
        resource_id = values.expression(resource.get("ResourceId"))
        if resource_id is None or "${Fn::" in resource_id or resource_id.startswith("${"):
            return Target(resource, "unknown")
        parts = _TARGET.fullmatch(resource_id)
        if parts is None:
            return Target(resource, "unknown" if "${" in resource_id else "malformed")
        if parts["component"] is not None:
            return Target(resource, "component")
        endpoint = self.endpoint_named(resource, Unresolved(parts["endpoint"]))
        return Target(resource, "variant", endpoint, parts["variant"])

    def _scaled_by(self, policy: Resource) -> Target | None:
        """The target of a policy, which names it or repeats its three coordinates."""
        target_id = values.expression(policy.get("ScalingTargetId"))
        if target_id is not None:
            return next(
                (
                    each
                    for each in self.targets
                    if target_id in {each.resource.ref, each.resource.attribute("Id")}
                ),
                None,
            )
        place = _coordinates(policy)
        found = [each for each in self.targets if _coordinates(each.resource) == place]
        return found[0] if len(found) == 1 and None not in place else None


def _coordinates(resource: Resource) -> tuple[str | None, str | None]:
    return (
        values.expression(resource.get("ResourceId")),
        values.expression(resource.get("ScalableDimension")),
    )


def _is_sagemaker(target: Resource) -> bool:
    namespace = values.text(target.get("ServiceNamespace"))
    if namespace is not None:
        return namespace == "sagemaker"
    dimension = values.text(target.get("ScalableDimension"))
    return dimension is not None and dimension.startswith("sagemaker:")
