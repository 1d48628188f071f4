"""One container of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from constructs_lib.container_image import ContainerImage
from constructs_lib.execution_role import ExecutionRole
from constructs_lib.model_artifact import ArtifactLocation, ModelArtifact
from hosting import validation


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """An image, the model it serves and the settings it starts with.

    Args:
        image: what runs.
        artifact: what is unpacked to ``/opt/ml/model``; without one the image holds its model.
        environment: variables of the container. What the artifact sets for its handler
            (``SAGEMAKER_PROGRAM``, ``SAGEMAKER_SUBMIT_DIRECTORY``) may be overridden here.
        hostname: the container's name in logs, metrics and direct invocations. Without it SageMaker
            assigns one by position; name all containers of a model or none.

    Raises:
        ValueError: the host name or a variable is not what SageMaker accepts.
    """

    image: ContainerImage
    artifact: ModelArtifact | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    hostname: str | None = None

    def __post_init__(self) -> None:
        validation.require(
            [] if self.hostname is None else validation.name("hostname", self.hostname),
            validation.environment([_known(self.environment)]),
        )

    def render(
        self, scope: Construct, role: ExecutionRole
    ) -> sagemaker.CfnModel.ContainerDefinitionProperty:
        """Define what the container needs under ``scope``; let ``role`` read and pull it."""
        location = (
            ArtifactLocation(url=None, environment={})
            if self.artifact is None
            else self.artifact.bind(scope, role)
        )
        environment = {**location.environment, **self.environment}
        return sagemaker.CfnModel.ContainerDefinitionProperty(
            image=self.image.bind(scope, role),
            model_data_url=location.url,
            environment=environment if environment else None,
            container_hostname=self.hostname,
        )


def require_containers(containers: Sequence[Container]) -> None:
    """Check what must hold across the containers of one model.

    Raises:
        ValueError: host names are repeated or partly missing, or the environments are too large.
    """
    validation.require(
        validation.hostnames([container.hostname for container in containers]),
        validation.environment([_known(container.environment) for container in containers]),
    )


def _known(environment: Mapping[str, str]) -> dict[str, str]:
    """The entries whose value is known now; a token has no length yet."""
    return {key: value for key, value in environment.items() if not cdk.Token.is_unresolved(value)}
