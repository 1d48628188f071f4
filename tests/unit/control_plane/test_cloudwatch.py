"""CloudWatch through boto3, in each of the protocols that clients speak."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
import waitress
from botocore.exceptions import ClientError

from local_runtime.control_plane.cloudwatch.metric_store import MetricName
from local_runtime.control_plane.cloudwatch.statistics import Tally
from local_runtime.control_plane.server import ControlPlane

REGION = "eu-west-1"
PROTOCOLS = ("json", "query", "smithy-rpc-v2-cbor")
START_S = 1_700_000_040.0  # at a full minute


class Wall:
    """The wall's clock, moved by hand."""

    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s


class Monitored:
    """A control plane at speed 1 whose CloudWatch lives by a clock of ours."""

    def __init__(self) -> None:
        self.wall = Wall()
        self.control_plane = ControlPlane("http://127.0.0.1")
        cloudwatch = self.control_plane.cloudwatch
        cloudwatch.alarms._now_s = self.wall  # noqa: SLF001 - the clock of the test
        cloudwatch.evaluation._now_s = self.wall  # noqa: SLF001
        cloudwatch.api._now_s = self.wall  # noqa: SLF001
        self.cloudwatch = cloudwatch
        server = waitress.create_server(self.control_plane, host="127.0.0.1", port=0, threads=4)
        threading.Thread(target=server.run, daemon=True).start()
        self.server = server
        self.url = f"http://127.0.0.1:{server.effective_port}"

    def client(self, protocol: str = "json", service: str = "cloudwatch") -> Any:
        """A client that speaks one of the protocols."""
        session = botocore.session.Session()
        if service == "cloudwatch":
            model = session.get_component("data_loader").load_service_model(service, "service-2")
            model["metadata"]["protocols"] = [protocol]
            model["metadata"]["protocol"] = protocol
        return session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - nobody checks it
        )

    def record(self, name: str, value: float, *, minute: float = 0.0, **dimensions: str) -> None:
        """A sample of an endpoint's metric."""
        metric = MetricName(REGION, "AWS/SageMaker", name, tuple(sorted(dimensions.items())))
        self.cloudwatch.metrics.put(metric, START_S + minute * 60, Tally.of({value: 1.0}))

    def pass_minutes(self, minutes: float) -> None:
        """Let time pass, with an evaluation at each minute's end."""
        for _ in range(round(minutes)):
            self.wall.now_s += 60
            self.cloudwatch.metrics.complete_until(self.wall.now_s)
            self.cloudwatch.evaluation.step()
            self.cloudwatch.evaluation.settle()


@pytest.fixture(scope="module")
def plane() -> Iterator[Monitored]:
    monitored = Monitored()
    yield monitored
    monitored.server.close()


@pytest.fixture(scope="module", params=PROTOCOLS)
def client(request: pytest.FixtureRequest, plane: Monitored) -> Any:
    return plane.client(request.param)


@pytest.fixture
def cloudwatch(plane: Monitored) -> Any:
    return plane.client()


_names = iter(range(10_000))


def fresh(prefix: str = "Metric") -> str:
    return f"{prefix}{next(_names)}"


def alarm(name: str, metric: str, **changes: Any) -> dict[str, Any]:
    """PutMetricAlarm's parameters: above 5 for two minutes."""
    return {
        "AlarmName": name,
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **changes,
    }


def state(client: Any, name: str) -> str:
    [described] = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    value: str = described["StateValue"]
    return value


def test_data_that_was_put_is_there_at_once(client: Any) -> None:
    name = fresh()
    client.put_metric_data(
        Namespace="Mine",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": "Colour", "Value": "red"}],
                "Timestamp": START_S + 5,
                "Values": [1.0, 2.0, 10.0],
                "Counts": [8.0, 1.0, 1.0],
                "Unit": "Seconds",
            }
        ],
    )

    answer = client.get_metric_statistics(
        Namespace="Mine",
        MetricName=name,
        Dimensions=[{"Name": "Colour", "Value": "red"}],
        StartTime=START_S,
        EndTime=START_S + 60,
        Period=60,
        Statistics=["SampleCount", "Average", "Sum", "Minimum", "Maximum"],
    )

    [point] = answer["Datapoints"]
    assert answer["Label"] == name
    assert point.pop("Timestamp").timestamp() == START_S
    assert point == {
        "SampleCount": 10.0,
        "Average": 2.0,
        "Sum": 20.0,
        "Minimum": 1.0,
        "Maximum": 10.0,
        "Unit": "Seconds",
    }


