"""House prices: one model per city behind a multi-model container."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from constructs_lib import (
    InferencePipelineEndpoint,
    ModelStore,
    Monitored,
    MultiModelContainer,
    MultiModelEndpoint,
)
from model_code import regional_prices
from stacks.environments import Environment
from stacks.foundation import SCIKIT_LEARN, InferenceStack, artifact_of, container_of


class RegionalPricesStack(InferenceStack):
    """The cities' models alone, and the same models between steps that all cities share."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"regional-prices-{environment.name}",
            environment=environment,
        )
        store = ModelStore(
            self,
            "Models",
            initial_models={
                city: artifact_of(handler) for city, handler in regional_prices.ESTIMATES.items()
            },
            encryption_key=self.key,
            removal_policy=environment.removal_policy,
        )
        alone = MultiModelEndpoint(
            self,
            "MultiModel",
            container=MultiModelContainer(image=SCIKIT_LEARN, store=store),
            instances=environment.instances,
            encryption_key=self.key,
            log_retention=environment.log_retention,
        )
        within_pipeline = InferencePipelineEndpoint(
            self,
            "PricePipeline",
            containers=[
                container_of(SCIKIT_LEARN, regional_prices.FEATURES, hostname="features"),
                MultiModelContainer(image=SCIKIT_LEARN, store=store, hostname="estimate"),
                container_of(SCIKIT_LEARN, regional_prices.PRICE, hostname="price"),
            ],
            instances=environment.instances,
            encryption_key=self.key,
            log_retention=environment.log_retention,
        )
        for endpoint in (alone, within_pipeline):
            endpoint.cfn_endpoint.node.add_dependency(store.initial_models)
        self.announce("MultiModel", alone)
        self.announce("PipelineMultiModel", within_pipeline)
        cdk.CfnOutput(self, "MultiModelArtifactPrefix", value=store.url)
        self.monitor(
            Monitored(endpoint=alone, title="House prices"),
            Monitored(endpoint=within_pipeline, title="House prices in a pipeline"),
        )
