"""Dashboards through boto3 and through CloudFormation, in each protocol that clients speak."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.control_plane.cloudwatch import dashboard_body
from local_runtime.control_plane.cloudwatch.dashboards import Dashboards
from tests.unit.control_plane.conftest import REGION, RunningControlPlane, fresh

PROTOCOLS = ("json", "query", "smithy-rpc-v2-cbor")
ROW = ["AWS/SageMaker", "Invocations", "EndpointName", "e", "VariantName", "v"]


def widget(kind: str = "metric", **properties: Any) -> dict[str, Any]:
    """A widget that CloudWatch takes, but for what the test changes."""
    needed: dict[str, dict[str, Any]] = {
        "metric": {"region": REGION, "metrics": [ROW]},
        "text": {"markdown": "# Traffic"},
        "alarm": {"alarms": [f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:a"]},
    }
    given = {**needed[kind], **properties}
    kept = {name: value for name, value in given.items() if value is not None}
    return {"type": kind, "x": 0, "y": 0, "width": 6, "height": 6, "properties": kept}


def body(*widgets: Any, **members: Any) -> str:
    return json.dumps({"widgets": list(widgets), **members})


@pytest.fixture(scope="module", params=PROTOCOLS)
def client(request: pytest.FixtureRequest, served: RunningControlPlane) -> Any:
    session = botocore.session.Session()
    model = session.get_component("data_loader").load_service_model("cloudwatch", "service-2")
    model["metadata"]["protocols"] = [request.param]
    model["metadata"]["protocol"] = request.param
    return session.create_client(
        "cloudwatch",
        region_name=REGION,
        endpoint_url=served.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - nobody checks it
    )


def test_a_dashboard_is_shown_as_it_was_put(client: Any) -> None:
    name, text = fresh("dashboard"), body(widget(), widget("text"), widget("alarm"), start="-PT6H")

    assert (
        client.put_dashboard(DashboardName=name, DashboardBody=text)["DashboardValidationMessages"]
        == []
    )

    shown = client.get_dashboard(DashboardName=name)
    assert shown["DashboardBody"] == text
    assert shown["DashboardArn"] == f"arn:aws:cloudwatch::123456789012:dashboard/{name}"
    [entry] = client.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
    assert entry["Size"] == len(text)
    assert entry["LastModified"].year > 2000
    client.delete_dashboards(DashboardNames=[name])
    with pytest.raises(client.exceptions.ResourceNotFound, match="does not exist"):
        client.get_dashboard(DashboardName=name)


def test_a_body_that_is_wrong_is_refused_with_the_place_of_each_error(client: Any) -> None:
    broken = body(widget(), widget(metrics=[["AWS/SageMaker", "Invocations", {"a": 1}, {}]]))

    with pytest.raises(client.exceptions.DashboardInvalidInputError) as refused:
        client.put_dashboard(DashboardName=fresh("dashboard"), DashboardBody=broken)

    error = refused.value.response
    assert error["Error"]["Code"] == "InvalidParameterInput"
    assert (
        "The dashboard body is invalid, there are 1 validation error" in error["Error"]["Message"]
    )
    assert error["dashboardValidationMessages"] == [
        {
            "DataPath": "/widgets/1/properties/metrics/0/2",
            "Message": 'Invalid metric field type, only "String" type is allowed',
        }
    ]


def test_what_a_body_has_too_much_is_said_and_kept(client: Any) -> None:
    name, text = fresh("dashboard"), body(n=1)

    answer = client.put_dashboard(DashboardName=name, DashboardBody=text)

    [message] = answer["DashboardValidationMessages"]
    assert message == {"DataPath": "/n", "Message": "Unknown property, it will be ignored"}
    assert client.get_dashboard(DashboardName=name)["DashboardBody"] == text


@pytest.mark.parametrize("text", ["{", "[]", "7", "", "[" * 100_000])
def test_a_body_must_be_a_json_object(client: Any, text: str) -> None:
    with pytest.raises(ClientError, match="must be a valid JSON object"):
        client.put_dashboard(DashboardName=fresh("dashboard"), DashboardBody=text)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 256])
def test_a_name_has_letters_digits_dashes_and_underscores(client: Any, name: str) -> None:
    with pytest.raises(ClientError, match=r"It can only contain 1 to 255 alphanumerics"):
        client.put_dashboard(DashboardName=name, DashboardBody=body())


def test_dashboards_are_deleted_all_or_none(client: Any) -> None:
    name = fresh("dashboard")
    client.put_dashboard(DashboardName=name, DashboardBody=body())

    with pytest.raises(ClientError, match="Dashboard none-such does not exist"):
        client.delete_dashboards(DashboardNames=[name, "none-such"])

    assert client.get_dashboard(DashboardName=name)["DashboardBody"] == body()


def test_dashboards_carry_tags(client: Any) -> None:
    name = fresh("dashboard")
    client.put_dashboard(
        DashboardName=name, DashboardBody=body(), Tags=[{"Key": "team", "Value": "a"}]
    )
    arn = client.get_dashboard(DashboardName=name)["DashboardArn"]
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "cost", "Value": "1"}])

    assert {
        tag["Key"]: tag["Value"] for tag in client.list_tags_for_resource(ResourceARN=arn)["Tags"]
    } == {"team": "a", "cost": "1"}


def test_a_thousand_dashboards_fill_a_page() -> None:
    dashboards = Dashboards("123456789012", now_s=lambda: 0.0)
    names = [f"d{number:04}" for number in range(1001)]
    for name in names:
        dashboards.put_dashboard({"DashboardName": name, "DashboardBody": body()}, REGION)

    first = dashboards.list_dashboards({}, REGION)
    dashboards.delete_dashboards({"DashboardNames": names[:1]}, REGION)
    rest = dashboards.list_dashboards({"NextToken": first["NextToken"]}, REGION)

    listed = [*first["DashboardEntries"], *rest["DashboardEntries"]]
    assert [entry["DashboardName"] for entry in listed] == names
    assert "NextToken" not in rest


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({}, "", "Should have required property 'widgets'"),
        ({"widgets": {}}, "/widgets", "Should be array"),
        ({"widgets": [3]}, "/widgets/0", "Should be object"),
        ({"widgets": [{"properties": {}}]}, "/widgets/0", "Should have required property 'type'"),
        (
            {"widgets": [{"type": "text"}]},
            "/widgets/0",
            "Should have required property 'properties'",
        ),
        ({"widgets": [widget(region=None)]}, "/widgets/0/properties", "property 'region'"),
        ({"widgets": [widget(metrics=None)]}, "/widgets/0/properties", "property 'metrics'"),
        (
            {"widgets": [widget(metrics=[ROW[:3]])]},
            "/widgets/0/properties/metrics/0",
            "more than 2",
        ),
        ({"widgets": [widget(metrics=[[]])]}, "/widgets/0/properties/metrics/0", "less than 1"),
        (
            {"widgets": [widget(metrics=[[{}]])]},
            "/widgets/0/properties/metrics/0/0",
            "'expression'",
        ),
        ({"widgets": [widget(period=45)]}, "/widgets/0/properties/period", "multiple of 60"),
        ({"widgets": [widget(view="bars")]}, "/widgets/0/properties/view", "allowed values"),
        ({"widgets": [widget("text", markdown=None)]}, "/widgets/0/properties", "'markdown'"),
        ({"widgets": [widget("alarm", alarms=[])]}, "/widgets/0/properties/alarms", "less than 1"),
        ({"widgets": [widget() | {"width": 25}]}, "/widgets/0/width", "<= 24"),
        ({"widgets": [widget() | {"x": 1.5}]}, "/widgets/0/x", "integer"),
        ({"widgets": [widget()] * 501}, "/widgets", "more than 500"),
        ({"widgets": [], "end": "P1D"}, "", "'start'"),
    ],
)
def test_each_fault_of_a_body_is_found_where_it_is(
    document: dict[str, Any], path: str, message: str
) -> None:
    [error] = dashboard_body.findings(document)

    assert (error.path, error.is_error) == (path, True)
    assert message in error.message


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["widgets", "type", "properties", "metrics", "annotations", "alarms", "x"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(widgets=st.lists(_JSON, max_size=3))
def test_no_body_is_beyond_words(widgets: list[Any]) -> None:
    for finding in dashboard_body.findings({"widgets": widgets}):
        assert finding.path.startswith("/widgets")


def test_a_stack_makes_changes_replaces_and_removes_its_dashboard(
    served: RunningControlPlane,
) -> None:
    first, second = fresh("dashboard"), fresh("dashboard")

    def template(name: str, title: str, **tags: str) -> dict[str, Any]:
        head, tail = json.dumps({"widgets": [widget(title=title)]}).split(REGION)
        joined = {"Fn::Join": ["", [head, {"Ref": "AWS::Region"}, tail]]}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        return {
            "Resources": {
                "Dashboard": {
                    "Type": "AWS::CloudWatch::Dashboard",
                    "Properties": {"DashboardName": name, "DashboardBody": joined, "Tags": listed},
                }
            },
            "Outputs": {"Name": {"Value": {"Ref": "Dashboard"}}},
        }

    cloudwatch = served.client("cloudwatch")

    def shown(name: str) -> dict[str, Any]:
        document = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
        found: dict[str, Any] = document["widgets"][0]["properties"]
        return found

    stack = served.create_stack(template(first, "Traffic", team="a"))
    assert stack["Outputs"][0]["OutputValue"] == first
    assert (shown(first)["region"], shown(first)["title"]) == (REGION, "Traffic")

    served.update_stack(stack["StackName"], template(first, "Errors", cost="1"))
    assert shown(first)["title"] == "Errors"
    arn = cloudwatch.get_dashboard(DashboardName=first)["DashboardArn"]
    tags = {t["Key"] for t in cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]}
    assert tags & {"team", "cost"} == {"cost"}

    served.update_stack(stack["StackName"], template(second, "Errors"))
    assert shown(second)["title"] == "Errors"
    with pytest.raises(ClientError, match="does not exist"):
        shown(first)

    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="does not exist"):
        shown(second)


def test_a_stack_whose_dashboard_is_refused_says_where(served: RunningControlPlane) -> None:
    stack = served.create_stack(
        {
            "Resources": {
                "Dashboard": {
                    "Type": "AWS::CloudWatch::Dashboard",
                    "Properties": {"DashboardBody": body(widget(metrics=["x"]))},
                }
            }
        }
    )

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "/widgets/0/properties/metrics/0" in served.failures(stack["StackId"])[0]