def test_percentiles_come_as_extended_statistics(client: Any) -> None:
    name = fresh()
    data = [{"MetricName": name, "Timestamp": START_S, "Values": [float(n) for n in range(1, 101)]}]
    client.put_metric_data(Namespace="Mine", MetricData=data)

    [point] = client.get_metric_statistics(
        Namespace="Mine",
        MetricName=name,
        StartTime=START_S,
        EndTime=START_S + 60,
        Period=60,
        ExtendedStatistics=["p50", "p99", "tm90", "PR(:10)"],
    )["Datapoints"]

    assert point["ExtendedStatistics"] == {"p50": 50.0, "p99": 99.0, "tm90": 45.5, "PR(:10)": 10.0}


def test_a_dimension_left_out_finds_nothing(client: Any, plane: Monitored) -> None:
    name = fresh()
    plane.record(name, 1.0, EndpointName="e", VariantName="v")

    found = client.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=name,
        Dimensions=[{"Name": "EndpointName", "Value": "e"}],
        StartTime=START_S,
        EndTime=START_S + 60,
        Period=60,
        Statistics=["Sum"],
    )

    assert found["Datapoints"] == []


def test_metric_math_joins_metrics(client: Any, plane: Monitored) -> None:
    errors, all_of_them = fresh(), fresh()
    for minute, (bad, good) in enumerate([(1.0, 4.0), (0.0, 2.0), (3.0, 3.0)]):
        plane.record(errors, bad, minute=minute)
        plane.record(all_of_them, good, minute=minute)

    def stat(name: str) -> dict[str, Any]:
        metric = {"Namespace": "AWS/SageMaker", "MetricName": name}
        return {"Metric": metric, "Period": 60, "Stat": "Sum"}

    [result] = client.get_metric_data(
        MetricDataQueries=[
            {"Id": "bad", "MetricStat": stat(errors), "ReturnData": False},
            {"Id": "all", "MetricStat": stat(all_of_them), "ReturnData": False},
            {"Id": "rate", "Expression": "100 * bad / all", "Label": "Error rate"},
        ],
        StartTime=START_S,
        EndTime=START_S + 180,
        ScanBy="TimestampAscending",
    )["MetricDataResults"]

    assert result["Label"] == "Error rate"
    assert result["StatusCode"] == "Complete"
    assert result["Values"] == [25.0, 0.0, 100.0]
    assert [t.timestamp() for t in result["Timestamps"]] == [START_S + n * 60 for n in range(3)]


def test_metrics_are_listed_by_what_they_are_about(client: Any, plane: Monitored) -> None:
    name = fresh()
    plane.record(name, 1.0, EndpointName="listed", VariantName="A")
    plane.record(name, 1.0, EndpointName="other", VariantName="A")

    def found(**request: Any) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = client.list_metrics(MetricName=name, **request)["Metrics"]
        return listed

    assert len(found()) == 2
    assert found(Dimensions=[{"Name": "EndpointName", "Value": "listed"}]) == [
        {
            "Namespace": "AWS/SageMaker",
            "MetricName": name,
            "Dimensions": [
                {"Name": "EndpointName", "Value": "listed"},
                {"Name": "VariantName", "Value": "A"},
            ],
        }
    ]
    assert found(Dimensions=[{"Name": "ContainerName"}]) == []


