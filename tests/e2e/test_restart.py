"""What a runtime that starts again with its state directory finds: all that was answered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tools.async_accounts import Accepted, Accounts, accounted_for, wait_until_empty

from .conftest import ECHO, Runtime, up, wait_until
from .test_cdk_lifecycle import Deployment

pytestmark = pytest.mark.e2e

Start = Callable[..., Runtime]
Look = Callable[[Runtime], Any]

ways_to_end = pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "kill-9"])


def same_after_restart(runtime: Runtime, look: Look, *, kill: bool) -> None:
    before = look(runtime)
    runtime.restart(kill=kill)
    assert look(runtime) == before


@ways_to_end
def test_objects_come_back_with_their_versions_tags_and_unfinished_uploads(
    start_runtime: Start, kill: bool
) -> None:
    runtime = start_runtime()
    s3 = runtime.s3
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    for text in (b"1", b"22", b"333"):
        s3.put_object(Bucket="versions", Key="a", Body=text)
    s3.delete_object(Bucket="versions", Key="a")
    s3.put_bucket_tagging(Bucket="models", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    name = "folder/ä ö+%/x"
    large = random.Random(1).randbytes(3_000_000)  # noqa: S311 - no secret
    s3.put_object(Bucket="models", Key=name, Body=large, Metadata={"m": "n"}, Tagging="t=1")
    for key in ("one", "two", "three"):
        s3.put_object(Bucket="models", Key=key, Body=key.encode(), ContentType="text/plain")
    s3.delete_objects(Bucket="models", Delete={"Objects": [{"Key": "one"}, {"Key": "two"}]})
    upload = {"Bucket": "models", "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    first = s3.upload_part(**upload, PartNumber=1, Body=b"x" * 5 * 1024**2)["ETag"]

    def look(runtime: Runtime) -> Any:
        s3 = runtime.s3
        versions = s3.list_object_versions(Bucket="versions")
        listed = s3.list_objects_v2(Bucket="models")["Contents"]
        got = s3.get_object(Bucket="models", Key=name)
        parts = s3.list_parts(**upload)["Parts"]
        return (
            s3.list_buckets()["Buckets"],
            [
                (v["Key"], v["VersionId"], v["ETag"], v["LastModified"])
                for v in versions["Versions"]
            ],
            [(m["VersionId"], m["LastModified"]) for m in versions["DeleteMarkers"]],
            [(each["Key"], each["ETag"], each["LastModified"]) for each in listed],
            (got["Body"].read() == large, got["Metadata"], got["ETag"], got["TagCount"]),
            s3.get_bucket_tagging(Bucket="models")["TagSet"],
            [(part["PartNumber"], part["ETag"], part["LastModified"]) for part in parts],
        )

    same_after_restart(runtime, look, kill=kill)
    second = runtime.s3.upload_part(**upload, PartNumber=2, Body=b"y")["ETag"]
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    runtime.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    runtime.s3.delete_object(Bucket="models", Key=name)
    runtime.restart(kill=kill)
    whole = runtime.s3.get_object(Bucket="models", Key="parts")["Body"].read()
    assert whole == b"x" * 5 * 1024**2 + b"y"
    contents = list((runtime.state_dir / "records/contents").iterdir())
    assert len(contents) == 1, "what is gone leaves no file"


@ways_to_end
def test_everything_beside_the_objects_comes_back_the_same(
    start_runtime: Start, kill: bool
) -> None:
    runtime = start_runtime()
    sqs, sns, iam = (runtime.client(service) for service in ("sqs", "sns", "iam"))
    queue = sqs.create_queue(QueueName="queue")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    topic = sns.create_topic(Name="topic")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    for text in ("deleted", "received", "waiting"):
        sns.publish(TopicArn=topic, Message=text)
    [deleted] = sqs.receive_message(QueueUrl=queue)["Messages"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=deleted["ReceiptHandle"])
    [received] = sqs.receive_message(QueueUrl=queue)["Messages"]
    managed = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    iam.create_role(RoleName="role", AssumeRolePolicyDocument="{}")
    iam.attach_role_policy(RoleName="role", PolicyArn=managed)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    inline = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="role", PolicyName="inline", PolicyDocument=inline)
    kms = runtime.client("kms")
    keys = [
        kms.create_key()["KeyMetadata"]["KeyId"],
        kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"],
    ]
    secret = kms.encrypt(KeyId=keys[0], Plaintext=b"secret")["CiphertextBlob"]
    runtime.client("ssm").put_parameter(Name="/a", Value="b", Type="String")
    runtime.client("ecr").create_repository(repositoryName="images")
    runtime.client("logs").create_log_group(logGroupName="group")
    cloudwatch = runtime.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="alarm", Namespace="n", MetricName="m", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloudwatch.put_dashboard(DashboardName="dashboard", DashboardBody='{"widgets": []}')

    def look(runtime: Runtime) -> Any:
        sqs, iam, kms = (runtime.client(service) for service in ("sqs", "iam", "kms"))
        cloudwatch = runtime.client("cloudwatch")
        [alarm] = cloudwatch.describe_alarms()["MetricAlarms"]
        return (
            sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"],
            runtime.client("sns").list_subscriptions()["Subscriptions"],
            iam.get_role(RoleName="role")["Role"],
            iam.list_attached_role_policies(RoleName="role")["AttachedPolicies"],
            iam.list_role_policies(RoleName="role")["PolicyNames"],
            iam.get_policy(PolicyArn=managed)["Policy"]["AttachmentCount"],
            kms.decrypt(CiphertextBlob=secret)["Plaintext"],
            kms.get_public_key(KeyId=keys[1])["PublicKey"],
            runtime.client("ssm").get_parameter(Name="/a")["Parameter"],
            runtime.client("ecr").describe_repositories()["repositories"],
            runtime.client("logs").describe_log_groups()["logGroups"],
            runtime.client("ec2").describe_vpcs()["Vpcs"],
            (alarm["AlarmArn"], alarm["AlarmConfigurationUpdatedTimestamp"]),
            cloudwatch.list_dashboards()["DashboardEntries"],
        )

    same_after_restart(runtime, look, kill=kill)
    sqs = runtime.client("sqs")
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=received["ReceiptHandle"])
    [waiting] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(waiting["Body"])["Message"] == "waiting"


@ways_to_end
def test_an_endpoint_serves_again_with_the_capacity_it_was_scaled_to(
    start_runtime: Start, kill: bool
) -> None:
    runtime = start_runtime()
    name = runtime.deploy(runtime.handler(ECHO))
    runtime.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}],
    )
    runtime.settled(name)
    scaling = runtime.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    tracking = {
        "TargetValue": 1000.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    }
    scaling.put_scaling_policy(
        **target, PolicyName="p", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )  # fmt: skip
    scaling.put_scheduled_action(
        **target, ScheduledActionName="later", Schedule="cron(0 3 * * ? *)",
        ScalableTargetAction={"MinCapacity": 1},
    )  # fmt: skip

    def look(runtime: Runtime) -> Any:
        described = runtime.settled(name)
        scaling = runtime.client("application-autoscaling")
        alarms = runtime.client("cloudwatch").describe_alarms()["MetricAlarms"]
        return (
            {key: described[key] for key in ("EndpointArn", "CreationTime", "ProductionVariants")},
            runtime.sagemaker.list_models()["Models"],
            scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"],
            scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"],
            scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"],
            [alarm["AlarmArn"] for alarm in alarms],
        )

    same_after_restart(runtime, look, kill=kill)
    assert runtime.invoke(name, b"again")["Body"] == b"again"
    wait_until(lambda: len(runtime.pids("handler_host")) == 2)


def all_beyond(collections: Sequence[Sized], counts: Sequence[int]) -> bool:
    """Whether each has more than its number of items."""
    return all(len(each) > count for each, count in zip(collections, counts, strict=True))


def test_what_was_answered_is_there_when_all_is_killed_in_the_middle(
    start_runtime: Start,
) -> None:
    """Requests into a queue and objects of all sizes, while every process is killed three times."""
    runtime = start_runtime()
    accounts = Accounts(runtime.url)
    accepted: list[Accepted] = []
    stored: dict[str, str] = {}
    ended = threading.Event()
    chance = random.Random(2)  # noqa: S311 - no secret

    def send(first: int) -> None:
        number = first
        while not ended.is_set():
            with contextlib.suppress(BotoCoreError, ClientError):
                accepted.append(accounts.try_to_invoke(number))
            number += 1

    def store(thread: int) -> None:
        number = 0
        while not ended.is_set():
            body = chance.randbytes(chance.choice([0, 10, 1000, 70_000, 1_000_000]))
            key = f"{thread}/{number}"
            with contextlib.suppress(BotoCoreError, ClientError):
                runtime.s3.put_object(Bucket="models", Key=key, Body=body)
                stored[key] = hashlib.md5(body).hexdigest()  # noqa: S324 - what S3 answers
            number += 1

    with ThreadPoolExecutor(8) as clients:
        running = [clients.submit(work, n) for work in (send, store) for n in range(4)]
        try:
            for _ in range(3):
                enough = len(accepted) + 20, len(stored) + 10
                wait_until(partial(all_beyond, (accepted, stored), enough))
                time.sleep(chance.uniform(0.5, 1.5))  # not for something: to kill at any moment
                runtime.restart(kill=True)
        finally:
            ended.set()
        for each in running:
            each.result()

    wait_until_empty(runtime.state_dir)
    assert len(accepted) > 50
    assert len(stored) > 20
    figures = accounts.figures(accepted)
    assert accounted_for(figures), figures
    assert figures["failures"] == 0
    for key, digest in stored.items():
        body = runtime.s3.get_object(Bucket="models", Key=key)["Body"].read()
        assert hashlib.md5(body).hexdigest() == digest  # noqa: S324


def test_a_deployed_app_shows_no_difference_and_is_updated_and_destroyed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runtime = Runtime(tmp_path_factory.mktemp("runtime"))
    try:
        deployment = Deployment(tmp_path_factory.mktemp("app"), runtime)
        one = deployment.synthesize("one")
        deployment.deploy(one)
        stack, endpoint = deployment.stack(), deployment.endpoint()

        runtime.restart()

        assert deployment.stack() == stack
        assert "There were no differences" in deployment.command("diff", assembly=one)
        assert "no changes" in deployment.deploy(one)
        assert deployment.answer() == b"x first one"
        deployment.deploy(deployment.synthesize("two"))
        assert deployment.answer() == b"x first two"
        assert deployment.endpoint() == endpoint
        runtime.restart(kill=True)
        deployment.destroy(one)
        assert deployment.models() == []
        assert runtime.sagemaker.list_endpoints()["Endpoints"] == []
    finally:
        runtime.stop()


def test_an_operation_that_was_interrupted_is_undone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runtime = Runtime(tmp_path_factory.mktemp("runtime"))
    try:
        deployment = Deployment(tmp_path_factory.mktemp("app"), runtime)

        def interrupt(assembly: Path, status: str) -> None:
            process = deployment.start(
                "deploy", "--all", "--require-approval", "never", assembly=assembly
            )

            def begun() -> bool:
                with contextlib.suppress(ClientError):
                    resources = runtime.client("cloudformation").describe_stack_resources(
                        StackName="Serving"
                    )["StackResources"]
                    return any(
                        each["ResourceType"] == "AWS::SageMaker::Endpoint"
                        and each["ResourceStatus"] == status
                        for each in resources
                    )
                return False

            wait_until(begun)
            process.kill()
            runtime.restart(kill=True)
            process.communicate()

        slow = deployment.synthesize("first", startup_s=8)
        interrupt(slow, "CREATE_IN_PROGRESS")
        wait_until(lambda: deployment.stack()["StackStatus"] == "ROLLBACK_COMPLETE")
        assert deployment.models() == []
        deployment.deploy(deployment.synthesize("second"))
        models = deployment.models()
        interrupt(deployment.synthesize("third", startup_s=8), "UPDATE_IN_PROGRESS")
        wait_until(lambda: deployment.stack()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE")
        assert deployment.answer() == b"x first second"
        assert deployment.models() == models
    finally:
        runtime.stop()


class TestStateThatCannotBeUsed:
    """It is refused with a word, and left as it is."""

    @pytest.fixture
    def left(self, start_runtime: Start) -> Path:
        """The state directory of a runtime that has ended."""
        runtime = start_runtime()
        runtime.deploy(runtime.handler(ECHO))
        runtime.stop()
        return runtime.state_dir

    def refused(self, state_dir: Path) -> str:
        ended = up("--port", "0", "--state-dir", str(state_dir))
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        return ended.stderr

    def change(self, state_dir: Path, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(state_dir / "records/records.sqlite")) as database:
            database.execute(statement)
            database.commit()

    def test_of_another_moto(self, left: Path) -> None:
        self.change(left, "UPDATE meta SET value = '5.0.0' WHERE name = 'moto'")

        text = self.refused(left)

        assert "were written with moto 5.0.0" in text
        assert "another --state-dir" in text

    def test_of_another_version_of_this_runtime(self, left: Path) -> None:
        self.change(left, "UPDATE meta SET value = replace(value, 'generation', 'era')")

        assert "Endpoint has other fields" in self.refused(left)

    def test_whose_records_name_what_they_may_not(self, left: Path) -> None:
        harmful = b"cos\\nsystem\\n(S'true'\\ntR.".replace(b"\\n", b"\n")
        query = f"UPDATE part SET document = x'{harmful.hex()}' WHERE name = 'hosting'"  # noqa: S608
        self.change(left, query)

        assert "os.system" in self.refused(left)

    def test_that_others_can_write(self, left: Path) -> None:
        (left / "records").chmod(0o777)

        assert "writable by nobody else" in self.refused(left)


def test_without_a_state_directory_nothing_is_kept(start_runtime: Start) -> None:
    runtime = start_runtime(keeps_state=False)
    runtime.s3.put_object(Bucket="models", Key="x", Body=b"x")

    runtime.restart()

    assert runtime.s3.list_buckets()["Buckets"] == []
