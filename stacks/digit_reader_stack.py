"""Handwritten digits, read by a container that runs only while it reads."""

from __future__ import annotations

from constructs import Construct

from constructs_lib import Monitored, ServerlessEndpoint
from model_code import digit_reader
from stacks.environments import Environment
from stacks.foundation import SCIKIT_LEARN, InferenceStack, container_of


class DigitReaderStack(InferenceStack):
    """A serverless endpoint of the environment's size."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"digit-reader-{environment.name}",
            environment=environment,
        )
        endpoint = ServerlessEndpoint(
            self,
            "Serverless",
            container=container_of(SCIKIT_LEARN, digit_reader.READER),
            variant=environment.serverless,
            encryption_key=self.key,
            log_retention=environment.log_retention,
        )
        self.announce("Serverless", endpoint)
        self.monitor(Monitored(endpoint=endpoint, title="Handwritten digits"))
