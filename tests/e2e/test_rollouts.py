"""UpdateEndpoint with a DeploymentConfig: traffic in steps, and alarms that take it back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from .conftest import ECHO, Runtime, wait_until

pytestmark = pytest.mark.e2e

SPEED = 60
# Of the service. An update that somebody ends bakes until then; one that is to go through bakes for
# as long as it takes to look at it.
UNTIL_STOPPED_S = 3600
FOR_A_LOOK_S = 1200


def answering(text: str) -> str:
    """A handler that always answers the same."""
    return ECHO.replace("return data, accept", f"return {text!r}, accept")


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime whose service's minutes are seconds."""
    runtime = Runtime(tmp_path_factory.mktemp("fast"), arguments=["--speed", str(SPEED)])
    yield runtime
    runtime.stop()


def config(
    kind: str, alarm: str | None = None, *, wait_s: int = UNTIL_STOPPED_S, **more: Any
) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait_s, **more}
    deployment: dict[str, Any] = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    if alarm is not None:
        deployment["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": alarm}]}
    return deployment


def quiet_alarm(runtime: Runtime) -> str:
    """An alarm that only the test moves."""
    name = runtime.name("alarm")
    runtime.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="Tests",
        MetricName=name,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    return name


def ring(runtime: Runtime, alarm: str) -> None:
    runtime.client("cloudwatch").set_alarm_state(
        AlarmName=alarm, StateValue="ALARM", StateReason="test"
    )


def described(runtime: Runtime, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = runtime.sagemaker.describe_endpoint(EndpointName=name)
    return answer


def at_share(runtime: Runtime, name: str, share: float) -> Callable[[], bool]:
    """Whether the update bakes with this share of the traffic."""

    def reached() -> bool:
        pending = described(runtime, name).get("PendingDeploymentSummary", {})
        for variant in pending.get("ProductionVariants", []):
            [status] = variant.get("VariantStatus", [{"Status": ""}])
            if status["Status"] == "Baking" and variant["CurrentWeight"] == pytest.approx(share):
                return True
        return False

    return reached


def answers(runtime: Runtime, name: str, count: int) -> Counter[bytes]:
    return Counter(runtime.invoke(name, b"x")["Body"] for _ in range(count))


def begin(runtime: Runtime, deployment: dict[str, Any], **variant: Any) -> tuple[str, str]:
    """An endpoint on its way from ``old`` to ``new``, and its new configuration."""
    name = runtime.deploy(runtime.handler(answering("old")), **variant)
    new = runtime.config(runtime.handler(answering("new")), **variant)
    runtime.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=new, DeploymentConfig=deployment
    )
    return name, new


def test_a_canary_gets_its_share_and_then_everything(fast: Runtime) -> None:
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    name, new = begin(fast, config("CANARY", wait_s=FOR_A_LOOK_S, CanarySize=size))

    wait_until(at_share(fast, name, 0.5))
    split = answers(fast, name, 200)
    during = described(fast, name)
    after = fast.settled(name)

    assert set(split) == {b"old", b"new"}
    assert 60 <= split[b"new"] <= 140  # six standard deviations of 200 coins
    assert during["EndpointStatus"] == "Updating"
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == new
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", new)
    assert "FailureReason" not in after
    assert after["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert set(answers(fast, name, 20)) == {b"new"}


def test_an_alarm_that_rings_while_the_new_fleet_bakes_brings_the_old_one_back(
    fast: Runtime,
) -> None:
    alarm = quiet_alarm(fast)
    size = {"Type": "CAPACITY_PERCENT", "Value": 10}
    name, new = begin(fast, config("CANARY", alarm, CanarySize=size))

    wait_until(at_share(fast, name, 0.1))
    ring(fast, alarm)
    after = fast.settled(name)

    assert after["EndpointStatus"] == "InService"
    assert after["EndpointConfigName"] != new
    assert after["FailureReason"] == (
        f"The update was rolled back: alarm {alarm} is in state ALARM."
    )
    assert set(answers(fast, name, 50)) == {b"old"}


def test_an_alarm_on_the_new_models_errors_brings_the_old_one_back(fast: Runtime) -> None:
    """The whole way: requests fail, the metric counts them, the alarm rings, traffic is back."""
    name = fast.deploy(fast.handler(answering("old")))
    alarm = fast.name("alarm")
    dimensions = {"EndpointName": name, "VariantName": "AllTraffic"}
    fast.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    broken = fast.config(fast.handler(ECHO.replace("return data, accept", "raise OSError('no')")))
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    fast.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=broken,
        DeploymentConfig=config("LINEAR", alarm, LinearStepSize=size),
    )

    wait_until(at_share(fast, name, 0.5))

    def taken_back() -> bool:
        for _ in range(5):
            with contextlib.suppress(fast.invoker.exceptions.ModelError):
                fast.invoke(name, b"x")
        return bool(described(fast, name)["EndpointStatus"] == "InService")

    wait_until(taken_back)
    assert alarm in described(fast, name)["FailureReason"]
    assert set(answers(fast, name, 20)) == {b"old"}