def test_an_alarm_is_described_as_it_was_put(client: Any) -> None:
    name = fresh("alarm")
    client.put_metric_alarm(
        **alarm(
            name,
            "Latency",
            AlarmDescription="too slow",
            Dimensions=[{"Name": "EndpointName", "Value": "e"}],
            DatapointsToAlarm=1,
            TreatMissingData="notBreaching",
            AlarmActions=["arn:aws:sns:eu-west-1:123456789012:topic"],
        )
    )

    [described] = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]

    assert described["AlarmArn"] == f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"
    assert described["StateValue"] == "INSUFFICIENT_DATA"
    assert described["StateReason"] == "Unchecked: Initial alarm creation"
    assert described["ActionsEnabled"] is True
    assert described["OKActions"] == []
    assert described["Dimensions"] == [{"Name": "EndpointName", "Value": "e"}]
    assert described["TreatMissingData"] == "notBreaching"
    assert described["DatapointsToAlarm"] == 1
    assert described["Threshold"] == 5.0
    [found] = client.describe_alarms_for_metric(
        Namespace="AWS/SageMaker",
        MetricName="Latency",
        Dimensions=[{"Name": "EndpointName", "Value": "e"}],
    )["MetricAlarms"]
    assert found["AlarmName"] == name
    client.delete_alarms(AlarmNames=[name])
    assert client.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def test_refusals_have_the_codes_that_clients_know(client: Any) -> None:
    with pytest.raises(ClientError) as unknown:
        client.set_alarm_state(AlarmName="no-such", StateValue="OK", StateReason="x")
    with pytest.raises(ClientError) as backwards:
        client.get_metric_statistics(
            Namespace="n",
            MetricName="m",
            StartTime=START_S,
            EndTime=START_S,
            Period=60,
            Statistics=["Sum"],
        )
    with pytest.raises(ClientError) as invalid:
        client.put_metric_alarm(**alarm(fresh("alarm"), "m", TreatMissingData="zero"))
    with pytest.raises(ClientError) as gap:
        client.describe_anomaly_detectors()

    assert unknown.value.response["Error"]["Code"] == "ResourceNotFound"
    assert "no-such" in unknown.value.response["Error"]["Message"]
    assert backwards.value.response["Error"]["Code"] == "InvalidParameterValue"
    assert invalid.value.response["Error"]["Code"] == "ValidationError"
    assert gap.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


@pytest.mark.parametrize(
    ("period_s", "periods", "allowed"), [(60, 1441, "86400"), (3600, 169, "604800")]
)
def test_an_alarm_looks_back_a_day_at_most_or_seven_by_the_hour(
    client: Any, period_s: int, periods: int, allowed: str
) -> None:
    name = fresh("alarm")

    with pytest.raises(ClientError, match=rf"must be 10 to {allowed} .*got {period_s * periods}"):
        client.put_metric_alarm(**alarm(name, "m", Period=period_s, EvaluationPeriods=periods))
    client.put_metric_alarm(**alarm(name, "m", Period=period_s, EvaluationPeriods=periods - 1))

    client.delete_alarms(AlarmNames=[name])


def test_large_puts_may_be_compressed(client: Any) -> None:
    name = fresh()
    data = [
        {"MetricName": name, "Timestamp": START_S, "Values": [float(n) for n in range(150)]}
        for _ in range(20)
    ]

    client.put_metric_data(Namespace="Mine", MetricData=data)

    [point] = client.get_metric_statistics(
        Namespace="Mine",
        MetricName=name,
        StartTime=START_S,
        EndTime=START_S + 60,
        Period=60,
        Statistics=["SampleCount"],
    )["Datapoints"]
    assert point["SampleCount"] == 3000.0


