"""Reusable AWS CDK constructs for Amazon SageMaker inference."""

from constructs_lib.container import Container
from constructs_lib.container_image import ContainerImage
from constructs_lib.model_artifact import ModelArtifact
from constructs_lib.network import Network
from constructs_lib.pipeline_endpoint import InferencePipelineEndpoint
from constructs_lib.realtime_endpoint import RealTimeEndpoint

__all__ = [
    "Container",
    "ContainerImage",
    "InferencePipelineEndpoint",
    "ModelArtifact",
    "Network",
    "RealTimeEndpoint",
]
