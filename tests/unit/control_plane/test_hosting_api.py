"""SageMaker's hosting API through boto3: nothing sent is dropped, refusals read like AWS's."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.control_plane.conftest import (
    CONTAINER,
    REGION,
    RunningControlPlane,
    fresh,
    variant,
)

ARN = f"arn:aws:sagemaker:{REGION}:123456789012"
HELD = {**CONTAINER, "Environment": {"HOLD": "1"}}


@pytest.fixture
def sagemaker(served: RunningControlPlane) -> Any:
    return served.client("sagemaker")


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    """The code and message that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def configured(sagemaker: Any, container: dict[str, Any], **changes: Any) -> str:
    """A new endpoint configuration with one variant on a new model."""
    model, config = fresh("model"), fresh("config")
    sagemaker.create_model(ModelName=model, PrimaryContainer=container)
    sagemaker.create_endpoint_config(
        EndpointConfigName=config, ProductionVariants=[variant(model, **changes)]
    )
    return config


def test_a_model_is_described_with_every_field_it_was_created_with(sagemaker: Any) -> None:
    name = fresh("model")
    request = {
        "ModelName": name,
        "Containers": [
            {
                **CONTAINER,
                "ContainerHostname": "first",
                "Mode": "MultiModel",
                "ModelDataUrl": "s3://models/many/",
                "MultiModelConfig": {"ModelCacheSetting": "Disabled"},
                "Environment": {"EMPTY": "", "TEXT": "a=b"},
            },
            {
                **CONTAINER,
                "ContainerHostname": "second",
                "ImageConfig": {"RepositoryAccessMode": "Vpc"},
            },
        ],
        "InferenceExecutionConfig": {"Mode": "Serial"},
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/execution",
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "EnableNetworkIsolation": True,
    }

    sagemaker.create_model(**request, Tags=[{"Key": "team", "Value": "imágenes"}])

    described = sagemaker.describe_model(ModelName=name)
    assert {key: described[key] for key in request} == request
    assert described["ModelArn"] == f"{ARN}:model/{name}"
    tags = sagemaker.list_tags(ResourceArn=described["ModelArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "imágenes"}]


def test_an_endpoint_configuration_keeps_a_weight_and_a_percentage_of_zero(sagemaker: Any) -> None:
    model, name = fresh("model"), fresh("config")
    sagemaker.create_model(ModelName=model, PrimaryContainer=CONTAINER)
    request = {
        "EndpointConfigName": name,
        "ProductionVariants": [
            variant(model, InitialVariantWeight=0.0, VariantName="none"),
            variant(model, ContainerStartupHealthCheckTimeoutInSeconds=60),
        ],
        "DataCaptureConfig": {
            "EnableCapture": False,
            "InitialSamplingPercentage": 0,
            "DestinationS3Uri": "s3://b/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
    }

    sagemaker.create_endpoint_config(**request)

    described = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert {key: described[key] for key in request} == request


def test_an_endpoint_goes_from_creating_to_in_service_to_gone(
    served: RunningControlPlane, sagemaker: Any
) -> None:
    config, name = configured(sagemaker, HELD), fresh("endpoint")
    sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName=config, Tags=[{"Key": "a", "Value": "b"}]
    )
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"

    served.report(name, "InService")

    described = sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] == "InService"
    [summary] = described["ProductionVariants"]
    assert summary["CurrentInstanceCount"] == summary["DesiredInstanceCount"] == 1
    assert summary["CurrentWeight"] == summary["DesiredWeight"] == 1.0
    assert [image["SpecifiedImage"] for image in summary["DeployedImages"]] == [CONTAINER["Image"]]

    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 0.02, "MaxAttempts": 5000}
    )
    assert refusal(sagemaker.describe_endpoint, EndpointName=name) == (
        "ValidationException",
        f'Could not find endpoint "{ARN}:endpoint/{name}".',
    )


