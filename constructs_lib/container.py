"""The containers of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from constructs_lib.container_image import ContainerImage
from constructs_lib.execution_role import ExecutionRole
from constructs_lib.model_artifact import ModelArtifact
from constructs_lib.model_store import ModelStore
from hosting import validation

ContainerDefinition = sagemaker.CfnModel.ContainerDefinitionProperty


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """An image, the model it serves and the settings it starts with.

    Args:
        image: what runs; may be left out when a model package names it.
        artifact: what is unpacked to ``/opt/ml/model``; without one the image holds its model.
        model_package: ARN of a model package in the registry, instead of image and artifact.
        environment: variables of the container. What the artifact sets for its handler
            (``SAGEMAKER_PROGRAM``, ``SAGEMAKER_SUBMIT_DIRECTORY``) may be overridden here.
        hostname: the container's name in logs, metrics and direct invocations. Without it SageMaker
            assigns one by position; name all containers of a model or none.

    Raises:
        ValueError: the host name or a variable is not what SageMaker accepts, or there is nothing
            to run.
    """

    image: ContainerImage | None = None
    artifact: ModelArtifact | None = None
    model_package: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    hostname: str | None = None

    def __post_init__(self) -> None:
        if (self.image is None) == (self.model_package is None):
            raise ValueError(
                "either image or model_package must be given,"
                f" got {'neither' if self.image is None else 'both'}"
            )
        if self.model_package is not None and self.artifact is not None:
            raise ValueError("artifact must be left out with model_package, which names its own")
        _require(self.hostname, self.environment)

    def render(self, scope: Construct, role: ExecutionRole) -> ContainerDefinition:
        """Define what the container needs under ``scope``; let ``role`` read and pull it."""
        artifact = self.artifact
        location = None if artifact is None else artifact.bind(scope, role)
        archived = artifact is None or artifact.compressed
        image = None if self.image is None else self.image.bind(scope, role)
        handler = {} if location is None else location.environment
        environment = {**handler, **self.environment}
        return ContainerDefinition(
            image=None if image is None else image.uri,
            image_config=None if image is None else image.config,
            model_package_name=self.model_package,
            model_data_url=location.url if location is not None and archived else None,
            model_data_source=None
            if location is None or archived
            else sagemaker.CfnModel.ModelDataSourceProperty(
                s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
                    s3_uri=location.url, s3_data_type="S3Prefix", compression_type="None"
                )
            ),
            environment=environment if environment else None,
            container_hostname=self.hostname,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiModelContainer:
    """An image that loads the model which each request names, out of a store.

    Behind ``MultiModelEndpoint`` it stands alone; one of a pipeline's containers may be one too.

    Args:
        image: must implement the container API of multi-model endpoints.
        store: where the models are.
        caches_models: whether a model stays in memory after it answered. Switch it off for many
            models of which each is asked rarely.
        environment: variables of the container.
        hostname: as for ``Container``.

    Raises:
        ValueError: the host name or a variable is not what SageMaker accepts.
    """

    image: ContainerImage
    store: ModelStore
    caches_models: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    hostname: str | None = None

    def __post_init__(self) -> None:
        _require(self.hostname, self.environment)

    def render(self, scope: Construct, role: ExecutionRole) -> ContainerDefinition:
        """Define what the container needs under ``scope``; let ``role`` read and pull it."""
        role.allow_reading_prefix(self.store.bucket, self.store.prefix)
        image = self.image.bind(scope, role)
        return ContainerDefinition(
            image=image.uri,
            image_config=image.config,
            mode="MultiModel",
            model_data_url=self.store.url,
            multi_model_config=None
            if self.caches_models
            else sagemaker.CfnModel.MultiModelConfigProperty(model_cache_setting="Disabled"),
            environment=dict(self.environment) if self.environment else None,
            container_hostname=self.hostname,
        )


AnyContainer = Container | MultiModelContainer


def require_containers(containers: Sequence[AnyContainer], *, direct: bool = False) -> None:
    """Check what must hold across the containers of one model.

    Args:
        containers: of one model.
        direct: whether they are invoked one by one, each by its host name.

    Raises:
        ValueError: host names are repeated or partly missing, the environments are too large, or
            there are two multi-model containers.
    """
    validation.require(
        validation.hostnames([container.hostname for container in containers], direct=direct),
        validation.environment([_known(container.environment) for container in containers]),
        validation.multi_model_containers(
            [
                "MultiModel" if isinstance(container, MultiModelContainer) else "SingleModel"
                for container in containers
            ]
        ),
    )


def _require(hostname: str | None, environment: Mapping[str, str]) -> None:
    validation.require(
        [] if hostname is None else validation.name("hostname", hostname),
        validation.environment([_known(environment)]),
    )


def _known(environment: Mapping[str, str]) -> dict[str, str]:
    """The entries whose value is known now; a token has no length yet."""
    return {key: value for key, value in environment.items() if not cdk.Token.is_unresolved(value)}
