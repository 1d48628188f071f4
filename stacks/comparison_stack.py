"""One model as a real-time, a serverless and an asynchronous endpoint, for measuring each."""

from __future__ import annotations

from constructs import Construct

from constructs_lib import (
    AsyncEndpoint,
    BacklogScaling,
    Monitored,
    RealTimeEndpoint,
    ServerlessComparison,
    ServerlessVariant,
)
from model_code import digit_reader
from stacks.environments import Environment
from stacks.foundation import SCIKIT_LEARN, InferenceStack, container_of


class ComparisonStack(InferenceStack):
    """The digit reader behind every option that a team may buy for it."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"comparison-{environment.name}",
            environment=environment,
        )
        container = container_of(SCIKIT_LEARN, digit_reader.READER)
        realtime = RealTimeEndpoint(
            self,
            "RealTime",
            container=container,
            instances=environment.instances,
            encryption_key=self.key,
            log_retention=environment.log_retention,
        )
        serverless = ServerlessComparison(
            self,
            "Serverless",
            container=container,
            variants={
                f"Memory{size}": ServerlessVariant(memory_size_mb=size, max_concurrency=5)
                for size in environment.compared_memory_sizes_mb
            },
            encryption_key=self.key,
            log_retention=environment.log_retention,
        )
        asynchronous = AsyncEndpoint(
            self,
            "Async",
            container=container,
            instances=environment.instances,
            scaling=BacklogScaling(max_instances=environment.scale_out_to),
            expiration=environment.expiration,
            encryption_key=self.key,
            log_retention=environment.log_retention,
            removal_policy=environment.removal_policy,
        )
        self.announce("RealTimeComparison", realtime)
        for name, endpoint in serverless.endpoints.items():
            self.announce(f"ServerlessComparison{name}", endpoint)
        self.announce_async("AsyncComparison", asynchronous)
        self.monitor(
            Monitored(endpoint=realtime, title="Digits, real-time"),
            *(
                Monitored(endpoint=endpoint, title=f"Digits, serverless {name}")
                for name, endpoint in serverless.endpoints.items()
            ),
            Monitored(endpoint=asynchronous, title="Digits, asynchronous"),
        )
