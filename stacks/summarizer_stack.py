"""Summaries of long articles, from a queue that wakes instances when there is work."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from constructs_lib import AsyncEndpoint, BacklogScaling, Monitored
from model_code import summarizer
from stacks.environments import Environment
from stacks.foundation import HUGGING_FACE, InferenceStack, container_of


class SummarizerStack(InferenceStack):
    """An asynchronous endpoint that scales to zero, its bucket and its topics."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"summarizer-{environment.name}",
            environment=environment,
        )
        endpoint = AsyncEndpoint(
            self,
            "Async",
            container=container_of(HUGGING_FACE, summarizer.EXTRACTIVE),
            instances=environment.instances,
            scaling=BacklogScaling(
                max_instances=environment.scale_out_to,
                scale_out_cooldown=_COOLDOWN,
                scale_in_cooldown=_COOLDOWN,
            ),
            expiration=environment.expiration,
            max_concurrent_invocations_per_instance=2,
            encryption_key=self.key,
            log_retention=environment.log_retention,
            removal_policy=environment.removal_policy,
        )
        self.announce_async("Async", endpoint)
        self.monitor(Monitored(endpoint=endpoint, title="Summaries"))


_COOLDOWN = cdk.Duration.minutes(2)
