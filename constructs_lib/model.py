"""A SageMaker model: containers, and the network they live in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from constructs_lib.container import AnyContainer
from constructs_lib.execution_role import ExecutionRole
from constructs_lib.network import Network


def define_model(
    scope: Construct,
    *,
    containers: Sequence[AnyContainer],
    role: ExecutionRole,
    network: Network | None = None,
    security_groups: Sequence[ec2.ISecurityGroup] = (),
    network_isolation: bool = False,
    execution_mode: Literal["Serial", "Direct"] | None = None,
) -> sagemaker.CfnModel:
    """Define a model under ``scope``, after the permissions that CreateModel checks."""
    definitions = [
        container.render(Construct(scope, f"Container{position}"), role)
        for position, container in enumerate(containers, start=1)
    ]
    model = sagemaker.CfnModel(
        scope,
        "Model",
        execution_role_arn=role.role.role_arn,
        primary_container=definitions[0] if len(definitions) == 1 else None,
        containers=definitions if len(definitions) > 1 else None,
        enable_network_isolation=network_isolation,
        inference_execution_config=None
        if execution_mode is None
        else sagemaker.CfnModel.InferenceExecutionConfigProperty(mode=execution_mode),
        vpc_config=None if network is None else network.render(security_groups),
    )
    model.node.add_dependency(role.policy)
    return model