def test_an_alarm_goes_off_after_its_periods_and_comes_back(
    plane: Monitored, cloudwatch: Any
) -> None:
    name, metric = fresh("alarm"), fresh()
    cloudwatch.put_metric_alarm(**alarm(name, metric))
    offset = (plane.wall.now_s - START_S) / 60
    states = []
    for minute, value in enumerate([9.0, 9.0, 9.0, 1.0]):
        plane.record(metric, value, minute=offset + minute)
        plane.pass_minutes(1)
        states.append(state(cloudwatch, name))

    assert states == ["INSUFFICIENT_DATA", "ALARM", "ALARM", "OK"]
    history = cloudwatch.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in history] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        f'Alarm "{name}" created',
    ]
    reason = json.loads(history[1]["HistoryData"])["newState"]["stateReason"]
    assert reason.startswith("Threshold Crossed: 2 out of the last 2 datapoints [9 (")
    assert reason.endswith(
        "were greater than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )


def test_an_alarm_on_metric_math_watches_the_series_that_is_returned(
    plane: Monitored, cloudwatch: Any
) -> None:
    name, metric = fresh("alarm"), fresh()
    stat = {
        "Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric},
        "Period": 60,
        "Stat": "Sum",
    }
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Metrics=[
            {"Id": "m", "MetricStat": stat, "ReturnData": False},
            {"Id": "e", "Expression": "IF(FILL(m, 0) > 5, m / PERIOD(m) * 60, 0)"},
        ],
        EvaluationPeriods=1,
        Threshold=6.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    offset = (plane.wall.now_s - START_S) / 60
    plane.record(metric, 7.0, minute=offset)
    plane.pass_minutes(1)
    first = state(cloudwatch, name)
    plane.pass_minutes(1)

    assert (first, state(cloudwatch, name)) == ("ALARM", "OK")


def test_a_change_of_state_is_published_to_its_topic(plane: Monitored, cloudwatch: Any) -> None:
    sns, sqs = plane.client(service="sns"), plane.client(service="sqs")
    topic = sns.create_topic(Name=fresh("topic"))["TopicArn"]
    queue = sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    name = fresh("alarm")
    cloudwatch.put_metric_alarm(**alarm(name, fresh(), AlarmActions=[topic]))

    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="trying it")
    plane.cloudwatch.evaluation.settle()

    [received] = sqs.receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(json.loads(received["Body"])["Message"])
    assert told["AlarmName"] == name
    assert (told["OldStateValue"], told["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert told["NewStateReason"] == "trying it"
    assert told["Trigger"]["Threshold"] == 5.0
    [action] = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")[
        "AlarmHistoryItems"
    ]
    assert action["HistorySummary"] == f"Successfully executed action {topic}"


def test_disabled_actions_are_not_carried_out(plane: Monitored, cloudwatch: Any) -> None:
    name = fresh("alarm")
    topic = "arn:aws:sns:eu-west-1:123456789012:none"
    cloudwatch.put_metric_alarm(**alarm(name, fresh(), AlarmActions=[topic]))
    cloudwatch.disable_alarm_actions(AlarmNames=[name])

    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="trying it")
    plane.cloudwatch.evaluation.settle()

    history = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")
    assert history["AlarmHistoryItems"] == []


def test_a_composite_alarm_follows_its_rule(plane: Monitored, cloudwatch: Any) -> None:
    one, two, both = fresh("alarm"), fresh("alarm"), fresh("alarm")
    for name in (one, two):
        cloudwatch.put_metric_alarm(**alarm(name, fresh()))
    cloudwatch.put_composite_alarm(
        AlarmName=both, AlarmRule=f'ALARM("{one}") AND NOT (OK({two}) OR FALSE)'
    )

    def composite() -> str:
        plane.cloudwatch.evaluation.step()
        [found] = cloudwatch.describe_alarms(AlarmNames=[both], AlarmTypes=["CompositeAlarm"])[
            "CompositeAlarms"
        ]
        value: str = found["StateValue"]
        return value

    before = composite()
    cloudwatch.set_alarm_state(AlarmName=one, StateValue="ALARM", StateReason="x")
    during = composite()
    cloudwatch.set_alarm_state(AlarmName=two, StateValue="OK", StateReason="x")

    assert (before, during, composite()) == ("OK", "ALARM", "OK")
    children = cloudwatch.describe_alarms(ChildrenOfAlarmName=both)["MetricAlarms"]
    assert {child["AlarmName"] for child in children} == {one, two}


def test_a_dashboard_is_kept(client: Any) -> None:
    name, body = fresh("dashboard"), json.dumps({"widgets": []})
    client.put_dashboard(DashboardName=name, DashboardBody=body)

    assert client.get_dashboard(DashboardName=name)["DashboardBody"] == body
    [entry] = client.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
    assert entry["Size"] == len(body)
    client.delete_dashboards(DashboardNames=[name])
    with pytest.raises(ClientError, match="does not exist"):
        client.get_dashboard(DashboardName=name)


def test_alarms_carry_tags(client: Any) -> None:
    name = fresh("alarm")
    client.put_metric_alarm(**alarm(name, "m", Tags=[{"Key": "team", "Value": "a"}]))
    arn = f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "cost", "Value": "1"}])
    client.untag_resource(ResourceARN=arn, TagKeys=["team"])

    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