def test_an_alarm_on_the_new_configuration_alone_does_not_hear_the_old_fleet(
    fast: Runtime,
) -> None:
    """The old model fails already, the new one repairs it: the update must go through."""
    name = fast.deploy(fast.handler(ECHO.replace("return data, accept", "raise OSError('no')")))
    new = fast.config(fast.handler(answering("new")))
    alarms = {}
    for configuration in (described(fast, name)["EndpointConfigName"], new):
        alarm = alarms[configuration] = fast.name("alarm")
        dimensions = {
            "EndpointName": name,
            "VariantName": "AllTraffic",
            "EndpointConfigName": configuration,
        }
        fast.client("cloudwatch").put_metric_alarm(
            AlarmName=alarm,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0.0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    fast.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=new,
        DeploymentConfig=config("CANARY", alarms[new], wait_s=FOR_A_LOOK_S, CanarySize=size),
    )
    wait_until(at_share(fast, name, 0.5))
    for _ in range(40):
        with contextlib.suppress(fast.invoker.exceptions.ModelError):
            fast.invoke(name, b"x")

    after = fast.settled(name)
    old_alarm = next(alarm for key, alarm in alarms.items() if key != new)
    [old] = fast.client("cloudwatch").describe_alarms(AlarmNames=[old_alarm])["MetricAlarms"]

    assert old["StateValue"] == "ALARM"
    assert (after["EndpointConfigName"], after.get("FailureReason")) == (new, None)


def test_a_rolling_update_replaces_batches_and_comes_back_in_batches(fast: Runtime) -> None:
    alarm = quiet_alarm(fast)
    policy = {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
            "WaitIntervalInSeconds": UNTIL_STOPPED_S,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
    }
    name, _ = begin(fast, policy, InitialInstanceCount=2)

    wait_until(at_share(fast, name, 0.5))
    split = answers(fast, name, 100)
    ring(fast, alarm)
    after = fast.settled(name)

    assert set(split) == {b"old", b"new"}
    assert alarm in after["FailureReason"]
    [variant] = after["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"] == 2
    assert set(answers(fast, name, 50)) == {b"old"}


def test_a_rolling_update_that_nothing_stops_replaces_everything(fast: Runtime) -> None:
    policy = {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": 60,
        }
    }
    name, new = begin(fast, policy, InitialInstanceCount=2)
    after = fast.settled(name)

    assert after["EndpointConfigName"] == new
    [variant] = after["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 2
    assert set(answers(fast, name, 50)) == {b"new"}


def test_an_endpoint_can_be_deleted_while_its_update_bakes(fast: Runtime) -> None:
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    name, _ = begin(fast, config("CANARY", CanarySize=size))
    wait_until(at_share(fast, name, 0.5))

    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        fast.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=described(fast, name)["EndpointConfigName"]
        )
    fast.sagemaker.delete_endpoint(EndpointName=name)
    fast.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 180}
    )

    assert fast.containers(name) == []


def test_an_update_goes_on_when_the_data_plane_is_killed_in_it(fast: Runtime) -> None:
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    name, new = begin(fast, config("CANARY", wait_s=FOR_A_LOOK_S, CanarySize=size))
    wait_until(at_share(fast, name, 0.5))

    os.kill(fast.data_plane, signal.SIGKILL)

    def serves_both() -> bool:
        try:
            return set(answers(fast, name, 30)) == {b"old", b"new"}
        except (ClientError, HTTPClientError):
            return False

    wait_until(serves_both)
    after = fast.settled(name)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", new)
    assert set(answers(fast, name, 20)) == {b"new"}


def test_an_update_that_names_an_alarm_that_does_not_exist_is_rolled_back(fast: Runtime) -> None:
    name, new = begin(fast, config("ALL_AT_ONCE", "none-such"))
    after = fast.settled(name)

    assert after["EndpointConfigName"] != new
    assert "alarm none-such does not exist" in after["FailureReason"]


def test_a_stack_whose_update_is_taken_back_rolls_back(fast: Runtime) -> None:
    """CloudFormation sees the reason, and both end with the old configuration."""
    alarm = quiet_alarm(fast)
    before = fast.config(fast.handler(answering("old")))
    after = fast.config(fast.handler(answering("new")))
    endpoint = fast.name("endpoint")

    def template(configuration: str) -> str:
        properties = {
            "EndpointName": endpoint,
            "EndpointConfigName": configuration,
            "DeploymentConfig": config("ALL_AT_ONCE", alarm),
        }
        resource = {"Type": "AWS::SageMaker::Endpoint", "Properties": properties}
        return json.dumps({"Resources": {"Endpoint": resource}})

    stacks, stack = fast.client("cloudformation"), fast.name("stack")

    def status() -> str:
        return str(stacks.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])

    stacks.create_stack(StackName=stack, TemplateBody=template(before))
    wait_until(lambda: status() == "CREATE_COMPLETE")
    stacks.update_stack(StackName=stack, TemplateBody=template(after))
    wait_until(at_share(fast, endpoint, 1.0))
    ring(fast, alarm)
    wait_until(lambda: status() == "UPDATE_ROLLBACK_COMPLETE")

    reasons = [
        event.get("ResourceStatusReason", "")
        for event in stacks.describe_stack_events(StackName=stack)["StackEvents"]
    ]
    assert any(f"alarm {alarm} is in state ALARM" in reason for reason in reasons)
    assert described(fast, endpoint)["EndpointConfigName"] == before
    assert set(answers(fast, endpoint, 20)) == {b"old"}
