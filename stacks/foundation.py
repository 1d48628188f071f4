"""What every stack takes from its environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib import (
    AlarmTopic,
    AsyncEndpoint,
    Container,
    ContainerImage,
    EndpointAlarms,
    InferenceDashboard,
    ModelArtifact,
    Monitored,
)
from constructs_lib.acknowledgment import acknowledge
from constructs_lib.encryption import acknowledge_missing_key
from constructs_lib.endpoint import Endpoint
from constructs_lib.instance_endpoint import InstanceEndpoint
from constructs_lib.model_artifact import PackagedArtifact
from model_code.handler import Handler
from stacks.environments import Environment

# The images that the handlers were written and tested for.
SCIKIT_LEARN = ContainerImage.from_framework("scikit-learn", version="1.4-2-py312")
XGBOOST = ContainerImage.from_framework("xgboost", version="3.0-5")
HUGGING_FACE = ContainerImage.from_framework("huggingface")


class InferenceStack(cdk.Stack):
    """A stack of one environment, with the key that encrypts what it stores.

    Stacks share nothing, so that each is deployed, changed and deleted without regard to others.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, **kwargs: Any
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=environment.cdk_environment,
            termination_protection=environment.termination_protection,
            **kwargs,
        )
        self.environment_settings = environment
        self.key = self._key(environment)

    def announce(self, kind: str, endpoint: Endpoint) -> None:
        """Say the endpoint's name in an output that starts with its kind."""
        cdk.CfnOutput(self, f"{kind}EndpointName", value=endpoint.endpoint_name)
        if self.key is None:
            reason = (
                "this environment serves public sample data and leaves encryption to AWS's own keys"
            )
            acknowledge_missing_key(endpoint, reason)
            acknowledge(endpoint, "NIST.800.53.R5-CloudWatchLogGroupEncrypted", reason)

    def announce_async(self, kind: str, endpoint: AsyncEndpoint) -> None:
        """Say also where requests are put, where answers are found, and who tells of them."""
        self.announce(kind, endpoint)
        for name, value in {
            "InputPrefix": endpoint.bucket.s3_url_for_object(endpoint.input_prefix),
            "OutputPrefix": endpoint.bucket.s3_url_for_object(endpoint.output_prefix),
            "SuccessTopicArn": endpoint.success_topic.topic_arn,
            "ErrorTopicArn": endpoint.error_topic.topic_arn,
        }.items():
            cdk.CfnOutput(self, f"{kind}{name}", value=value)

    def monitor(self, *endpoints: Monitored) -> None:
        """Show the stack's endpoints on a dashboard of its own, and watch them."""
        alarms = self._alarms(endpoints) if self.environment_settings.alarms else []
        dashboard = InferenceDashboard(
            self,
            "Dashboard",
            endpoints=endpoints,
            alarms=[each.composite for each in alarms],
            # Dashboards belong to no region, so that the region is part of the name.
            dashboard_name=f"{self.stack_name}-{self.environment_settings.region}",
        )
        cdk.CfnOutput(self, "DashboardName", value=dashboard.dashboard_name)

    def _alarms(self, endpoints: Sequence[Monitored]) -> list[EndpointAlarms]:
        topic = AlarmTopic(self, "AlarmTopic", encryption_key=self.key).topic
        cdk.CfnOutput(self, "AlarmTopicArn", value=topic.topic_arn)
        rollout = self.environment_settings.rollout
        found = []
        for each in endpoints:
            guarded = each.endpoint if isinstance(each.endpoint, InstanceEndpoint) else None
            alarms = EndpointAlarms(
                self,
                f"{each.endpoint.node.id}Alarms",
                monitored=each,
                topic=topic,
                updates=rollout is not None and guarded is not None,
            )
            if rollout is not None and guarded is not None:
                guarded.roll_out(rollout, alarms=alarms.rollback)
            found.append(alarms)
        return found

    def _key(self, environment: Environment) -> kms.Key | None:
        if not environment.customer_managed_key:
            return None
        return kms.Key(
            self,
            "Key",
            description="Storage volumes, objects, topics and logs of inference endpoints",
            enable_key_rotation=True,
            removal_policy=environment.removal_policy,
        )


def container_of(
    image: ContainerImage, handler: Handler, *, hostname: str | None = None
) -> Container:
    """A container that serves a handler of ``model_code``."""
    return Container(image=image, artifact=artifact_of(handler), hostname=hostname)


def artifact_of(handler: Handler) -> PackagedArtifact:
    """The archive of a handler of ``model_code``."""
    return ModelArtifact.from_handler(
        handler.code, shared=handler.shared, model_files=handler.model_files
    )
