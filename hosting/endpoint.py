"""What an endpoint is made of, as frozen values.

The field names follow the SageMaker API. ``EndpointSpec.from_api`` reads the requests of
CreateEndpointConfig and CreateModel; ``hosting.template`` reads a synthesized template. Both
end in the same objects, so every tool sees the same endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

ContainerMode = Literal["SingleModel", "MultiModel"]
ExecutionMode = Literal["Serial", "Direct"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerSpec:
    """One container of a model, in the order of execution.

    ``hostname`` is always set: SageMaker assigns names by position when the caller gives none.
    How it spells them is not documented; ``container-N``, counted from 1, is our choice.
    """

    image: str
    hostname: str
    model_data_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    mode: ContainerMode = "SingleModel"

    @classmethod
    def from_api(cls, definition: Mapping[str, Any], *, position: int) -> ContainerSpec:
        """Read a ContainerDefinition; ``position`` counts from 1."""
        return cls(
            image=definition.get("Image", ""),
            hostname=definition.get("ContainerHostname", f"container-{position}"),
            model_data_url=_model_data_url(definition),
            environment=dict(definition.get("Environment", {})),
            mode=definition.get("Mode", "SingleModel"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """A model: 1 container, or 2-15 that form a pipeline or are invoked directly."""

    name: str
    containers: tuple[ContainerSpec, ...]
    execution_mode: ExecutionMode = "Serial"
    execution_role_arn: str | None = None

    @classmethod
    def from_api(cls, request: Mapping[str, Any]) -> ModelSpec:
        """Read a CreateModel request."""
        primary = request.get("PrimaryContainer")
        definitions: Sequence[Mapping[str, Any]] = (
            [primary] if primary is not None else request.get("Containers", [])
        )
        return cls(
            name=request["ModelName"],
            containers=tuple(
                ContainerSpec.from_api(definition, position=position)
                for position, definition in enumerate(definitions, start=1)
            ),
            execution_mode=request.get("InferenceExecutionConfig", {}).get("Mode", "Serial"),
            execution_role_arn=request.get("ExecutionRoleArn"),
        )

    @property
    def is_pipeline(self) -> bool:
        """Whether each answer becomes the next container's request."""
        return len(self.containers) > 1 and self.execution_mode == "Serial"


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantSpec:
    """A production variant on instances."""

    name: str
    model: ModelSpec
    instance_type: str | None = None
    initial_instance_count: int = 1
    initial_weight: float = 1.0
    startup_timeout_s: int | None = None
    model_download_timeout_s: int | None = None

    @classmethod
    def from_api(
        cls, variant: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]
    ) -> VariantSpec:
        """Read a ProductionVariant; ``models`` maps a model's name to its CreateModel request."""
        return cls(
            name=variant["VariantName"],
            model=ModelSpec.from_api(models[variant["ModelName"]]),
            instance_type=variant.get("InstanceType"),
            initial_instance_count=variant.get("InitialInstanceCount", 1),
            initial_weight=variant.get("InitialVariantWeight", 1.0),
            startup_timeout_s=variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
            model_download_timeout_s=variant.get("ModelDataDownloadTimeoutInSeconds"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointSpec:
    """An endpoint and everything it serves with."""

    name: str
    config_name: str
    variants: tuple[VariantSpec, ...]

    @classmethod
    def from_api(
        cls,
        name: str,
        config: Mapping[str, Any],
        models: Mapping[str, Mapping[str, Any]],
    ) -> EndpointSpec:
        """Read a CreateEndpointConfig request and the CreateModel requests that it names."""
        return cls(
            name=name,
            config_name=config["EndpointConfigName"],
            variants=tuple(
                VariantSpec.from_api(variant, models)
                for variant in config["ProductionVariants"]
            ),
        )


def _model_data_url(definition: Mapping[str, Any]) -> str | None:
    source = definition.get("ModelDataSource")
    if source is not None:
        return str(source["S3DataSource"]["S3Uri"])
    url = definition.get("ModelDataUrl")
    return None if url is None else str(url)
