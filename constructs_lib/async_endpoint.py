"""Requests that wait in a queue, on instances that need not be there all the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import aws_cdk as cdk
import jsii
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from constructs import Construct

from constructs_lib.container import Container
from constructs_lib.encryption import storage_key
from constructs_lib.endpoint import Endpoint
from constructs_lib.instance_endpoint import require_endpoint
from constructs_lib.instances import Instances
from constructs_lib.model import define_model
from constructs_lib.network import Network
from constructs_lib.notifications import allow_announcing, encrypted_topic
from constructs_lib.rollout import Rollout, roll_out
from constructs_lib.scaling import BacklogScaling, VariantScaling
from constructs_lib.storage import private_bucket
from hosting import limits, model_servers, validation
from hosting.endpoint import EndpointKind


@jsii.implements(ec2.IConnectable)
class AsyncEndpoint(Endpoint):
    """A queue in front of one container: requests and answers of up to 1 GB, up to an hour each.

    The caller puts a request into S3 and gets the place where its answer, or the reason for having
    none, will be. With ``BacklogScaling`` nothing runs, and nothing is paid, while nothing waits;
    the first instance starts when the endpoint is created, all the same.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference.html (2026-11-20)

    ::

        endpoint = AsyncEndpoint(
            stack,
            "Summaries",
            container=Container(image=ContainerImage.from_framework("huggingface")),
            instances=Instances(instance_type="ml.g5.xlarge"),
            scaling=BacklogScaling(max_instances=5),
        )
        endpoint.grant_invoke(caller)

    Args:
        container: works on one request for as long as it takes. The limits of its model server are
            raised to what an asynchronous request may take, where the image's server is known.
        instances: what it runs on.
        scaling: without it, the number of instances stays.
        bucket: of requests and answers; without it, a private bucket is defined.
        input_prefix: where callers put requests.
        output_prefix: where answers are put.
        failure_prefix: where it is put why there is no answer.
        expiration: after which requests and answers are deleted from a bucket that is defined here.
        success_topic: hears of each answer; without it, an encrypted topic is defined.
        error_topic: hears of each failure; without it, an encrypted topic is defined.
        responses_in_notifications: whether topics also get the answer itself, up to 128 KB.
        max_concurrent_invocations_per_instance: SageMaker finds a number without it.
        network: without it, the containers run outside any VPC of yours.
        network_isolation: whether containers are cut off from all networks.
        encryption_key: encrypts volumes, answers, and the bucket, topics and log group that are
            defined here.
        removal_policy: what becomes of a bucket that is defined here; it is retained without it.

    The rest is said at ``Endpoint``.

    Raises:
        ValueError: a value is not what SageMaker accepts.
    """

    KIND: ClassVar[EndpointKind] = "async"
    INVOKE_ACTIONS: ClassVar[tuple[str, ...]] = ("sagemaker:InvokeEndpointAsync",)

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        container: Container,
        instances: Instances,
        scaling: BacklogScaling | None = None,
        bucket: s3.IBucket | None = None,
        input_prefix: str = "input/",
        output_prefix: str = "output/",
        failure_prefix: str = "failure/",
        expiration: cdk.Duration | None = None,
        success_topic: sns.ITopic | None = None,
        error_topic: sns.ITopic | None = None,
        responses_in_notifications: bool = False,
        max_concurrent_invocations_per_instance: int | None = None,
        endpoint_name: str | None = None,
        role: iam.IRole | None = None,
        network: Network | None = None,
        network_isolation: bool = False,
        encryption_key: kms.IKey | None = None,
        log_retention: logs.RetentionDays | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        _require_prefixes(
            input_prefix=input_prefix, output_prefix=output_prefix, failure_prefix=failure_prefix
        )
        if bucket is not None and expiration is not None:
            raise ValueError("expiration must be left out with bucket, which has its own rules")
        validation.require(
            []
            if max_concurrent_invocations_per_instance is None
            else validation.within(
                "max_concurrent_invocations_per_instance",
                max_concurrent_invocations_per_instance,
                limits.ASYNC_MAX_CONCURRENT_INVOCATIONS,
            )
        )
        require_endpoint(endpoint_name)
        super().__init__(
            scope,
            construct_id,
            endpoint_name=endpoint_name,
            role=role,
            in_vpc=network is not None,
            log_retention=log_retention,
            log_key=encryption_key,
        )
        self.fleets = {self.variant_name: instances}
        groups = [] if network is None else network.security_groups_in(self)
        self._connections = ec2.Connections(security_groups=groups)
        self.cfn_model = define_model(
            self,
            containers=[_with_raised_limits(container)],
            role=self.execution_role,
            network=network,
            security_groups=groups,
            network_isolation=network_isolation,
        )
        self.bucket = self._bucket(bucket, encryption_key, expiration, removal_policy)
        self.input_prefix = input_prefix
        self.output_prefix = output_prefix
        self.failure_prefix = failure_prefix
        self.success_topic = self._topic("SuccessTopic", success_topic, encryption_key)
        self.error_topic = self._topic("ErrorTopic", error_topic, encryption_key)
        self.execution_role.allow_reading_prefix(self.bucket, input_prefix)
        for prefix in (output_prefix, failure_prefix):
            self.execution_role.allow_writing_prefix(self.bucket, prefix)
        self._define(
            production_variants=[
                instances.render(
                    name=self.variant_name, model_name=self.cfn_model.attr_model_name, weight=1.0
                )
            ],
            kms_key_id=storage_key(self, encryption_key, [instances]),
            async_inference_config=self._configuration(
                encryption_key, responses_in_notifications, max_concurrent_invocations_per_instance
            ),
        )
        self.scaling = (
            None
            if scaling is None
            else VariantScaling(
                self,
                "Scaling",
                endpoint=self,
                variant_name=self.variant_name,
                scaling=scaling,
            )
        )

    @property
    def connections(self) -> ec2.Connections:
        """The containers' security groups; none without a network."""
        return self._connections

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow ``grantee`` to put requests, to have them answered, and to read the answers.

        Reading includes listing: without it, S3 calls an answer that is not there yet forbidden
        instead of missing, which callers cannot tell from a mistake.
        """
        objects = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:PutObject"],
            resource_arns=[self.bucket.arn_for_objects(f"{self.input_prefix}*")],
        )
        answers = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:GetObject"],
            resource_arns=[
                self.bucket.arn_for_objects(f"{prefix}*")
                for prefix in (self.output_prefix, self.failure_prefix)
            ],
        )
        listing = iam.Grant.add_to_principal(
            grantee=grantee, actions=["s3:ListBucket"], resource_arns=[self.bucket.bucket_arn]
        )
        if self.bucket.encryption_key is not None:
            self.bucket.encryption_key.grant_encrypt_decrypt(grantee)
        return super().grant_invoke(grantee).combine(objects).combine(answers).combine(listing)

    def roll_out(self, rollout: Rollout, *, alarms: Sequence[cw.Alarm]) -> None:
        """Move work to updates step by step, and back when one of ``alarms`` goes off.

        Args:
            rollout: how work moves.
            alarms: 1 to 10, such as ``EndpointAlarms.rollback``. They name the endpoint by a name
                that is known before it exists, because it names them in turn.

        Raises:
            ValueError: the service would refuse the rollout, or an alarm cannot stop it.
        """
        roll_out(self, rollout, alarms)

    def metric_approximate_backlog_size(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that wait or are worked on."""
        return self.metric("ApproximateBacklogSize", statistic="Average", period=period)

    def metric_approximate_backlog_size_per_instance(
        self, *, period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Requests that wait or are worked on, divided by the instances."""
        return self.metric("ApproximateBacklogSizePerInstance", statistic="Average", period=period)

    def metric_approximate_age_of_oldest_request(
        self, *, period: cdk.Duration | None = None
    ) -> cw.Metric:
        """How long the oldest request has waited, in seconds."""
        return self.metric("ApproximateAgeOfOldestRequest", statistic="Maximum", period=period)

    def metric_has_backlog_without_capacity(
        self, *, period: cdk.Duration | None = None
    ) -> cw.Metric:
        """1 while requests wait and no instance runs, else 0."""
        return self.metric("HasBacklogWithoutCapacity", statistic="Average", period=period)

    def metric_invocations_processed(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that were worked on; without a datapoint while there are none."""
        return self.metric("InvocationsProcessed", statistic="Sum", period=period)

    def metric_invocation_failures(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that failed."""
        return self.metric("InvocationFailures", statistic="Sum", period=period)

    def metric_expired_requests(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that were dropped because they had waited too long."""
        return self.metric("ExpiredRequests", statistic="Sum", period=period)

    def metric_notification_failures(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Announcements that a topic did not take."""
        return self.metric("NotificationFailures", statistic="Sum", period=period)

    def metric_time_in_backlog(
        self, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that requests waited until they were worked on, in milliseconds."""
        return self.metric("TimeInBacklog", statistic=statistic, period=period)

    def metric_total_processing_time(
        self, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time from a request to its answer in the bucket, in milliseconds."""
        return self.metric("TotalProcessingTime", statistic=statistic, period=period)

    def metric_model_latency(
        self, *, statistic: str = "p99", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that the container took to answer, in microseconds."""
        return self.metric("ModelLatency", statistic=statistic, period=period)

    def _bucket(
        self,
        bucket: s3.IBucket | None,
        key: kms.IKey | None,
        expiration: cdk.Duration | None,
        removal_policy: cdk.RemovalPolicy,
    ) -> s3.IBucket:
        if bucket is not None:
            return bucket
        return private_bucket(
            self,
            "Bucket",
            encryption_key=key,
            removal_policy=removal_policy,
            versioned=False,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=expiration,
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
        )

    def _topic(
        self, construct_id: str, topic: sns.ITopic | None, key: kms.IKey | None
    ) -> sns.ITopic:
        if topic is None:
            topic = encrypted_topic(self, construct_id, encryption_key=key)
        else:
            key = topic.master_key
        allow_announcing(self.execution_role, topic, key)
        return topic

    def _configuration(
        self, key: kms.IKey | None, with_responses: bool, concurrency: int | None
    ) -> sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty:
        return sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty(
            client_config=None
            if concurrency is None
            else sagemaker.CfnEndpointConfig.AsyncInferenceClientConfigProperty(
                max_concurrent_invocations_per_instance=concurrency
            ),
            output_config=sagemaker.CfnEndpointConfig.AsyncInferenceOutputConfigProperty(
                kms_key_id=None if key is None else key.key_arn,
                s3_output_path=self.bucket.s3_url_for_object(self.output_prefix),
                s3_failure_path=self.bucket.s3_url_for_object(self.failure_prefix),
                notification_config=sagemaker.CfnEndpointConfig.AsyncInferenceNotificationConfigProperty(
                    success_topic=self.success_topic.topic_arn,
                    error_topic=self.error_topic.topic_arn,
                    include_inference_response_in=[
                        "SUCCESS_NOTIFICATION_TOPIC",
                        "ERROR_NOTIFICATION_TOPIC",
                    ]
                    if with_responses
                    else None,
                ),
            ),
        )


def _with_raised_limits(container: Container) -> Container:
    repository = None if container.image is None else container.image.repository_name
    raised = model_servers.async_environment(repository)
    return replace(container, environment={**raised, **container.environment})


def _require_prefixes(**prefixes: str) -> None:
    for argument, prefix in prefixes.items():
        if not prefix.endswith("/"):
            raise ValueError(f"{argument} must end in '/', got {prefix!r}")
