"""CloudWatch Logs over what containers print, as boto3 sees it."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_runtime.logs import log_file

REGION = "us-east-1"
_names = itertools.count(1)


class Group:
    """A log group that containers print to."""

    def __init__(self, served: Any) -> None:
        self.name = f"/aws/sagemaker/Endpoints/printing-{next(_names)}"
        self.logs = served.client("logs", REGION)
        self._state: Path = served.logs.parent

    def print(self, stream: str, *lines: str) -> None:
        path = log_file(self._state, REGION, self.name, stream)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def get(self, stream: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.logs.get_log_events(
            logGroupName=self.name, logStreamName=stream, **more
        )
        answer["messages"] = [event["message"] for event in answer["events"]]
        return answer

    def filter(self, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.logs.filter_log_events(logGroupName=self.name, **more)
        answer["messages"] = [event["message"] for event in answer["events"]]
        return answer

    def streams(self, **more: Any) -> list[str]:
        pages = self.logs.get_paginator("describe_log_streams").paginate(
            logGroupName=self.name, **more
        )
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]


@pytest.fixture
def group(served: Any) -> Group:
    return Group(served)


def test_a_group_begins_when_a_container_prints(group: Group) -> None:
    found = group.logs.describe_log_groups(logGroupNamePrefix=group.name)
    assert found["logGroups"] == []

    group.print("AllTraffic/i-1", "hello")

    [described] = group.logs.describe_log_groups(logGroupNamePrefix=group.name)["logGroups"]
    assert described["logGroupName"] == group.name
    [stream] = group.logs.describe_log_streams(logGroupName=group.name)["logStreams"]
    assert stream["logStreamName"] == "AllTraffic/i-1"
    assert stream["arn"].endswith(f":log-group:{group.name}:log-stream:AllTraffic/i-1")
    assert abs(stream["lastEventTimestamp"] / 1000 - time.time()) < 60


def test_a_group_that_was_made_before_keeps_its_retention(group: Group) -> None:
    group.logs.create_log_group(logGroupName=group.name)
    group.logs.put_retention_policy(logGroupName=group.name, retentionInDays=7)

    group.print("AllTraffic/i-1", "hello")

    assert group.get("AllTraffic/i-1")["messages"] == ["hello"]
    [described] = group.logs.describe_log_groups(logGroupNamePrefix=group.name)["logGroups"]
    assert described["retentionInDays"] == 7


def test_without_a_token_the_newest_events_come(group: Group) -> None:
    group.print("AllTraffic/i-1", *(f"line {number}" for number in range(10)))

    assert group.get("AllTraffic/i-1", limit=3)["messages"] == ["line 7", "line 8", "line 9"]
    assert group.get("AllTraffic/i-1", limit=3, startFromHead=True)["messages"] == [
        "line 0",
        "line 1",
        "line 2",
    ]


@pytest.mark.parametrize("from_head", [True, False])
def test_tokens_walk_through_all_events_and_stay_at_the_end(group: Group, from_head: bool) -> None:
    lines = [f"line {number}" for number in range(10)]
    group.print("AllTraffic/i-1", *lines)
    member = "nextForwardToken" if from_head else "nextBackwardToken"

    pages = [group.get("AllTraffic/i-1", limit=3, startFromHead=from_head)]
    while True:
        token = pages[-1][member]
        pages.append(group.get("AllTraffic/i-1", limit=3, nextToken=token))
        if pages[-1][member] == token:
            break

    order = pages if from_head else reversed(pages)
    assert [message for page in order for message in page["messages"]] == lines
    assert pages[-1]["messages"] == []


def test_a_tail_follows_what_is_printed_next(group: Group) -> None:
    group.print("AllTraffic/i-1", "before")
    token = group.get("AllTraffic/i-1")["nextForwardToken"]
    assert group.get("AllTraffic/i-1", nextToken=token)["messages"] == []

    group.print("AllTraffic/i-1", "after")

    assert group.get("AllTraffic/i-1", nextToken=token)["messages"] == ["after"]


def test_times_bound_what_is_given(group: Group) -> None:
    group.print("AllTraffic/i-1", "early")
    [early] = group.get("AllTraffic/i-1")["events"]
    group.print("AllTraffic/i-1", "late")
    late = group.get("AllTraffic/i-1")["events"][-1]
    assert late["timestamp"] > early["timestamp"]

    def got(**times: int) -> list[str]:
        messages: list[str] = group.get("AllTraffic/i-1", startFromHead=True, **times)["messages"]
        return messages

    def filtered(**times: int) -> list[str]:
        messages: list[str] = group.filter(**times)["messages"]
        return messages

    assert got(startTime=late["timestamp"]) == filtered(startTime=late["timestamp"]) == ["late"]
    # GetLogEvents leaves the end out, FilterLogEvents does not: the API's own words.
    assert got(endTime=late["timestamp"]) == ["early"]
    assert filtered(endTime=late["timestamp"]) == ["early", "late"]
    assert got(startTime=late["timestamp"] + 1) == []


def test_events_of_all_streams_come_in_the_order_of_time(group: Group) -> None:
    for number in range(6):
        group.print(f"AllTraffic/i-{number % 2}", f"line {number}")
        group.filter()  # so that the lines are seen one after the other

    assert group.filter()["messages"] == [f"line {number}" for number in range(6)]
    assert group.filter(logStreamNames=["AllTraffic/i-1"])["messages"] == [
        "line 1",
        "line 3",
        "line 5",
    ]
    assert group.filter(logStreamNamePrefix="Other")["messages"] == []
    assert group.filter(filterPattern='"line 4"')["messages"] == ["line 4"]


def test_pages_of_many_streams_lose_and_repeat_nothing(group: Group) -> None:
    for stream in range(5):
        group.print(f"AllTraffic/i-{stream}", *(f"{stream}.{line}" for line in range(7)))
    pages = group.logs.get_paginator("filter_log_events").paginate(
        logGroupName=group.name, PaginationConfig={"PageSize": 4}
    )

    events = [event for page in pages for event in page["events"]]

    assert sorted(event["message"] for event in events) == [
        f"{stream}.{line}" for stream in range(5) for line in range(7)
    ]
    assert len({event["eventId"] for event in events}) == 35


def test_streams_of_others_are_found_beside_those_of_containers(group: Group) -> None:
    group.print("AllTraffic/i-1", "printed")
    group.filter()
    now_ms = int(time.time() * 1000) + 60_000
    group.logs.create_log_stream(logGroupName=group.name, logStreamName="mine")
    group.logs.put_log_events(
        logGroupName=group.name,
        logStreamName="mine",
        logEvents=[{"timestamp": now_ms, "message": "uploaded"}],
    )

    assert group.filter()["messages"] == ["printed", "uploaded"]
    assert group.get("mine")["messages"] == ["uploaded"]
    assert group.streams() == ["AllTraffic/i-1", "mine"]


def test_streams_are_listed_in_pages_by_name_or_by_time(group: Group) -> None:
    for name in ("b", "c", "a"):
        group.print(f"AllTraffic/{name}", "hello")
        group.filter()
    by_name, by_time = ["a", "b", "c"], ["b", "c", "a"]

    def names(**more: Any) -> list[str]:
        found = group.streams(PaginationConfig={"PageSize": 1}, **more)
        return [name.removeprefix("AllTraffic/") for name in found]

    assert names() == by_name
    assert names(descending=True) == by_name[::-1]
    assert names(orderBy="LastEventTime") == by_time
    assert names(orderBy="LastEventTime", descending=True) == by_time[::-1]
    assert names(logStreamNamePrefix="AllTraffic/b") == ["b"]


def test_a_deleted_stream_or_group_is_gone_until_its_container_prints(group: Group) -> None:
    group.print("AllTraffic/i-1", "one")
    group.print("AllTraffic/i-2", "two")
    group.logs.delete_log_stream(logGroupName=group.name, logStreamName="AllTraffic/i-1")
    assert group.streams() == ["AllTraffic/i-2"]

    group.logs.delete_log_group(logGroupName=group.name)
    assert group.logs.describe_log_groups(logGroupNamePrefix=group.name)["logGroups"] == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        group.filter()

    group.print("AllTraffic/i-2", "three")
    assert group.filter()["messages"] == ["three"]


def test_a_group_is_in_the_region_of_its_endpoint(served: Any, group: Group) -> None:
    group.print("AllTraffic/i-1", "one")

    elsewhere = served.client("logs", "eu-central-1")

    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        elsewhere.filter_log_events(logGroupName=group.name)


def test_endpoints_of_one_name_in_two_regions_print_apart(served: Any, group: Group) -> None:
    group.print("AllTraffic/i-1", "here")
    elsewhere = log_file(served.logs.parent, "eu-west-1", group.name, "AllTraffic/i-1")
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text("there\n")
    logs = served.client("logs", "eu-west-1")

    [event] = logs.filter_log_events(logGroupName=group.name)["events"]
    assert event["message"] == "there"
    assert group.filter()["messages"] == ["here"]

    logs.delete_log_group(logGroupName=group.name)
    assert group.filter()["messages"] == ["here"]


def test_a_group_from_a_template_takes_what_its_endpoint_prints(served: Any) -> None:
    name, region = f"templated-{next(_names)}", "eu-west-1"
    sagemaker, logs = served.client("sagemaker", region), served.client("logs", region)
    group = f"/aws/sagemaker/Endpoints/{name}"
    resource = {
        "Type": "AWS::Logs::LogGroup",
        "Properties": {"LogGroupName": group, "RetentionInDays": 7},
    }
    stack = served.create_stack({"Resources": {"Group": resource}})
    image = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn="arn:aws:iam::123456789012:role/execution",
        PrimaryContainer={"Image": image, "ModelDataUrl": "s3://models/model.tar.gz"},
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    path = log_file(served.logs.parent, region, group, "AllTraffic/i-1")
    path.parent.mkdir(parents=True)
    path.write_text("hello\n")

    [event] = logs.filter_log_events(logGroupName=group)["events"]
    [described] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert (event["message"], described["retentionInDays"]) == ("hello", 7)
    assert (
        served.client("logs", REGION).describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        == []
    )

    served.delete_stack(stack["StackName"])
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []


def test_an_arn_names_a_group(group: Group) -> None:
    group.print("AllTraffic/i-1", "one")
    arn = f"arn:aws:logs:{REGION}:123456789012:log-group:{group.name}"

    found = group.logs.filter_log_events(logGroupIdentifier=arn)

    assert [event["message"] for event in found["events"]] == ["one"]


@pytest.mark.parametrize(
    ("operation", "request_", "code"),
    [
        ("get_log_events", {"logStreamName": "gone"}, "ResourceNotFoundException"),
        (
            "get_log_events",
            {"logStreamName": "AllTraffic/i-1", "nextToken": "x/1"},
            "InvalidParameterException",
        ),
        ("filter_log_events", {"nextToken": "x"}, "InvalidParameterException"),
        ("filter_log_events", {"filterPattern": "{ $.a = 1 }"}, "InvalidParameterException"),
        (
            "filter_log_events",
            {"logStreamNames": ["a"], "logStreamNamePrefix": "b"},
            "InvalidParameterException",
        ),
        (
            "describe_log_streams",
            {"orderBy": "LastEventTime", "logStreamNamePrefix": "b"},
            "InvalidParameterException",
        ),
        (
            "start_query",
            {"startTime": 0, "endTime": 1, "queryString": "fields @message"},
            "InvalidOperationException",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(
    group: Group, operation: str, request_: dict[str, Any], code: str
) -> None:
    group.print("AllTraffic/i-1", "one")

    with pytest.raises(ClientError) as refused:
        getattr(group.logs, operation)(logGroupName=group.name, **request_)

    assert refused.value.response["Error"]["Code"] == code
