"""The console over HTTP: its routes, its refusals, and what it says of two regions."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.unit.control_plane.conftest import (
    CONTAINER,
    REGION,
    RunningControlPlane,
    fresh,
    variant,
)


def _send(
    served: RunningControlPlane, path: str, *, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(served.url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=sent)
    response = connection.getresponse()
    answer = response.status, {n.lower(): v for n, v in response.getheaders()}, response.read()
    connection.close()
    return answer


def _ask(served: RunningControlPlane, route: str) -> Any:
    status, _, body = _send(served, f"/console/api/{route}")
    assert status == 200, body
    return json.loads(body)


def _endpoint(served: RunningControlPlane, region: str) -> str:
    name = fresh("shown")
    sagemaker = served.client("sagemaker", region)
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn="arn:aws:iam::123456789012:role/execution",
        PrimaryContainer=CONTAINER,
    )
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant(name)])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    return name


def test_each_region_has_its_own_endpoints(served: RunningControlPlane) -> None:
    here, there = _endpoint(served, REGION), _endpoint(served, "ap-south-1")

    assert {REGION, "ap-south-1"} <= set(_ask(served, "runtime")["regions"])
    names = {
        region: {each["name"] for each in _ask(served, f"overview?region={region}")["endpoints"]}
        for region in (REGION, "ap-south-1")
    }
    assert here in names[REGION]
    assert there not in names[REGION]
    assert there in names["ap-south-1"]


def test_an_endpoint_says_what_it_is_made_of(served: RunningControlPlane) -> None:
    name = _endpoint(served, REGION)

    found = _ask(served, f"endpoints/{name}?region={REGION}")

    assert (found["kind"], found["status"], found["failure_reason"]) == (
        "real-time",
        "InService",
        None,
    )
    assert found["containers"][0]["model_data"] == CONTAINER["ModelDataUrl"]
    assert found["numbers"]["requests"] == 0
    assert found["scaling"] == {"targets": [], "policies": [], "activities": []}


def test_what_nothing_has_the_name_of_is_not_found(served: RunningControlPlane) -> None:
    for path in ("endpoints/nobody", "alarms/nobody", "dashboards/nobody", "nothing"):
        status, _, body = _send(served, f"/console/api/{path}")
        assert (status, "message" in json.loads(body)) == (404, True)
    assert _send(served, "/console/assets/../pages.py")[0] == 404
    assert _send(served, "/console/elsewhere")[0] == 404


def test_a_wrong_parameter_is_named(served: RunningControlPlane) -> None:
    for path, words in (
        ("overview?range=soon", "range must be a duration"),
        ("object", "location must be given"),
        ("object?location=http://x", "location must be like s3://BUCKET/KEY"),
        ("logs/x?since=now", "since must be seconds"),
        ("logs/x?after=1", "after must be what the last answer has named"),
    ):
        status, _, body = _send(served, f"/console/api/{path}")
        assert status == 400
        assert words in json.loads(body)["message"]


def test_a_dashboard_is_answered_with_its_widgets_read(served: RunningControlPlane) -> None:
    name = fresh("board")
    body = {"widgets": [{"type": "text", "properties": {"markdown": "# Hi"}}]}
    served.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=json.dumps(body))

    [widget] = _ask(served, f"dashboards/{name}")["widgets"]

    assert widget["content"] == [{"tag": "h4", "children": ["Hi"]}]


def test_the_console_reads_only(served: RunningControlPlane) -> None:
    assert _send(served, "/console/api/overview", method="POST")[0] == 405


def test_foreign_names_and_pages_are_refused(served: RunningControlPlane) -> None:
    assert _send(served, "/console", Host="evil.example")[0] == 403
    assert _send(served, "/console/api/overview", Origin="https://evil.example")[0] == 403
    assert _send(served, "/console/api/overview", Sec_Fetch_Site="cross-site")[0] == 403


def test_a_file_that_has_not_changed_is_not_sent_again(served: RunningControlPlane) -> None:
    _, headers, body = _send(served, "/console/assets/main.js")
    again, _, nothing = _send(served, "/console/assets/main.js", If_None_Match=headers["etag"])

    assert body.startswith(b"/*")
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert (again, nothing) == (304, b"")


class _Hosted:
    """An inference component in service, with a request, an alarm, and a scalable number."""

    def __init__(self, served: RunningControlPlane) -> None:
        self.endpoint, self.name, self.alarm = fresh("host"), fresh("component"), fresh("alarm")
        sagemaker = served.client("sagemaker")
        hosting = {key: value for key, value in variant("-").items() if key != "ModelName"}
        role = "arn:aws:iam::123456789012:role/execution"
        sagemaker.create_endpoint_config(
            EndpointConfigName=self.endpoint, ProductionVariants=[hosting], ExecutionRoleArn=role
        )
        sagemaker.create_endpoint(EndpointName=self.endpoint, EndpointConfigName=self.endpoint)
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=self.endpoint, WaiterConfig={"Delay": 1}
        )
        sagemaker.create_model(
            ModelName=self.name, ExecutionRoleArn=role, PrimaryContainer=CONTAINER
        )
        sagemaker.create_inference_component(
            InferenceComponentName=self.name,
            EndpointName=self.endpoint,
            Specification={
                "ModelName": self.name,
                "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024},
            },
            RuntimeConfig={"CopyCount": 1},
        )
        components = served.store.components
        generation = components.by_name[REGION, self.name].generation
        components.report(REGION, self.name, generation, "InService", copies=1, failure_reason=None)
        self._watch(served)

    def _watch(self, served: RunningControlPlane) -> None:
        dimensions = [{"Name": "InferenceComponentName", "Value": self.name}]
        cloudwatch = served.client("cloudwatch")
        cloudwatch.put_metric_data(
            Namespace="AWS/SageMaker",
            MetricData=[{"MetricName": "Invocations", "Dimensions": dimensions, "Value": 3}],
        )
        cloudwatch.put_metric_alarm(
            AlarmName=self.alarm,
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=dimensions,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        served.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"inference-component/{self.name}",
            ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
            MinCapacity=1,
            MaxCapacity=3,
        )


@pytest.fixture(scope="module")
def hosted(served: RunningControlPlane) -> _Hosted:
    return _Hosted(served)


def test_an_endpoint_shows_the_components_on_it(
    served: RunningControlPlane, hosted: _Hosted
) -> None:
    found = _ask(served, f"endpoints/{hosted.endpoint}?region={REGION}")

    [component] = found["components"]
    assert (component["name"], component["numbers"]["requests"]) == (hosted.name, 3)
    assert found["numbers"]["requests"] == 3
    assert [alarm["name"] for alarm in found["alarms"]] == [hosted.alarm]
    [target] = found["scaling"]["targets"]
    assert (target["scaled"], target["dimension"], target["max"]) == (
        hosted.name,
        "DesiredCopyCount",
        3,
    )


def test_an_endpoint_shows_the_composite_alarms_above_its_alarms(
    served: RunningControlPlane, hosted: _Hosted
) -> None:
    cloudwatch = served.client("cloudwatch")
    arn = f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:"
    above, top = fresh("above"), fresh("top")
    cloudwatch.put_composite_alarm(AlarmName=above, AlarmRule=f'ALARM("{arn}{hosted.alarm}")')
    cloudwatch.put_composite_alarm(AlarmName=top, AlarmRule=f'ALARM("{arn}{above}")')

    found = _ask(served, f"endpoints/{hosted.endpoint}?region={REGION}")

    assert {alarm["name"] for alarm in found["alarms"]} == {hosted.alarm, above, top}
    cloudwatch.delete_alarms(AlarmNames=[top])
    cloudwatch.delete_alarms(AlarmNames=[above])


def test_an_alarm_of_a_component_leads_to_its_endpoint(
    served: RunningControlPlane, hosted: _Hosted
) -> None:
    assert _ask(served, f"alarms/{hosted.alarm}?region={REGION}")["endpoints"] == [hosted.endpoint]


def test_a_component_has_lines_in_the_charts_of_its_endpoint(
    served: RunningControlPlane, hosted: _Hosted
) -> None:
    widgets = _ask(served, f"charts/{hosted.endpoint}?region={REGION}")["widgets"]

    assert not any("fault" in widget for widget in widgets)
    [requests] = [each for each in widgets if each["title"] == "Requests per minute"]
    assert [(line["label"], line["total"]) for line in requests["lines"]] == [(hosted.name, 3)]
    assert "Reserved on the instances" in [each["title"] for each in widgets]


def test_the_chart_of_instances_marks_when_the_endpoint_was_deployed(
    served: RunningControlPlane,
) -> None:
    name = _endpoint(served, REGION)

    widgets = _ask(served, f"charts/{name}?region={REGION}")["widgets"]

    [instances] = [each for each in widgets if each["title"] == "Instances"]
    assert [moment["labels"] for moment in instances["moments"]] == [["deployed"]]