def test_a_failed_endpoint_says_why_and_can_only_be_deleted(
    served: RunningControlPlane, sagemaker: Any
) -> None:
    config, name = configured(sagemaker, HELD), fresh("endpoint")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    served.report(name, "Failed", failure_reason="container-1 exited with 1")

    described = sagemaker.describe_endpoint(EndpointName=name)

    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == "container-1 exited with 1"
    code, message = refusal(sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=config)
    assert (code, message) == (
        "ValidationException",
        f'Cannot update failed endpoint "{ARN}:endpoint/{name}".',
    )
    sagemaker.delete_endpoint(EndpointName=name)


def test_an_update_shows_the_old_configuration_until_the_new_one_serves(
    served: RunningControlPlane, sagemaker: Any
) -> None:
    old, new, name = configured(sagemaker, CONTAINER), configured(sagemaker, HELD), fresh("e")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=old)
    in_service(sagemaker, name)

    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)

    described = sagemaker.describe_endpoint(EndpointName=name)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("Updating", old)
    assert described["PendingDeploymentSummary"]["EndpointConfigName"] == new
    document = served.document(name)
    assert document["config"]["EndpointConfigName"] == new
    assert document["previous"]["config"]["EndpointConfigName"] == old
    assert refusal(sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=old) == (
        "ValidationException",
        f'Cannot update in-progress endpoint "{ARN}:endpoint/{name}".',
    )

    served.report(name, "InService")
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] == new


def test_a_rolled_back_update_keeps_the_old_configuration_and_says_why(
    served: RunningControlPlane, sagemaker: Any
) -> None:
    old, new, name = configured(sagemaker, CONTAINER), configured(sagemaker, HELD), fresh("e")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=old)
    in_service(sagemaker, name)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)

    served.report(name, "RolledBack", failure_reason="no /ping")

    described = sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == old
    assert described["FailureReason"] == "no /ping"
    assert served.document(name)["config"]["EndpointConfigName"] == old


def test_weights_and_counts_change_without_a_new_configuration(
    served: RunningControlPlane, sagemaker: Any
) -> None:
    config, name = configured(sagemaker, CONTAINER), fresh("e")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    in_service(sagemaker, name)

    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 0.0, "DesiredInstanceCount": 2}
        ],
    )

    [summary] = in_service(sagemaker, name)["ProductionVariants"]
    assert (summary["CurrentWeight"], summary["CurrentInstanceCount"]) == (0.0, 2)
    [told] = served.document(name)["config"]["ProductionVariants"]
    assert (told["InitialVariantWeight"], told["InitialInstanceCount"]) == (0.0, 2)
    described = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    assert described["ProductionVariants"][0]["InitialInstanceCount"] == 1


def test_a_real_time_variant_keeps_an_instance(served: RunningControlPlane, sagemaker: Any) -> None:
    """Nobody would answer; only a queue can wait until there is an instance."""
    config, name = configured(sagemaker, CONTAINER), fresh("e")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    in_service(sagemaker, name)

    with pytest.raises(ClientError, match=r"AllTraffic must be 1 or more .*got 0") as refused:
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}],
        )

    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"


def test_more_instances_than_the_settings_allow_are_refused_as_a_quota(
    served: RunningControlPlane, sagemaker: Any
) -> None:
    """Never clamped: what was asked for is served, or refused by the setting's name."""
    quota = r"'ml.m5.large for endpoint usage' is 10 .*limits.max_instances_per_variant"
    with pytest.raises(sagemaker.exceptions.ResourceLimitExceeded, match=quota):
        configured(sagemaker, CONTAINER, InitialInstanceCount=11)

    config, name = configured(sagemaker, CONTAINER, InitialInstanceCount=10), fresh("e")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    in_service(sagemaker, name)
    with pytest.raises(sagemaker.exceptions.ResourceLimitExceeded, match=quota):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 11}],
        )
    scaling = served.client("application-autoscaling")
    with pytest.raises(scaling.exceptions.LimitExceededException, match=r"at most 10 .*got 11"):
        scaling.register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"endpoint/{name}/variant/AllTraffic",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            MinCapacity=1,
            MaxCapacity=11,
        )


