"""Reusable AWS CDK constructs for Amazon SageMaker inference."""

from constructs_lib.alarm_thresholds import (
    ComponentThresholds,
    InstanceThresholds,
    ModelThresholds,
    QueueThresholds,
    RequestThresholds,
    ServerlessThresholds,
)
from constructs_lib.alarm_topic import AlarmTopic
from constructs_lib.alarms import EndpointAlarms
from constructs_lib.async_endpoint import AsyncEndpoint
from constructs_lib.benchmark_job import BenchmarkJob
from constructs_lib.container import Container, MultiModelContainer
from constructs_lib.container_image import ContainerImage
from constructs_lib.dashboard import InferenceDashboard
from constructs_lib.data_capture import DataCapture
from constructs_lib.endpoint_widgets import EndpointWidgets
from constructs_lib.imported_endpoint import ImportedEndpoint
from constructs_lib.inference_component import (
    AdapterComponent,
    ComputeNeeds,
    CopyScaling,
    InferenceComponent,
    InferenceComponentEndpoint,
)
from constructs_lib.instances import InstancePool, Instances, ManagedScaling
from constructs_lib.measures import EndpointMeasures, Measure
from constructs_lib.model_artifact import ModelArtifact
from constructs_lib.model_store import ModelStore
from constructs_lib.monitored import Monitored, Objective
from constructs_lib.multi_container_endpoint import MultiContainerEndpoint
from constructs_lib.multi_model_endpoint import MultiModelEndpoint
from constructs_lib.network import Network
from constructs_lib.pipeline_endpoint import InferencePipelineEndpoint
from constructs_lib.realtime_endpoint import RealTimeEndpoint
from constructs_lib.rollout import Rollout
from constructs_lib.scaling import (
    BacklogScaling,
    ConcurrencyScaling,
    InvocationScaling,
    ProvisionedConcurrencyScaling,
    ScheduledCapacity,
    UtilizationScaling,
)
from constructs_lib.serverless_endpoint import (
    ServerlessComparison,
    ServerlessEndpoint,
    ServerlessVariant,
)
from constructs_lib.variant import Variant

__all__ = [
    "AdapterComponent",
    "AlarmTopic",
    "AsyncEndpoint",
    "BacklogScaling",
    "BenchmarkJob",
    "ComponentThresholds",
    "ComputeNeeds",
    "ConcurrencyScaling",
    "Container",
    "ContainerImage",
    "CopyScaling",
    "DataCapture",
    "EndpointAlarms",
    "EndpointMeasures",
    "EndpointWidgets",
    "ImportedEndpoint",
    "InferenceComponent",
    "InferenceComponentEndpoint",
    "InferenceDashboard",
    "InferencePipelineEndpoint",
    "InstancePool",
    "InstanceThresholds",
    "Instances",
    "InvocationScaling",
    "ManagedScaling",
    "Measure",
    "ModelArtifact",
    "ModelStore",
    "ModelThresholds",
    "Monitored",
    "MultiContainerEndpoint",
    "MultiModelContainer",
    "MultiModelEndpoint",
    "Network",
    "Objective",
    "ProvisionedConcurrencyScaling",
    "QueueThresholds",
    "RealTimeEndpoint",
    "RequestThresholds",
    "Rollout",
    "ScheduledCapacity",
    "ServerlessComparison",
    "ServerlessEndpoint",
    "ServerlessThresholds",
    "ServerlessVariant",
    "UtilizationScaling",
    "Variant",
]
