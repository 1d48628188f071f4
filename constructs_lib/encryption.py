"""Encryption of what instances store."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import aws_kms as kms
from constructs import IConstruct

from constructs_lib.acknowledgment import acknowledge
from constructs_lib.endpoint import Endpoint
from constructs_lib.instances import Instances
from hosting import instances as instance_facts

_RULES = tuple(
    f"{pack}-SageMakerEndpointConfigurationKMSKeyConfigured"
    for pack in ("HIPAA.Security", "NIST.800.53.R4", "NIST.800.53.R5", "PCI.DSS.321")
)


def storage_key(
    endpoint: Endpoint, key: kms.IKey | None, fleets: Iterable[Instances]
) -> str | None:
    """The ARN for the configuration's KmsKeyId, and the role's right to use it.

    None where an instance type stores on local NVMe disks, which encrypt themselves: there the
    service refuses a key, and the rules that ask for one are acknowledged.
    Source: CloudFormation reference, AWS::SageMaker::EndpointConfig, KmsKeyId (2026-11-20)
    """
    if key is None:
        return None
    known = instance_facts.instance_types()
    local = sorted(
        {
            instance_type
            for fleet in fleets
            for instance_type in fleet.types
            if instance_type in known and instance_facts.has_local_storage(instance_type)
        }
    )
    if local:
        reason = (
            f"{', '.join(local)} stores on local disks that encrypt themselves;"
            " SageMaker refuses a key for them"
        )
        acknowledge_missing_key(endpoint, reason)
        return None
    endpoint.execution_role.grant_storage_encryption(key)
    return key.key_arn


def acknowledge_missing_key(endpoint: IConstruct, reason: str) -> None:
    """Acknowledge the rules that ask for a key in every endpoint configuration."""
    for rule in _RULES:
        acknowledge(endpoint, rule, reason)