def test_an_update_retains_counts_and_weights_when_asked_to(
    served: RunningControlPlane, sagemaker: Any
) -> None:
    old, new, name = configured(sagemaker, CONTAINER), configured(sagemaker, CONTAINER), fresh("e")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=old)
    in_service(sagemaker, name)
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 3}
        ],
    )
    in_service(sagemaker, name)

    sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=new,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )

    [summary] = in_service(sagemaker, name)["ProductionVariants"]
    assert (summary["CurrentWeight"], summary["CurrentInstanceCount"]) == (1.0, 3)


def in_service(sagemaker: Any, name: str) -> dict[str, Any]:
    """Wait for an endpoint; its description."""
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 0.02, "MaxAttempts": 5000}
    )
    described: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
    return described


def test_what_serves_outlives_the_deletion_of_its_model(
    served: RunningControlPlane, sagemaker: Any
) -> None:
    model, config, name = fresh("model"), fresh("config"), fresh("e")
    sagemaker.create_model(ModelName=model, PrimaryContainer=CONTAINER)
    sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant(model)])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)

    sagemaker.delete_model(ModelName=model)
    sagemaker.delete_endpoint_config(EndpointConfigName=config)

    assert in_service(sagemaker, name)["EndpointConfigName"] == config
    assert served.document(name)["models"][model]["PrimaryContainer"] == CONTAINER


MANY = [{**CONTAINER, "ContainerHostname": f"c{position}"} for position in range(16)]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"ModelName": "a_b", "PrimaryContainer": CONTAINER},
            (
                "1 validation error detected: Value 'a_b' at 'modelName' failed to satisfy"
                " constraint: Member must satisfy regular expression pattern:"
                " [a-zA-Z0-9]([\\-a-zA-Z0-9]*[a-zA-Z0-9])?"
            ),
        ),
        ({}, "either PrimaryContainer or Containers must be given, got neither"),
        (
            {"PrimaryContainer": CONTAINER, "Containers": [CONTAINER]},
            "either PrimaryContainer or Containers must be given, got both",
        ),
        ({"Containers": MANY}, "Member must have length less than or equal to 15"),
        (
            {"Containers": [MANY[0], CONTAINER]},
            (
                "ContainerHostname must be set for all containers or for none,"
                " got none for container 2"
            ),
        ),
        (
            {"Containers": [MANY[0], MANY[0]]},
            "ContainerHostname must differ between containers, got 'c0' more than once",
        ),
        (
            {
                "Containers": [CONTAINER, CONTAINER],
                "InferenceExecutionConfig": {"Mode": "Direct"},
            },
            (
                "ContainerHostname must be set for each container of Direct mode,"
                " got none for containers 1, 2"
            ),
        ),
        (
            {
                "Containers": [
                    {**each, "Mode": "MultiModel", "ModelDataUrl": "s3://b/p/"} for each in MANY[:2]
                ]
            },
            "More than one container in MultiModel mode is not supported with inference pipeline.",
        ),
        (
            {
                "Containers": [
                    {**each, "Environment": {f"K{n}": "v" * 1000 for n in range(20)}}
                    for each in MANY[:2]
                ]
            },
            "keys and values of all containers together must have at most 32768 bytes",
        ),
        (
            {"PrimaryContainer": {**CONTAINER, "Environment": {str(n): "" for n in range(101)}}},
            "Member must have length less than or equal to 100",
        ),
        (
            {"PrimaryContainer": {**CONTAINER, "Environment": {"1st": ""}}},
            "Map keys must satisfy constraint: [Member must have length less than or equal to 1024",
        ),
        (
            {"PrimaryContainer": {"ModelDataUrl": "s3://b/m.tar.gz"}},
            "Either Image or ModelPackageName",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    sagemaker: Any, request_: dict[str, Any], message: str
) -> None:
    code, said = refusal(sagemaker.create_model, **{"ModelName": fresh("model"), **request_})

    assert code == "ValidationException"
    assert message in said


