"""Tumour screening twice: as a pipeline of three containers, and in a single one."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from constructs_lib import (
    InferencePipelineEndpoint,
    InvocationScaling,
    Monitored,
    Network,
    Objective,
    RealTimeEndpoint,
)
from model_code import tumor_screening
from stacks.environments import Environment
from stacks.foundation import SCIKIT_LEARN, XGBOOST, InferenceStack, container_of
from stacks.private_network import PrivateNetwork

# What one ml.m5.large answers in a minute is not measured yet; see docs/unverified.md.
_INVOCATIONS_PER_INSTANCE = 3000


class TumorScreeningStack(InferenceStack):
    """The pipeline, the single container, and the network that both are isolated in."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"tumor-screening-{environment.name}",
            environment=environment,
        )
        network = self._network(environment)
        pipeline = InferencePipelineEndpoint(
            self,
            "Pipeline",
            containers=[
                container_of(SCIKIT_LEARN, tumor_screening.PREPROCESS, hostname="preprocess"),
                container_of(XGBOOST, tumor_screening.CLASSIFY, hostname="classify"),
                container_of(SCIKIT_LEARN, tumor_screening.REPORT, hostname="report"),
            ],
            instances=environment.instances,
            network=network,
            network_isolation=environment.private_network,
            encryption_key=self.key,
            log_retention=environment.log_retention,
        )
        single = RealTimeEndpoint(
            self,
            "RealTime",
            container=container_of(XGBOOST, tumor_screening.SINGLE),
            instances=environment.instances,
            network=network,
            network_isolation=environment.private_network,
            encryption_key=self.key,
            log_retention=environment.log_retention,
        )
        for endpoint in (pipeline, single):
            endpoint.scale(
                InvocationScaling(
                    min_instances=environment.instances.count,
                    max_instances=environment.scale_out_to,
                    invocations_per_instance=_INVOCATIONS_PER_INSTANCE,
                )
            )
        self.announce("Pipeline", pipeline)
        self.announce("RealTime", single)
        objective = Objective(latency=cdk.Duration.millis(200))
        self.monitor(
            Monitored(endpoint=pipeline, title="Screening pipeline", objective=objective),
            Monitored(endpoint=single, title="Screening in one container", objective=objective),
        )

    def _network(self, environment: Environment) -> Network | None:
        if not environment.private_network:
            return None
        return PrivateNetwork(
            self,
            "Network",
            flow_log_retention=environment.log_retention,
            encryption_key=self.key,
            removal_policy=environment.removal_policy,
        ).network
