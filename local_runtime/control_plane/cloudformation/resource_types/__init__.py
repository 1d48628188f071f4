"""Resource types by name."""

from __future__ import annotations

from collections.abc import Iterable

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.cloudformation.resource_types import (
    components,
    custom,
    hosting,
    identity,
    keys,
    messaging,
    monitoring,
    nested,
    network,
    recorded,
    registries,
    scaling,
    storage,
)
from local_runtime.control_plane.cloudformation.resource_types.base import ResourceType
from local_runtime.control_plane.cloudformation.resource_types.moto_model import moto_model
from local_runtime.control_plane.cloudformation.resource_types.property_names import (
    PROPERTY_NAMES,
)

TYPES: dict[str, ResourceType] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": scaling.ScalableTarget(),
    "AWS::ApplicationAutoScaling::ScalingPolicy": scaling.ScalingPolicy(),
    "AWS::CDK::Metadata": recorded.Recorded(warn=False),
    "AWS::CloudFormation::Stack": nested.NestedStack(),
    "AWS::CloudFormation::WaitConditionHandle": recorded.Recorded(warn=False),
    "AWS::CloudWatch::Alarm": monitoring.Alarm(),
    "AWS::CloudWatch::CompositeAlarm": monitoring.CompositeAlarm(),
    "AWS::CloudWatch::Dashboard": monitoring.Dashboard(),
    "AWS::EC2::SubnetRouteTableAssociation": network.SubnetRouteTableAssociation(),
    "AWS::ECR::Repository": registries.Repository(),
    "AWS::IAM::ManagedPolicy": identity.ManagedPolicy(),
    "AWS::IAM::Policy": identity.Policy(),
    "AWS::IAM::Role": identity.Role(),
    "AWS::KMS::Alias": keys.Alias(),
    "AWS::KMS::Key": keys.Key(),
    "AWS::Logs::LogGroup": monitoring.LogGroup(),
    "AWS::S3::Bucket": storage.Bucket(),
    "AWS::S3::BucketPolicy": storage.BucketPolicy(),
    "AWS::SNS::Subscription": messaging.Subscription(),
    "AWS::SNS::Topic": messaging.Topic(),
    "AWS::SNS::TopicPolicy": messaging.TopicPolicy(),
    "AWS::SQS::Queue": messaging.Queue(),
    "AWS::SQS::QueuePolicy": messaging.QueuePolicy(),
    "AWS::SSM::Parameter": registries.Parameter(),
    "AWS::SageMaker::Endpoint": hosting.Endpoint(),
    "AWS::SageMaker::EndpointConfig": hosting.EndpointConfig(),
    "AWS::SageMaker::InferenceComponent": components.InferenceComponent(),
    "AWS::SageMaker::Model": hosting.Model(),
    "Custom::CDKBucketDeployment": custom.BucketDeployment(),
    "Custom::S3AutoDeleteObjects": custom.AutoDeleteObjects(),
    "Custom::S3BucketNotifications": custom.BucketNotifications(),
}
_UNKNOWN = recorded.Recorded()


def resource_type(name: str) -> ResourceType:
    """How resources of a type are made: ours, moto's, or recorded when nothing models it."""
    known = TYPES.get(name)
    if known is not None:
        return known
    modelled = moto_model(name)
    return _UNKNOWN if modelled is None else modelled


def check_names(type_name: str, properties: Iterable[str]) -> None:
    """Refuse properties that a type does not have.

    Raises:
        ResourceFailed: there is one.
    """
    names = PROPERTY_NAMES.get(type_name)
    unknown = [] if names is None else [name for name in properties if name not in names]
    if unknown:
        raise ResourceFailed(f"Encountered unsupported property {unknown[0]}")
