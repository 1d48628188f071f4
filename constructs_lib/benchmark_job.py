"""Benchmarks that run in the endpoints' region, as a container that is started when needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from constructs_lib.acknowledgment import acknowledge, acknowledge_wildcard
from constructs_lib.benchmark_image import benchmark_image
from constructs_lib.log_group import admit_logs
from constructs_lib.network import Network
from constructs_lib.storage import private_bucket
from hosting import benchmark_policy

PAYLOADS: Final = "payloads/"
RESULTS: Final = "results/"
# Fargate waits at most this long between SIGTERM and SIGKILL; a run removes its endpoints in it.
_STOP_TIMEOUT: Final = cdk.Duration.seconds(120)
_WORK: Final = "/work"


class BenchmarkJob(Construct):
    """``python -m benchmarking`` on Fargate, with the permissions that it needs and no others.

    Start ``state_machine`` with ``{"command": ["compare", "--model-name", …]}``: the arguments of
    the command line, with ``--payloads s3://BUCKET/payloads/FILE.jsonl`` and without ``--out``.
    Results are found below ``results/EXECUTION NAME/`` of the bucket. When a run fails or is
    killed, a second task removes what its journal names.

    A task reaches the network that it is placed in: give subnets with a way to S3, SageMaker and
    its runtime, CloudWatch, ECR and CloudWatch Logs, through a NAT gateway or interface endpoints.

    ::

        job = BenchmarkJob(
            stack,
            "Benchmark",
            network=Network(vpc=vpc),
            models=["digit-reader"],
            model_roles=[role],
        )
        job.grant_start(caller)

    Args:
        network: where the task runs.
        models: names of the models that may be measured; ``*`` stands for any text.
        model_roles: their execution roles. Asynchronous and multi-model endpoints need to read and
            write in the bucket with them, and temporary models are given them.
        artifacts: ARNs of the model archives that temporary multi-model models are copied from.
        bucket: for payloads, results and what endpoints keep; without it, a new one.
        image: with this package in it and Python at ``python``; without it, one is built from the
            installed package when the stack is deployed, which takes Docker.
        cpu: 1024 for each processor; a client process uses one.
        memory_limit_mib: as Fargate offers it for ``cpu``.
        assign_public_ip: for public subnets, which have no other way out.
        timeout: after which a run is stopped, and removes what it has made.
        encryption_key: encrypts the log group and the new bucket.
        log_retention: three months without it.
        removal_policy: of the new bucket.

    Raises:
        ValueError: there is no model to measure, or a value is none that Fargate offers.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: Network,
        models: Sequence[str],
        model_roles: Sequence[iam.IRole] = (),
        artifacts: Sequence[str] = (),
        bucket: s3.IBucket | None = None,
        image: ecs.ContainerImage | None = None,
        cpu: int = 2048,
        memory_limit_mib: int = 4096,
        assign_public_ip: bool = False,
        timeout: cdk.Duration | None = None,
        encryption_key: kms.IKey | None = None,
        log_retention: logs.RetentionDays | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        if not models:
            raise ValueError("models must name one model at least, got none")
        _require_size(cpu, memory_limit_mib)
        super().__init__(scope, construct_id)
        self.bucket: s3.IBucket = (
            private_bucket(
                self, "Bucket", encryption_key=encryption_key, removal_policy=removal_policy
            )
            if bucket is None
            else bucket
        )
        self.log_group = self._log_group(encryption_key, log_retention)
        self.policy = self._policy(models, model_roles, artifacts)
        self.role = iam.Role(
            self,
            "TaskRole",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description="What benchmarks may do",
            managed_policies=[self.policy],
        )
        self._admit(model_roles)
        self.task_definition = self._task_definition(image, cpu, memory_limit_mib)
        self.security_groups = self._security_groups(network)
        self.state_machine = self._state_machine(
            network,
            assign_public_ip=assign_public_ip,
            timeout=cdk.Duration.hours(12) if timeout is None else timeout,
        )

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow ``grantee`` to start benchmarks; what they do is not its own permission."""
        return self.state_machine.grant_start_execution(grantee)

    def _log_group(
        self, key: kms.IKey | None, retention: logs.RetentionDays | None
    ) -> logs.LogGroup:
        group = logs.LogGroup(
            self,
            "LogGroup",
            retention=logs.RetentionDays.THREE_MONTHS if retention is None else retention,
            encryption_key=key,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        if key is None:
            acknowledge(
                group,
                "NIST.800.53.R5-CloudWatchLogGroupEncrypted",
                "encrypted with the service's own key, because the caller gave none",
            )
        else:
            admit_logs(self, key, "*")
        return group

    def _policy(
        self, models: Sequence[str], roles: Sequence[iam.IRole], artifacts: Sequence[str]
    ) -> iam.ManagedPolicy:
        stack = cdk.Stack.of(self)
        scope = benchmark_policy.Scope(
            partition=stack.partition,
            region=stack.region,
            account=stack.account,
            models=models,
            model_roles=[role.role_arn for role in roles],
            bucket=self.bucket.bucket_name,
            artifacts=artifacts,
            # A job is told its model, its prices and, by its journal, what to remove.
            stacks=False,
            clean_by_tag=False,
            prices=False,
        )
        statements = [
            iam.PolicyStatement.from_json(each) for each in benchmark_policy.statements(scope)
        ]
        policy = iam.ManagedPolicy(
            self, "Policy", description="What benchmarks may do", statements=statements
        )
        policy.add_statements(
            iam.PolicyStatement(
                sid="ReadPayloads",
                actions=["s3:GetObject"],
                resources=[self.bucket.arn_for_objects(f"{PAYLOADS}*")],
            ),
            iam.PolicyStatement(
                sid="KeepResults",
                actions=["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                resources=[self.bucket.arn_for_objects(f"{RESULTS}*")],
            ),
        )
        if self.bucket.encryption_key is not None:
            self.bucket.encryption_key.grant(policy, "kms:Decrypt", "kms:GenerateDataKey")
        for statement in statements:
            for resource in statement.resources:
                if resource.endswith("*"):
                    acknowledge_wildcard(
                        policy,
                        resource,
                        "benchmarks name what they create themselves, below one prefix; calls that"
                        " list or read metrics and quotas know no resources",
                    )
        for prefix in (PAYLOADS, RESULTS):
            acknowledge_wildcard(
                policy,
                self.bucket.arn_for_objects(f"{prefix}*"),
                "files are put there without a deployment",
            )
        return policy

    def _admit(self, roles: Sequence[iam.IRole]) -> None:
        """Let the models' roles keep objects in the bucket, by its policy and its key's."""
        for role in roles:
            principal = iam.ArnPrincipal(role.role_arn)
            added = self.bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[principal],
                    actions=["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                    resources=[self.bucket.arn_for_objects(f"{benchmark_policy.FOLDER}*")],
                )
            )
            self.bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[principal],
                    actions=["s3:ListBucket"],
                    resources=[self.bucket.bucket_arn],
                    conditions={"StringLike": {"s3:prefix": [f"{benchmark_policy.FOLDER}*"]}},
                )
            )
            if not added.statement_added:
                cdk.Annotations.of(self).add_warning_v2(
                    "sagemaker-inference:imported-bucket",
                    f"the policy of the imported bucket must let {role.role_name} read and write"
                    f" {benchmark_policy.FOLDER}*, or asynchronous endpoints cannot be measured",
                )
            if self.bucket.encryption_key is not None:
                self.bucket.encryption_key.grant(principal, "kms:Decrypt", "kms:GenerateDataKey")

    def _task_definition(
        self, image: ecs.ContainerImage | None, cpu: int, memory_limit_mib: int
    ) -> ecs.FargateTaskDefinition:
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=cpu,
            memory_limit_mib=memory_limit_mib,
            task_role=self.role,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            volumes=[ecs.Volume(name="work")],
        )
        container = task.add_container(
            "Benchmark",
            image=benchmark_image(self, "Image") if image is None else image,
            entry_point=[
                "python",
                "-m",
                "benchmarking.job",
                "--results",
                self.bucket.s3_url_for_object(RESULTS),
                "--work",
                _WORK,
                "--region",
                cdk.Stack.of(self).region,
            ],
            logging=ecs.LogDriver.aws_logs(stream_prefix="benchmark", log_group=self.log_group),
            readonly_root_filesystem=True,
            stop_timeout=_STOP_TIMEOUT,
        )
        container.add_mount_points(
            ecs.MountPoint(container_path=_WORK, source_volume="work", read_only=False)
        )
        execution_role = task.obtain_execution_role()
        _acknowledge_generated(execution_role, "CDK lets ECS pull the image and write the log")
        return task

    def _security_groups(self, network: Network) -> list[ec2.ISecurityGroup]:
        if network.security_groups is not None:
            return list(network.security_groups)
        group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=network.vpc,
            description="Benchmarks: AWS over HTTPS, nothing else",
            allow_all_outbound=False,
        )
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS")
        return [group]

    def _state_machine(
        self, network: Network, *, assign_public_ip: bool, timeout: cdk.Duration
    ) -> sfn.StateMachine:
        cluster = ecs.Cluster(
            self,
            "Cluster",
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
            enable_fargate_capacity_providers=True,
        )
        subnets = ec2.SubnetSelection() if network.subnets is None else network.subnets

        def run(name: str, command: list[str], limit: cdk.Duration) -> tasks.EcsRunTask:
            return tasks.EcsRunTask(
                self,
                name,
                cluster=cluster,
                task_definition=self.task_definition,
                launch_target=tasks.EcsFargateLaunchTarget(
                    platform_version=ecs.FargatePlatformVersion.LATEST
                ),
                integration_pattern=sfn.IntegrationPattern.RUN_JOB,
                subnets=subnets,
                security_groups=self.security_groups,
                assign_public_ip=assign_public_ip,
                task_timeout=sfn.Timeout.duration(limit),
                result_path=sfn.JsonPath.DISCARD,
                container_overrides=[
                    tasks.ContainerOverride(
                        container_definition=self._container,
                        command=command,
                        environment=[
                            tasks.TaskEnvironmentVariable(
                                name="BENCHMARK_RUN",
                                value=sfn.JsonPath.string_at("$$.Execution.Name"),
                            )
                        ],
                    )
                ],
            )

        measure = run("Measure", sfn.JsonPath.list_at("$.command"), timeout)
        remove = run("RemoveWhatIsLeft", ["--clean"], cdk.Duration.hours(1))
        failed = sfn.Fail(
            self,
            "Failed",
            error="BenchmarkFailed",
            cause="The benchmark's log says why; what it had created was removed.",
        )
        measure.add_catch(remove.next(failed), result_path="$.failure")
        machine = sfn.StateMachine(
            self,
            "Resource",
            definition_body=sfn.DefinitionBody.from_chainable(
                measure.next(sfn.Succeed(self, "Measured"))
            ),
            timeout=cdk.Duration.seconds(timeout.to_seconds() + 2 * 3600),
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False
            ),
        )
        reason = "CDK lets Step Functions start and watch the task, trace itself and write its log"
        _acknowledge_generated(machine.role, reason)
        acknowledge_wildcard(
            machine.role,
            f"{self._task_family_arn}:*",
            "a deployment makes a new revision of the task, while an execution may start the old",
        )
        return machine

    @property
    def _task_family_arn(self) -> str:
        """The task's ARN without its revision, spelled as CDK spells it in the policy."""
        stack = cdk.Stack.of(self)
        parts = stack.split_arn(
            self.task_definition.task_definition_arn, cdk.ArnFormat.SLASH_RESOURCE_NAME
        )
        return stack.format_arn(
            partition=parts.partition,
            service=parts.service,
            account=parts.account,
            region=parts.region,
            resource=parts.resource,
            arn_format=parts.arn_format,
            resource_name=parts.resource_name,
        )

    @property
    def _container(self) -> ecs.ContainerDefinition:
        container = self.task_definition.default_container
        assert container is not None, "the task has one container"
        return container


# Memory that Fargate offers for each size of processor, in MiB: from, to, step.
# Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
# (2026-11-21), without the smallest sizes, which cannot drive a load.
_SIZES: Final = {
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}


def _require_size(cpu: int, memory_limit_mib: int) -> None:
    if cpu not in _SIZES:
        raise ValueError(f"cpu must be one of {', '.join(map(str, _SIZES))}, got {cpu}")
    offered = _SIZES[cpu]
    if memory_limit_mib not in offered:
        raise ValueError(
            f"memory_limit_mib for a cpu of {cpu} must be {offered[0]} to {offered[-1]} in steps of"
            f" {offered.step}, got {memory_limit_mib}"
        )


def _acknowledge_generated(role: iam.IRole, reason: str) -> None:
    """Acknowledge what CDK writes into a role's default policy."""
    acknowledge(role, "NIST.800.53.R5-IAMNoInlinePolicy", f"{reason}, in an inline policy")
    acknowledge_wildcard(role, "*", f"{reason}: those calls know no resources")
