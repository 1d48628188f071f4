"""Container images: AWS's framework images, an ECR repository, or a Dockerfile of one's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from constructs_lib.execution_role import ExecutionRole
from hosting import images
from hosting.images import FrameworkImage, ImageProcessor


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundImage:
    """An image's address, and how SageMaker reaches it where that is not ECR's way."""

    uri: str
    config: sagemaker.CfnModel.ImageConfigProperty | None = None


class ContainerImage(ABC):
    """The image of a container.

    Make one with ``from_framework``, ``from_repository``, ``from_private_registry`` or
    ``from_dockerfile``; one image may serve several containers and endpoints.
    """

    @property
    def processor(self) -> ImageProcessor | None:
        """What the image computes with; None where that cannot be known."""
        return None

    @property
    def repository_name(self) -> str | None:
        """The repository, which tells the model server of AWS's images; None where unknown."""
        return None

    @abstractmethod
    def bind(self, scope: Construct, role: ExecutionRole) -> BoundImage:
        """Say where the image is, seen from ``scope``'s stack, and let ``role`` pull it."""

    @staticmethod
    def from_framework(
        framework: str,
        *,
        version: str | None = None,
        processor: ImageProcessor = "cpu",
        region: str | None = None,
    ) -> ContainerImage:
        """Use an image that AWS maintains for a framework.

        Found without network, in the table of ``hosting.images``.

        Args:
            framework: such as ``scikit-learn``, ``xgboost``, ``pytorch``.
            version: the framework's; without it, the newest that the table knows.
            processor: ``cpu``, ``gpu`` or ``graviton``.
            region: where the image is pulled from; without it, the stack's region.

        Raises:
            ValueError: there is no such image. The message lists what there is.
        """
        image = images.find(framework=framework, version=version, processor=processor)
        if region is not None:
            image.uri(region)
        return _FrameworkImage(image=image, region=region)

    @staticmethod
    def from_repository(repository: ecr.IRepository, *, tag_or_digest: str) -> ContainerImage:
        """Use an image from a private ECR repository."""
        return _RepositoryImage(repository=repository, tag_or_digest=tag_or_digest)

    @staticmethod
    def from_private_registry(
        uri: str, *, credentials_provider: lambda_.IFunction | None = None
    ) -> ContainerImage:
        """Use an image from a Docker registry in your VPC; the endpoint must be given a network.

        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-containers-inference-private.html
        (2026-11-20)

        Args:
            uri: the image's address.
            credentials_provider: a function that answers with the registry's credentials, where it
                asks for them.
        """
        return _PrivateRegistryImage(uri=uri, credentials_provider=credentials_provider)

    @staticmethod
    def from_dockerfile(
        directory: str | Path,
        *,
        file: str = "Dockerfile",
        platform: ecr_assets.Platform | None = None,
    ) -> ContainerImage:
        """Build an image from a Dockerfile when the stack is deployed, which needs Docker.

        Args:
            directory: the build context.
            file: the Dockerfile in it.
            platform: without it, ``linux/amd64``, because a laptop's own may differ from the
                instance's.
        """
        return _DockerfileImage(directory=Path(directory), file=file, platform=platform)


@dataclass(frozen=True, kw_only=True)
class _FrameworkImage(ContainerImage):
    image: FrameworkImage
    region: str | None

    @property
    def processor(self) -> ImageProcessor:
        return self.image.processor

    @property
    def repository_name(self) -> str:
        return self.image.repository

    def bind(self, scope: Construct, role: ExecutionRole) -> BoundImage:
        stack = cdk.Stack.of(scope)
        region = stack.region if self.region is None else self.region
        if cdk.Token.is_unresolved(region):
            account, uri = self._in_any_region(scope, stack)
        else:
            uri = self.image.uri(region)
            account = self.image.registries[region]
        _grant_pull(
            role,
            stack.format_arn(
                service="ecr",
                account=account,
                region=region,
                resource="repository",
                resource_name=self.image.repository,
            ),
        )
        return BoundImage(uri=uri)

    def _in_any_region(self, scope: Construct, stack: cdk.Stack) -> tuple[str, str]:
        """The registry's account and the image's URI, looked up when the stack is deployed."""
        registries = cdk.CfnMapping(
            scope,
            "Registries",
            mapping={
                region: {"Account": account} for region, account in self.image.registries.items()
            },
        )
        account = registries.find_in_map(stack.region, "Account")
        host = f"{account}.dkr.ecr.{stack.region}.{stack.url_suffix}"
        return account, f"{host}/{self.image.repository}:{self.image.tag}"


@dataclass(frozen=True, kw_only=True)
class _RepositoryImage(ContainerImage):
    repository: ecr.IRepository
    tag_or_digest: str

    def bind(self, scope: Construct, role: ExecutionRole) -> BoundImage:  # noqa: ARG002
        _grant_pull(role, self.repository.repository_arn)
        uri = self.repository.repository_uri_for_tag_or_digest(self.tag_or_digest)
        return BoundImage(uri=uri)


@dataclass(frozen=True, kw_only=True)
class _PrivateRegistryImage(ContainerImage):
    uri: str
    credentials_provider: lambda_.IFunction | None

    def bind(self, scope: Construct, role: ExecutionRole) -> BoundImage:  # noqa: ARG002
        provider = self.credentials_provider
        if provider is not None:
            role.allow("lambda:InvokeFunction", resource=provider.function_arn)
        return BoundImage(
            uri=self.uri,
            config=sagemaker.CfnModel.ImageConfigProperty(
                repository_access_mode="Vpc",
                repository_auth_config=None
                if provider is None
                else sagemaker.CfnModel.RepositoryAuthConfigProperty(
                    repository_credentials_provider_arn=provider.function_arn
                ),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class _DockerfileImage(ContainerImage):
    directory: Path
    file: str
    platform: ecr_assets.Platform | None

    def __post_init__(self) -> None:
        if not (self.directory / self.file).is_file():
            raise ValueError(f"directory must hold {self.file!r}, got {str(self.directory)!r}")

    def bind(self, scope: Construct, role: ExecutionRole) -> BoundImage:
        asset = ecr_assets.DockerImageAsset(
            scope,
            "Image",
            directory=str(self.directory),
            file=self.file,
            platform=ecr_assets.Platform.LINUX_AMD64 if self.platform is None else self.platform,
        )
        _grant_pull(role, asset.repository.repository_arn)
        return BoundImage(uri=asset.image_uri)


def _grant_pull(role: ExecutionRole, repository_arn: str) -> None:
    """Let ``role`` pull from one repository; its authorization token it has already.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (2026-11-20)
    """
    role.allow(
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
        resource=repository_arn,
    )