def test_names_are_taken_once(sagemaker: Any) -> None:
    config, name = configured(sagemaker, CONTAINER), fresh("e")
    model = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0][
        "ModelName"
    ]
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)

    assert refusal(sagemaker.create_model, ModelName=model, PrimaryContainer=CONTAINER)[1] == (
        f'Cannot create already existing model "{ARN}:model/{model}".'
    )
    assert refusal(
        sagemaker.create_endpoint_config,
        EndpointConfigName=config,
        ProductionVariants=[variant(model)],
    )[1] == (
        f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/{config}".'
    )
    assert refusal(sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=config)[1] == (
        f'Cannot create already existing endpoint "{ARN}:endpoint/{name}".'
    )


def test_a_configuration_names_models_and_an_endpoint_a_configuration_that_exist(
    sagemaker: Any,
) -> None:
    missing = fresh("missing")

    assert refusal(
        sagemaker.create_endpoint_config,
        EndpointConfigName=fresh("config"),
        ProductionVariants=[variant(missing)],
    ) == ("ValidationException", f'Could not find model "{ARN}:model/{missing}".')
    assert refusal(
        sagemaker.create_endpoint, EndpointName=fresh("e"), EndpointConfigName=missing
    ) == (
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/{missing}".',
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"InstanceType": "ml.c5.huge"}, "at 'productionVariants.1.member.instanceType'"),
        ({"InitialVariantWeight": 0.0}, "weights of the production variants must not all be 0"),
        (
            {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}},
            "has a ServerlessConfig and cannot have InstanceType",
        ),
    ],
)
def test_a_variant_that_does_not_fit_is_refused(
    sagemaker: Any, changes: dict[str, Any], message: str
) -> None:
    model = fresh("model")
    sagemaker.create_model(ModelName=model, PrimaryContainer=CONTAINER)

    code, said = refusal(
        sagemaker.create_endpoint_config,
        EndpointConfigName=fresh("config"),
        ProductionVariants=[variant(model, **changes)],
    )

    assert code == "ValidationException"
    assert message in said


def test_lists_are_filtered_sorted_and_cut_into_pages(sagemaker: Any) -> None:
    prefix = fresh("page")
    names = [f"{prefix}-{letter}" for letter in "cab"]
    for name in names:
        sagemaker.create_model(ModelName=name, PrimaryContainer=CONTAINER)

    def listed(**request: Any) -> list[str]:
        pages = sagemaker.get_paginator("list_models").paginate(NameContains=prefix, **request)
        return [model["ModelName"] for page in pages for model in page["Models"]]

    assert listed() == names[::-1]
    assert listed(SortBy="Name", SortOrder="Ascending", MaxResults=2) == sorted(names)
    assert listed(SortBy="Name", MaxResults=1) == sorted(names, reverse=True)
    created = sagemaker.describe_model(ModelName=names[1])["CreationTime"]
    assert listed(CreationTimeAfter=created, SortOrder="Ascending") == names[1:]


def test_a_page_token_does_not_repeat_what_was_created_in_between(sagemaker: Any) -> None:
    prefix = fresh("between")
    for letter in "ab":
        sagemaker.create_model(ModelName=f"{prefix}-{letter}", PrimaryContainer=CONTAINER)
    first = sagemaker.list_models(NameContains=prefix, MaxResults=1)
    sagemaker.create_model(ModelName=f"{prefix}-c", PrimaryContainer=CONTAINER)

    second = sagemaker.list_models(NameContains=prefix, MaxResults=1, NextToken=first["NextToken"])

    assert [model["ModelName"] for model in second["Models"]] == [f"{prefix}-a"]


def test_endpoints_are_listed_by_status(served: RunningControlPlane, sagemaker: Any) -> None:
    config, name = configured(sagemaker, HELD), fresh("status")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)

    def listed(status: str) -> list[str]:
        answer = sagemaker.list_endpoints(StatusEquals=status, NameContains=name)
        return [endpoint["EndpointName"] for endpoint in answer["Endpoints"]]

    assert (listed("Creating"), listed("InService")) == ([name], [])
    served.report(name, "InService")
    assert (listed("Creating"), listed("InService")) == ([], [name])


