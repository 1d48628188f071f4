"""Tumour screening twice: as a pipeline of three containers, and in a single one."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib import (
    Container,
    ContainerImage,
    InferencePipelineEndpoint,
    ModelArtifact,
    Network,
    RealTimeEndpoint,
)
from constructs_lib.acknowledgment import acknowledge
from model_code import tumor_screening
from model_code.handler import Handler
from stacks.environments import Environment
from stacks.private_network import PrivateNetwork

SCIKIT_LEARN = ContainerImage.from_framework("scikit-learn", version="1.4-2-py312")
XGBOOST = ContainerImage.from_framework("xgboost", version="3.0-5")


class TumorScreeningStack(cdk.Stack):
    """The pipeline, the single container, and what both are encrypted and isolated with."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, **kwargs: Any
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        key = self._encryption_key(environment)
        network = self._network(environment, key)
        pipeline = InferencePipelineEndpoint(
            self,
            "Pipeline",
            containers=[
                _container("preprocess", SCIKIT_LEARN, tumor_screening.PREPROCESS),
                _container("classify", XGBOOST, tumor_screening.CLASSIFY),
                _container("report", SCIKIT_LEARN, tumor_screening.REPORT),
            ],
            instance_type=environment.instance_type,
            instance_count=environment.instance_count,
            network=network,
            encryption_key=key,
            log_retention=environment.log_retention,
        )
        single = RealTimeEndpoint(
            self,
            "RealTime",
            container=_container(None, XGBOOST, tumor_screening.SINGLE),
            instance_type=environment.instance_type,
            instance_count=environment.instance_count,
            network=network,
            encryption_key=key,
            log_retention=environment.log_retention,
        )
        if key is None:
            for endpoint in (pipeline, single):
                _acknowledge_aws_owned_keys(endpoint)
        cdk.CfnOutput(self, "PipelineEndpointName", value=pipeline.endpoint_name)
        cdk.CfnOutput(self, "RealTimeEndpointName", value=single.endpoint_name)

    def _encryption_key(self, environment: Environment) -> kms.Key | None:
        if not environment.customer_managed_key:
            return None
        return kms.Key(
            self,
            "Key",
            description="Storage volumes and logs of the tumour screening endpoints",
            enable_key_rotation=True,
            removal_policy=environment.removal_policy,
        )

    def _network(self, environment: Environment, key: kms.Key | None) -> Network | None:
        if not environment.private_network:
            return None
        return PrivateNetwork(
            self,
            "Network",
            flow_log_retention=environment.log_retention,
            encryption_key=key,
            removal_policy=environment.removal_policy,
        ).network


def _acknowledge_aws_owned_keys(endpoint: Construct) -> None:
    for rule in ("SageMakerEndpointConfigurationKMSKeyConfigured", "CloudWatchLogGroupEncrypted"):
        acknowledge(
            endpoint,
            f"NIST.800.53.R5-{rule}",
            "this environment serves public sample data and leaves encryption to AWS's own keys",
        )


def _container(hostname: str | None, image: ContainerImage, handler: Handler) -> Container:
    return Container(
        image=image,
        artifact=ModelArtifact.from_handler(
            handler.code, shared=handler.shared, model_files=handler.model_files
        ),
        hostname=hostname,
    )
