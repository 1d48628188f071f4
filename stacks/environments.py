"""The environments: the one place where they differ.

Their sizes may be measured instead of chosen: ``python -m benchmarking apply`` writes them to
``settings/NAME.toml``, which comes before the defaults below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import aws_cdk as cdk
from aws_cdk import aws_logs as logs

from constructs_lib import Instances, Rollout, ServerlessVariant
from hosting import sizes
from hosting.sizes import SizesError

_Value = TypeVar("_Value")
SETTINGS: Final = Path(__file__).parent / "settings"


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """Where stacks are deployed, and at what size.

    Args:
        name: as ``-c env=`` gives it.
        region: fixed, because image registries differ between regions.
        account: fixed only for the local runtime; elsewhere the deploying credentials decide.
        instances: of every endpoint on instances; two or more spread over Availability Zones, and
            a measured count below that takes none of them away: it says what the load needs.
        serverless: size of serverless endpoints.
        compared_memory_sizes_mb: of the serverless endpoints in the comparison.
        scale_out_to: instances that scaling may add up to.
        expiration: after which requests and answers of asynchronous endpoints are deleted.
        log_retention: how long container logs are kept.
        customer_managed_key: whether volumes and logs are encrypted with a KMS key of the stack.
        private_network: whether the containers that see patients' measurements run in a VPC without
            a way to the internet, and cut off from it as well.
        alarms: whether endpoints have alarms, and the stack a topic that hears of them.
        rollout: how updates reach the endpoints that answer while the caller waits; all at once,
            and unwatched, without it. Needs ``alarms``, which take an update back.
        termination_protection: whether a stack must be unlocked before it can be deleted.
        removal_policy: what becomes of keys and network logs when a stack is deleted.
    """

    name: str
    region: str
    account: str | None = None
    instances: Instances
    serverless: ServerlessVariant
    compared_memory_sizes_mb: tuple[int, ...]
    scale_out_to: int
    expiration: cdk.Duration
    log_retention: logs.RetentionDays
    customer_managed_key: bool
    private_network: bool
    alarms: bool
    rollout: Rollout | None = None
    termination_protection: bool
    removal_policy: cdk.RemovalPolicy

    def __post_init__(self) -> None:
        if self.rollout is not None and not self.alarms:
            raise ValueError("rollout must be None without alarms, which would take it back")

    @property
    def cdk_environment(self) -> cdk.Environment:
        """What a stack's ``env`` takes."""
        return cdk.Environment(account=self.account, region=self.region)


ENVIRONMENTS: Final[Mapping[str, Environment]] = MappingProxyType(
    {
        environment.name: environment
        for environment in (
            Environment(
                name="local",
                region="us-east-1",
                account="123456789012",
                instances=Instances(instance_type="ml.m5.large", count=1),
                serverless=ServerlessVariant(memory_size_mb=1024, max_concurrency=5),
                compared_memory_sizes_mb=(1024, 2048),
                scale_out_to=2,
                expiration=cdk.Duration.days(1),
                log_retention=logs.RetentionDays.ONE_DAY,
                customer_managed_key=False,
                private_network=False,
                alarms=True,
                termination_protection=False,
                removal_policy=cdk.RemovalPolicy.DESTROY,
            ),
            Environment(
                name="dev",
                region="eu-west-1",
                instances=Instances(instance_type="ml.c6i.large", count=1),
                serverless=ServerlessVariant(memory_size_mb=1024, max_concurrency=5),
                compared_memory_sizes_mb=(1024, 2048),
                scale_out_to=2,
                expiration=cdk.Duration.days(7),
                log_retention=logs.RetentionDays.ONE_WEEK,
                customer_managed_key=False,
                private_network=False,
                alarms=False,
                termination_protection=False,
                removal_policy=cdk.RemovalPolicy.DESTROY,
            ),
            Environment(
                name="staging",
                region="eu-west-1",
                instances=Instances(instance_type="ml.m5.large", count=1),
                serverless=ServerlessVariant(memory_size_mb=2048, max_concurrency=10),
                compared_memory_sizes_mb=(1024, 2048, 4096),
                scale_out_to=4,
                expiration=cdk.Duration.days(30),
                log_retention=logs.RetentionDays.ONE_MONTH,
                customer_managed_key=True,
                private_network=True,
                alarms=True,
                rollout=Rollout.all_at_once(),
                termination_protection=False,
                removal_policy=cdk.RemovalPolicy.DESTROY,
            ),
            Environment(
                name="prod",
                region="eu-west-1",
                instances=Instances(instance_type="ml.m5.large", count=2),
                serverless=ServerlessVariant(
                    memory_size_mb=2048, max_concurrency=20, provisioned_concurrency=1
                ),
                compared_memory_sizes_mb=(2048,),
                scale_out_to=10,
                expiration=cdk.Duration.days(90),
                log_retention=logs.RetentionDays.ONE_YEAR,
                customer_managed_key=True,
                private_network=True,
                alarms=True,
                rollout=Rollout.canary(percent=50),
                termination_protection=True,
                removal_policy=cdk.RemovalPolicy.RETAIN,
            ),
        )
    }
)


def environment_named(name: str | None, *, settings: Path = SETTINGS) -> Environment:
    """Find an environment, with the sizes that its file in ``settings`` gives it.

    Raises:
        ValueError: there is none of that name; there is no default, so that a typing error cannot
            deploy one environment's sizes to another.
        SizesError: its file is wrong.
    """
    if name is None or name not in ENVIRONMENTS:
        got = "none" if name is None else repr(name)
        raise ValueError(f"env must be one of {', '.join(ENVIRONMENTS)}, got {got}: -c env=NAME")
    path = settings / f"{name}.toml"
    return _sized(ENVIRONMENTS[name], path) if path.is_file() else ENVIRONMENTS[name]


def _sized(environment: Environment, path: Path) -> Environment:
    found = sizes.read(path)
    serverless, instances = environment.serverless, environment.instances
    count = max(_first(found.instance_count, instances.count), instances.count)
    units = _first(found.provisioned_concurrency, serverless.provisioned_concurrency)
    try:
        environment = replace(
            environment,
            serverless=ServerlessVariant(
                memory_size_mb=_first(found.memory_size_mb, serverless.memory_size_mb),
                max_concurrency=_first(found.max_concurrency, serverless.max_concurrency),
                provisioned_concurrency=None if units == 0 else units,
            ),
            instances=replace(
                instances,
                instance_type=_first(found.instance_type, instances.instance_type),
                count=count,
            ),
            scale_out_to=_first(found.scale_out_to, max(environment.scale_out_to, count)),
        )
    except ValueError as error:
        raise SizesError(f"{path}, with the defaults of {environment.name}: {error}") from None
    if environment.scale_out_to < environment.instances.count:
        raise SizesError(
            f"{path}: instances.scale_out_to must be at least instances.count"
            f" ({environment.instances.count}), got {environment.scale_out_to}"
        )
    return environment


def _first(measured: _Value | None, default: _Value) -> _Value:
    return default if measured is None else measured
