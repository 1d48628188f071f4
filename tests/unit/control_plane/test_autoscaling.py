"""Application Auto Scaling through boto3: targets, policies, alarms, activities, schedules."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import waitress
from botocore.config import Config
from botocore.exceptions import ClientError

from local_runtime.clock import Clock
from local_runtime.control_plane.cloudwatch.metric_store import MetricName
from local_runtime.control_plane.cloudwatch.statistics import Tally
from local_runtime.control_plane.scaling_schedule import ScheduleError, read
from local_runtime.control_plane.server import ControlPlane

REGION = "eu-west-1"
START_S = 1_700_000_040.0  # at a full minute
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
WAKE_UP = {
    "AdjustmentType": "ChangeInCapacity",
    "MetricAggregationType": "Average",
    "Cooldown": 300,
    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
}

_names = itertools.count(1)


def fresh(prefix: str) -> str:
    return f"{prefix}-{next(_names)}"


class World:
    """A control plane whose time moves by minutes, and a data plane that does what it is told."""

    def __init__(self) -> None:
        self.now_s = START_S
        plane = self.plane = ControlPlane("http://127.0.0.1")
        for part in (plane.cloudwatch.alarms, plane.cloudwatch.evaluation, plane.autoscaler):
            part._now_s = lambda: self.now_s  # noqa: SLF001
        plane.autoscaler._clock = Clock(now=lambda: self.now_s)  # noqa: SLF001
        self.answers = True
        self.server = waitress.create_server(plane, host="127.0.0.1", port=0, threads=4)
        threading.Thread(target=self.server.run, daemon=True).start()
        self.scaling = self.client("application-autoscaling")
        self.cloudwatch = self.client("cloudwatch")
        self.sagemaker = self.client("sagemaker")

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{self.server.effective_port}",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - nobody checks it
            config=Config(retries={"total_max_attempts": 1}),
        )

    def report(self) -> None:
        """What the data plane would report about everything that is under way."""
        for endpoint in self.plane.store.desired(after=0, wait_s=0)["endpoints"]:
            if endpoint["status"] in {"Creating", "Updating"}:
                counts = {
                    name: capacity.get("instances", 0)
                    for name, capacity in endpoint["capacities"].items()
                }
                self.plane.store.report(
                    endpoint["name"], endpoint["generation"], "InService", instance_counts=counts
                )
            elif endpoint["deleting"]:
                self.plane.store.report(endpoint["name"], endpoint["generation"], "Deleted")

    def pass_minutes(self, count: int) -> None:
        for _ in range(count):
            self.now_s += 60
            self.plane.cloudwatch.metrics.complete_until(self.now_s)
            self.plane.cloudwatch.evaluation.step()
            if self.answers:
                self.report()
                self.plane.autoscaler.step()


class Variant:
    """An endpoint of one variant, registered as a scalable target."""

    def __init__(
        self,
        world: World,
        *,
        bounds: tuple[int, int],
        asynchronous: bool = False,
        provisioned: int | None = None,
        count: int = 1,
    ) -> None:
        self.world = world
        self.endpoint, model = fresh("endpoint"), fresh("model")
        world.sagemaker.create_model(
            ModelName=model,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": "s3://b/m.tar.gz"},
            ExecutionRoleArn="arn:aws:iam::123456789012:role/execution",
        )
        variant: dict[str, Any] = {"VariantName": "AllTraffic", "ModelName": model}
        if provisioned is None:
            variant |= {"InstanceType": "ml.m5.large", "InitialInstanceCount": count}
        else:
            variant["ServerlessConfig"] = {
                "MemorySizeInMB": 1024,
                "MaxConcurrency": 10,
                "ProvisionedConcurrency": provisioned,
            }
        config: dict[str, Any] = {"ProductionVariants": [variant]}
        if asynchronous:
            config["AsyncInferenceConfig"] = {"OutputConfig": {"S3OutputPath": "s3://b/out"}}
        world.sagemaker.create_endpoint_config(EndpointConfigName=self.endpoint, **config)
        world.sagemaker.create_endpoint(
            EndpointName=self.endpoint, EndpointConfigName=self.endpoint
        )
        world.report()
        self.target = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{self.endpoint}/variant/AllTraffic",
            "ScalableDimension": INSTANCES if provisioned is None else CONCURRENCY,
        }
        self.register(*bounds)
        world.pass_minutes(1)

    def register(self, low: int, high: int) -> None:
        self.world.scaling.register_scalable_target(
            **self.target, MinCapacity=low, MaxCapacity=high
        )

    def put_tracking(self, name: str = "tracking", **configuration: Any) -> dict[str, Any]:
        specification = {
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            }
        }
        answer: dict[str, Any] = self.world.scaling.put_scaling_policy(
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 100.0,
                **(specification if "CustomizedMetricSpecification" not in configuration else {}),
                **configuration,
            },
            **self.target,
        )
        return answer

    def put_step(self, metric: str, threshold: float = 1.0, **changes: Any) -> None:
        policy = self.world.scaling.put_scaling_policy(
            PolicyName="step",
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={**WAKE_UP, **changes},
            **self.target,
        )
        self.world.cloudwatch.put_metric_alarm(
            AlarmName=fresh("alarm"),
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": self.endpoint}],
            Statistic="Average",
            Period=60,
            EvaluationPeriods=2,
            Threshold=threshold,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            AlarmActions=[policy["PolicyARN"]],
        )

    def minute(
        self, value: float, metric: str = "InvocationsPerInstance", **dimensions: str
    ) -> int:
        """One minute with one value of a metric; the desired capacity after it."""
        if metric == "InvocationsPerInstance":
            dimensions["VariantName"] = "AllTraffic"
        held = tuple(sorted({"EndpointName": self.endpoint, **dimensions}.items()))
        name = MetricName(REGION, "AWS/SageMaker", metric, held)
        self.world.plane.cloudwatch.metrics.put(name, self.world.now_s, Tally.of({value: 1.0}))
        self.world.pass_minutes(1)
        return self.desired

    @property
    def described(self) -> dict[str, Any]:
        answer = self.world.sagemaker.describe_endpoint(EndpointName=self.endpoint)
        [variant] = answer["ProductionVariants"]
        found: dict[str, Any] = variant
        return found

    @property
    def desired(self) -> int:
        value: int = self.described["DesiredInstanceCount"]
        return value

    def activities(self, **request: Any) -> list[dict[str, Any]]:
        answer = self.world.scaling.describe_scaling_activities(
            ServiceNamespace="sagemaker", ResourceId=self.target["ResourceId"], **request
        )
        found: list[dict[str, Any]] = answer["ScalingActivities"]
        return found


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    made.server.close()


def test_a_target_is_described_as_it_was_registered(world: World) -> None:
    variant = Variant(world, bounds=(1, 4))
    variant.world.scaling.register_scalable_target(**variant.target, MaxCapacity=6)

    [target] = world.scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[variant.target["ResourceId"]]
    )["ScalableTargets"]

    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 6)
    assert target["RoleARN"].endswith("AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint")
    assert target["SuspendedState"]["DynamicScalingInSuspended"] is False
    world.scaling.deregister_scalable_target(**variant.target)
    with pytest.raises(ClientError) as gone:
        variant.put_tracking()
    assert gone.value.response["Error"]["Code"] == "ObjectNotFoundException"


def test_what_does_not_exist_cannot_be_registered(world: World) -> None:
    with pytest.raises(ClientError, match="does not exist"):
        world.scaling.register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId="endpoint/nothing/variant/AllTraffic",
            ScalableDimension=INSTANCES,
            MinCapacity=1,
            MaxCapacity=2,
        )


def test_a_tracking_policy_comes_with_two_alarms(world: World) -> None:
    variant = Variant(world, bounds=(1, 4))

    answer = variant.put_tracking()

    high, low = (alarm["AlarmName"] for alarm in answer["Alarms"])
    stem = f"TargetTracking-endpoint/{variant.endpoint}/variant/AllTraffic"
    assert high.startswith(f"{stem}-AlarmHigh-")
    assert low.startswith(f"{stem}-AlarmLow-")
    described = world.cloudwatch.describe_alarms(AlarmNames=[high, low])["MetricAlarms"]
    assert [
        (a["ComparisonOperator"], a["Threshold"], a["EvaluationPeriods"], a["Period"])
        for a in described
    ] == [
        ("GreaterThanThreshold", 100.0, 3, 60),
        ("LessThanThreshold", 90.0, 15, 60),
    ]
    assert described[0]["AlarmActions"][0].startswith(answer["PolicyARN"])
    [policy] = world.scaling.describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=variant.target["ResourceId"]
    )["ScalingPolicies"]
    assert policy["PolicyARN"] == answer["PolicyARN"]
    assert policy["Alarms"] == answer["Alarms"]
    world.scaling.delete_scaling_policy(PolicyName="tracking", **variant.target)
    assert world.cloudwatch.describe_alarms(AlarmNames=[high, low])["MetricAlarms"] == []


def test_a_policy_that_is_put_again_keeps_its_alarms(world: World) -> None:
    variant = Variant(world, bounds=(1, 4))
    before = variant.put_tracking()

    after = variant.put_tracking(TargetValue=50.0, DisableScaleIn=True)

    assert after["PolicyARN"] == before["PolicyARN"]
    assert after["Alarms"] == before["Alarms"][:1]
    low = before["Alarms"][1]["AlarmName"]
    assert world.cloudwatch.describe_alarms(AlarmNames=[low])["MetricAlarms"] == []


def test_load_adds_instances_in_proportion_and_its_end_removes_them(world: World) -> None:
    variant = Variant(world, bounds=(1, 4))
    variant.put_tracking(ScaleInCooldown=120, ScaleOutCooldown=120)

    rising = [variant.minute(350.0) for _ in range(3)]
    steady = [variant.minute(87.0 + 8) for _ in range(3)]
    falling = [variant.minute(0.0) for _ in range(16)]

    assert rising == [1, 1, 4]
    assert steady == [4, 4, 4]
    assert falling[13:] == [4, 1, 1]
    latest, first = variant.activities()
    assert first["Description"] == "Setting desired instance count to 4."
    assert first["Cause"].startswith("monitor alarm TargetTracking-endpoint/")
    assert first["Cause"].endswith("in state ALARM triggered policy tracking")
    assert first["StatusCode"] == "Successful"
    assert first["StatusMessage"] == (
        "Successfully set desired instance count to 4. Change successfully fulfilled by sagemaker."
    )
    assert latest["Description"] == "Setting desired instance count to 1."
    assert variant.described["CurrentInstanceCount"] == 1


def test_within_its_cooldown_only_a_larger_scale_out_goes_on(world: World) -> None:
    variant = Variant(world, bounds=(1, 10))
    variant.put_tracking(ScaleOutCooldown=300)
    for _ in range(3):
        variant.minute(300.0)

    counts = [variant.minute(value) for value in (300.0, 250.0, 500.0, 400.0)]

    assert counts == [3, 3, 5, 5]


def test_a_scale_in_waits_for_the_cooldown_of_the_one_before(world: World) -> None:
    variant = Variant(world, bounds=(1, 10), count=8)
    variant.put_tracking(ScaleInCooldown=180)
    for _ in range(15):
        variant.minute(40.0)

    counts = [variant.minute(value) for value in (40.0, 40.0, 40.0, 40.0)]

    assert counts == [4, 4, 2, 2]


def test_the_first_instance_comes_within_two_minutes_of_a_backlog(world: World) -> None:
    variant = Variant(world, bounds=(0, 5), asynchronous=True)
    variant.put_step("HasBacklogWithoutCapacity")
    world.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=variant.endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}],
    )
    world.report()

    counts = [variant.minute(value, "HasBacklogWithoutCapacity") for value in (0, 1, 1, 1, 1)]

    assert counts == [0, 0, 1, 1, 1]
    assert variant.described["CurrentInstanceCount"] == 1


def test_an_idle_asynchronous_endpoint_returns_to_zero(world: World) -> None:
    variant = Variant(world, bounds=(0, 5), asynchronous=True)
    variant.put_tracking(
        TargetValue=5.0,
        CustomizedMetricSpecification={
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": variant.endpoint}],
            "Statistic": "Average",
        },
    )

    up = [variant.minute(23.0, "ApproximateBacklogSizePerInstance") for _ in range(3)]
    down = [variant.minute(0.0, "ApproximateBacklogSizePerInstance") for _ in range(16)]

    assert up[-1] == 5
    assert down[-1] == 0


def test_a_real_time_endpoint_does_not_go_to_zero(world: World) -> None:
    variant = Variant(world, bounds=(0, 4))
    variant.put_tracking()
    for _ in range(15):
        variant.minute(0.0)

    assert variant.desired == 1
    failed = variant.activities()[0]
    assert failed["StatusCode"] == "Failed"
    assert "must be 1 or more" in failed["StatusMessage"]


def test_without_data_nothing_scales(world: World) -> None:
    variant = Variant(world, bounds=(1, 5), count=3)
    variant.put_tracking()

    world.pass_minutes(20)

    assert variant.desired == 3
    assert variant.activities() == []


def test_several_policies_scale_in_only_together(world: World) -> None:
    variant = Variant(world, bounds=(1, 8), count=4)
    variant.put_tracking()
    variant.put_tracking(
        "second",
        TargetValue=50.0,
        CustomizedMetricSpecification={
            "MetricName": "CPUUtilization",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": variant.endpoint}],
            "Statistic": "Average",
        },
    )
    for _ in range(16):
        variant.world.plane.cloudwatch.metrics.put(
            MetricName(
                REGION, "AWS/SageMaker", "CPUUtilization", (("EndpointName", variant.endpoint),)
            ),
            world.now_s,
            Tally.of({48.0: 1.0}),
        )
        variant.minute(10.0)

    assert variant.desired == 4
    with pytest.raises(ClientError, match="Only one TargetTrackingScaling policy"):
        variant.put_tracking("third")


def test_at_its_bounds_a_policy_says_why_it_does_nothing(world: World) -> None:
    variant = Variant(world, bounds=(1, 2), count=2)
    variant.put_tracking()
    for _ in range(5):
        variant.minute(500.0)

    assert variant.activities() == []
    [idle] = variant.activities(IncludeNotScaledActivities=True)
    assert idle["NotScaledReasons"] == [
        {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 2, "CurrentCapacity": 2}
    ]


def test_suspended_scaling_waits(world: World) -> None:
    variant = Variant(world, bounds=(1, 4))
    variant.put_tracking()
    world.scaling.register_scalable_target(
        **variant.target, SuspendedState={"DynamicScalingOutSuspended": True}
    )
    for _ in range(4):
        variant.minute(400.0)
    suspended = variant.desired
    world.scaling.register_scalable_target(
        **variant.target, SuspendedState={"DynamicScalingOutSuspended": False}
    )

    assert (suspended, variant.minute(400.0)) == (1, 4)


def test_new_bounds_take_effect_at_once(world: World) -> None:
    variant = Variant(world, bounds=(1, 4))
    variant.register(3, 6)
    world.pass_minutes(1)

    assert variant.desired == 3
    assert variant.activities()[0]["Cause"] == "minimum capacity was set to 3"


def test_provisioned_concurrency_scales_too(world: World) -> None:
    variant = Variant(world, bounds=(1, 8), provisioned=2)
    variant.put_tracking(
        TargetValue=0.5,
        PredefinedMetricSpecification={
            "PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"
        },
    )
    for _ in range(3):
        name = MetricName(
            REGION,
            "AWS/SageMaker",
            "ServerlessProvisionedConcurrencyUtilization",
            (("EndpointName", variant.endpoint), ("VariantName", "AllTraffic")),
        )
        world.plane.cloudwatch.metrics.put(name, world.now_s, Tally.of({1.0: 1.0}))
        world.pass_minutes(1)

    size = variant.described["DesiredServerlessConfig"]
    assert size["ProvisionedConcurrency"] == 4
    assert variant.activities()[0]["Description"] == "Setting desired provisioned concurrency to 4."


def test_a_metric_of_another_dimension_cannot_be_tracked(world: World) -> None:
    variant = Variant(world, bounds=(1, 8), provisioned=2)

    with pytest.raises(ClientError, match="is not a supported metric"):
        variant.put_tracking()


def test_steps_with_a_gap_are_refused(world: World) -> None:
    variant = Variant(world, bounds=(1, 8))
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 5, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 7, "ScalingAdjustment": 2},
    ]

    with pytest.raises(ClientError, match="must not leave a gap"):
        variant.put_step("m", StepAdjustments=steps)


def test_deleting_an_endpoint_takes_its_scaling_with_it(world: World) -> None:
    variant = Variant(world, bounds=(1, 8))
    alarms = [alarm["AlarmName"] for alarm in variant.put_tracking()["Alarms"]]
    world.sagemaker.delete_endpoint(EndpointName=variant.endpoint)
    world.pass_minutes(1)

    targets = world.scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[variant.target["ResourceId"]]
    )
    assert targets["ScalableTargets"] == []
    assert world.cloudwatch.describe_alarms(AlarmNames=alarms)["MetricAlarms"] == []


def test_a_scheduled_action_moves_the_bounds(world: World) -> None:
    variant = Variant(world, bounds=(1, 4))
    at = datetime.fromtimestamp(world.now_s + 120, UTC)
    world.scaling.put_scheduled_action(
        ScheduledActionName="morning",
        Schedule=f"at({at:%Y-%m-%dT%H:%M:%S})",
        ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 8},
        **variant.target,
    )
    world.pass_minutes(1)
    before = variant.desired
    world.pass_minutes(2)

    assert (before, variant.desired) == (1, 2)
    cause = variant.activities()[0]["Cause"]
    assert cause == (
        "minimum capacity was set to 2 while scheduled action name morning was triggered"
    )
    [action] = world.scaling.describe_scheduled_actions(
        ServiceNamespace="sagemaker", ResourceId=variant.target["ResourceId"]
    )["ScheduledActions"]
    assert action["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 8}


def test_a_rate_follows_the_services_clock(world: World) -> None:
    variant = Variant(world, bounds=(1, 4))
    world.scaling.put_scheduled_action(
        ScheduledActionName="often",
        Schedule="rate(5 minutes)",
        ScalableTargetAction={"MinCapacity": 3},
        **variant.target,
    )
    world.pass_minutes(4)
    early = variant.desired
    world.pass_minutes(2)

    assert (early, variant.desired) == (1, 3)


@pytest.mark.parametrize(
    ("expression", "timezone", "expected"),
    [
        ("cron(0 9 * * ? *)", "UTC", "2023-11-15T09:00"),
        ("cron(30 8 ? * MON-FRI *)", "Europe/Berlin", "2023-11-15T07:30"),
        ("cron(0/15 * * * ? *)", "UTC", "2023-11-14T22:15"),
        ("cron(0 0 L * ? *)", "UTC", "2023-11-30T00:00"),
        ("cron(0 12 1 1 ? 2025)", "UTC", "2025-01-01T12:00"),
        ("at(2024-02-29T06:00:00)", "America/New_York", "2024-02-29T11:00"),
    ],
)
def test_schedules_are_due_when_the_calendar_says(
    expression: str, timezone: str, expected: str
) -> None:
    after = read(expression, timezone).after
    assert after is not None

    due_s = after(START_S)  # 2023-11-14 22:14 UTC

    assert due_s is not None
    assert f"{datetime.fromtimestamp(due_s, UTC):%Y-%m-%dT%H:%M}" == expected


@pytest.mark.parametrize(
    "expression",
    ["daily", "cron(0 9 * *)", "cron(0 25 * * ? *)", "cron(0 9 1 * MON *)", "rate(0 minutes)"],
)
def test_schedules_that_cannot_be_read_are_refused(expression: str) -> None:
    with pytest.raises(ScheduleError):
        read(expression)