def test_tags_are_added_replaced_and_removed(sagemaker: Any) -> None:
    name = fresh("model")
    arn = sagemaker.create_model(
        ModelName=name, PrimaryContainer=CONTAINER, Tags=[{"Key": "a", "Value": "1"}]
    )["ModelArn"]

    sagemaker.add_tags(
        ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
    )
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a", "unknown"])

    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": ""}]


def test_regions_do_not_see_one_another(served: RunningControlPlane, sagemaker: Any) -> None:
    name = fresh("model")
    sagemaker.create_model(ModelName=name, PrimaryContainer=CONTAINER)

    other = served.client("sagemaker", region="us-west-2")

    assert refusal(other.describe_model, ModelName=name)[1] == (
        f'Could not find model "arn:aws:sagemaker:us-west-2:123456789012:model/{name}".'
    )


def test_an_operation_that_nobody_implements_is_not_retried_as_a_fault(sagemaker: Any) -> None:
    with pytest.raises(ClientError) as caught:
        sagemaker.list_human_task_uis()

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "not implemented by the local runtime" in str(caught.value)


def test_operations_of_other_resources_reach_moto(sagemaker: Any) -> None:
    group = fresh("group")
    arn = sagemaker.create_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]

    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])

    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "1"}]


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - http only
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - http only
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


def test_a_body_that_is_no_json_is_a_serialization_exception(served: RunningControlPlane) -> None:
    status, error = ask(served.url, b"{", **{"X-Amz-Target": "SageMaker.ListModels"})

    assert (status, error["__type"]) == (400, "SerializationException")


def test_an_unknown_member_is_refused_rather_than_dropped(served: RunningControlPlane) -> None:
    body = json.dumps({"ModelName": "m", "Kontainers": []}).encode()

    status, error = ask(served.url, body, **{"X-Amz-Target": "SageMaker.CreateModel"})

    assert status == 400
    assert "Unknown parameter in input: 'kontainers', must be one of: ModelName" in error["message"]


def test_the_data_plane_waits_for_a_change_and_reports_over_http(
    served: RunningControlPlane, sagemaker: Any
) -> None:
    routes = f"{served.url}/_local_runtime"
    assert ask(f"{routes}/health") == (200, {"status": "ok"})
    revision = ask(f"{routes}/endpoints")[1]["revision"]
    config, name = configured(sagemaker, HELD), fresh("e")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)

    _, desired = ask(f"{routes}/endpoints?after={revision}&wait_s=10")

    [document] = [each for each in desired["endpoints"] if each["name"] == name]
    report = {"generation": document["generation"], "outcome": "InService", "failure_reason": None}
    status_url = f"{routes}/endpoints/{name}/status"
    stale = {**report, "generation": document["generation"] + 1000}
    assert ask(status_url, json.dumps(stale).encode())[0] == 409
    assert ask(status_url, json.dumps({**report, "outcome": "Fine"}).encode())[0] == 400
    counts = {"variants": [{"name": "AllTraffic", "instance_count": 1}]}
    assert ask(status_url, json.dumps({**report, **counts}).encode())[0] == 204
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"
    sagemaker.delete_endpoint(EndpointName=name)


def test_objects_are_read_without_a_signature_under_the_data_planes_host_name(
    served: RunningControlPlane,
) -> None:
    bucket, key = fresh("bucket"), "models/a b+ü%2F.json"
    s3 = served.client("s3", region="us-east-1")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=b'{"n": 1}')

    path = urllib.request.quote(key)  # type: ignore[attr-defined]

    assert ask(f"{served.url}/{bucket}/{path}", Host="s3.localhost") == (200, {"n": 1})


@pytest.mark.parametrize("host", ["{bucket}.s3.localhost:8566", "{bucket}.localhost:8566"])
def test_a_bucket_with_dots_may_stand_in_the_host_name(
    served: RunningControlPlane, host: str
) -> None:
    bucket = f"{fresh('bucket')}.with.dots"
    s3 = served.client("s3", region="us-east-1")
    s3.create_bucket(Bucket=bucket, ACL="public-read")
    s3.put_object(Bucket=bucket, Key="k.json", Body=b"[1]", ACL="public-read")

    assert ask(f"{served.url}/k.json", Host=host.format(bucket=bucket)) == (200, [1])
