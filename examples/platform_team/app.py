"""A team's own app: one endpoint out of the installed library, checked by its rules."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from constructs import Construct

from constructs_lib import (
    Container,
    ContainerImage,
    Instances,
    InvocationScaling,
    ModelArtifact,
    RealTimeEndpoint,
)
from constructs_lib.rules import SageMakerInferenceRules


class SumsStack(cdk.Stack):
    """A real-time endpoint that follows its traffic."""

    def __init__(self, scope: Construct, construct_id: str, *, env: cdk.Environment) -> None:
        super().__init__(scope, construct_id, env=env)
        endpoint = RealTimeEndpoint(
            self,
            "Sums",
            container=Container(
                image=ContainerImage.from_framework("scikit-learn", version="1.4-2-py312"),
                artifact=ModelArtifact.from_handler(Path(__file__).parent / "handler"),
            ),
            instances=Instances(instance_type="ml.m5.large", count=2),
        )
        endpoint.scale(InvocationScaling(max_instances=4, invocations_per_instance=1000))
        cdk.CfnOutput(self, "RealTimeEndpointName", value=endpoint.endpoint_name)


app = cdk.App()
SumsStack(app, "Sums", env=cdk.Environment(region="eu-west-1"))
cdk.Validations.of(app).add_plugins(SageMakerInferenceRules())
app.synth()
