"""Resource types: what a template says is what the services describe."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_runtime.control_plane.cloudformation.resource_types import TYPES
from local_runtime.control_plane.cloudformation.resource_types.property_names import (
    PROPERTY_NAMES,
)
from tests.unit.control_plane.conftest import (
    CONTAINER,
    IMAGE,
    RunningControlPlane,
    fresh,
    variant,
)

TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
        }
    ],
}


def policy(action: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
    }


def one(type_name: str, properties: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """A template of one resource, with its ``Ref`` as an output."""
    return {
        "Resources": {"It": {"Type": type_name, "Properties": properties, **attributes}},
        "Outputs": {"Ref": {"Value": {"Ref": "It"}}},
    }


def ref(stack: dict[str, Any]) -> str:
    assert stack["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, stack
    return str(stack["Outputs"][0]["OutputValue"])


def notes(served: RunningControlPlane, stack: dict[str, Any]) -> list[str]:
    """What the events of completed resources say."""
    events = served.client("cloudformation").describe_stack_events(StackName=stack["StackName"])
    return [
        event["ResourceStatusReason"]
        for event in events["StackEvents"]
        if event["ResourceStatus"] == "CREATE_COMPLETE" and "ResourceStatusReason" in event
    ]


def pointers(schema: dict[str, Any], part: str) -> list[list[str]]:
    """The JSON pointers of one part of a schema, cut at their slashes."""
    return [pointer.split("/") for pointer in schema.get(part, [])]


@pytest.mark.parametrize("type_name", sorted(PROPERTY_NAMES))
def test_a_type_knows_its_properties_and_what_they_replace(type_name: str) -> None:
    manager = pytest.importorskip("cfnlint.schema.manager").PROVIDER_SCHEMA_MANAGER
    schema = manager.get_resource_schema("us-east-1", type_name).schema
    read_only = {name for _, _, name, *below in pointers(schema, "readOnlyProperties") if not below}
    create_only = {name for _, _, name, *_ in pointers(schema, "createOnlyProperties")}

    kind = TYPES[type_name]

    assert PROPERTY_NAMES[type_name] == schema["properties"].keys() - read_only
    assert set(kind.create_only or ()) == create_only
    assert kind.ignored <= PROPERTY_NAMES[type_name]


def test_a_bucket_has_every_setting_and_loses_what_leaves_the_template(
    served: RunningControlPlane,
) -> None:
    s3 = served.client("s3")
    settings = {
        "VersioningConfiguration": {"Status": "Enabled"},
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockPublicPolicy": "true"},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        "LifecycleConfiguration": {
            "Rules": [
                {
                    "Id": "old",
                    "Status": "Enabled",
                    "Prefix": "tmp/",
                    "ExpirationInDays": 3,
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                }
            ]
        },
        "CorsConfiguration": {
            "CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAge": 60}]
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "Tags": [{"Key": "a", "Value": "b"}],
        "WebsiteConfiguration": {"IndexDocument": "i.html"},
    }

    stack = served.create_stack(one("AWS::S3::Bucket", settings))

    bucket = ref(stack)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert (block["BlockPublicAcls"], block["BlockPublicPolicy"]) == (True, True)
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Expiration"] == {"Days": 3}
    assert rule["Filter"] == {"Prefix": "tmp/"}
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"][0]["MaxAgeSeconds"] == 60
    encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert notes(served, stack) == ["warning: WebsiteConfiguration recorded only"]

    updated = served.update_stack(stack["StackName"], one("AWS::S3::Bucket", {}))

    assert ref(updated) == bucket
    for gone in (s3.get_bucket_lifecycle_configuration, s3.get_bucket_cors, s3.get_bucket_tagging):
        with pytest.raises(ClientError):
            gone(Bucket=bucket)


def test_a_bucket_with_objects_is_not_deleted(served: RunningControlPlane) -> None:
    stack = served.create_stack(one("AWS::S3::Bucket", {}))
    served.client("s3").put_object(Bucket=ref(stack), Key="k", Body=b"1")

    deleted = served.delete_stack(stack["StackName"])

    assert deleted["StackStatus"] == "DELETE_FAILED"
    assert deleted["StackStatusReason"] == "The following resource(s) failed to delete: [It]."


def test_auto_delete_empties_the_bucket_with_all_versions(served: RunningControlPlane) -> None:
    s3 = served.client("s3")
    template = one(
        "AWS::S3::Bucket",
        {
            "VersioningConfiguration": {"Status": "Enabled"},
            "Tags": [{"Key": "aws-cdk:auto-delete-objects", "Value": "true"}],
        },
    )
    template["Resources"]["Empty"] = {
        "Type": "Custom::S3AutoDeleteObjects",
        "Properties": {"ServiceToken": "arn:aws:lambda:x", "BucketName": {"Ref": "It"}},
    }
    stack = served.create_stack(template)
    bucket = ref(stack)
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
    s3.delete_object(Bucket=bucket, Key="k")

    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"


def test_a_bucket_deployment_unpacks_replaces_markers_prunes_and_clears(
    served: RunningControlPlane,
) -> None:
    s3, source = served.client("s3"), fresh("source")
    s3.create_bucket(Bucket=source, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def upload(key: str, **files: str) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        s3.put_object(Bucket=source, Key=key, Body=packed.getvalue())

    upload("1.zip", **{"a.json": '{"bucket": "<<marker>>"}', "deep/b.txt": "b", "skip.tmp": "t"})
    upload("2.zip", **{"a.json": "[2]"})

    def template(key: str, **changes: Any) -> dict[str, Any]:
        template = one("AWS::S3::Bucket", {})
        template["Resources"]["Deploy"] = {
            "Type": "Custom::CDKBucketDeployment",
            "Properties": {
                "ServiceToken": "arn:aws:lambda:x",
                "SourceBucketNames": [source],
                "SourceObjectKeys": [key],
                "SourceMarkers": [{"<<marker>>": {"Ref": "It"}}],
                "DestinationBucketName": {"Ref": "It"},
                "DestinationBucketKeyPrefix": "models/",
                "Exclude": ["*.tmp"],
                "RetainOnDelete": False,
                **changes,
            },
        }
        return template

    def deployed() -> dict[str, bytes]:
        listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {
            each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
            for each in listed
        }

    stack = served.create_stack(template("1.zip"))
    bucket = ref(stack)
    assert deployed() == {
        "models/a.json": json.dumps({"bucket": bucket}).encode(),
        "models/deep/b.txt": b"b",
    }
    assert s3.head_object(Bucket=bucket, Key="models/a.json")["ContentType"] == "application/json"

    served.update_stack(stack["StackName"], template("2.zip"))
    assert deployed() == {"models/a.json": b"[2]"}

    served.update_stack(stack["StackName"], template("2.zip", Extract=False, Prune=False))
    assert deployed().keys() == {"models/a.json", "models/2.zip"}

    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"


def test_a_bucket_policy_that_asks_for_tls_locks_nobody_out(served: RunningControlPlane) -> None:
    s3 = served.client("s3")
    template = one("AWS::S3::Bucket", {})
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Resource": {"Fn::Sub": "${It.Arn}/*"},
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    template["Resources"]["Policy"] = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {
            "Bucket": {"Ref": "It"},
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        },
    }

    bucket = ref(served.create_stack(template))

    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    kept = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]
    assert kept["Resource"] == f"arn:aws:s3:::{bucket}/*"


def test_a_role_changes_in_place(served: RunningControlPlane) -> None:
    iam = served.client("iam")
    read_only = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    before = {
        "AssumeRolePolicyDocument": TRUST,
        "Description": "first",
        "MaxSessionDuration": 7200,
        "ManagedPolicyArns": [read_only],
        "Policies": [
            {"PolicyName": "a", "PolicyDocument": policy("s3:GetObject")},
            {"PolicyName": "b", "PolicyDocument": policy("s3:PutObject")},
        ],
        "Tags": [{"Key": "old", "Value": "1"}],
    }
    after = {
        "AssumeRolePolicyDocument": {
            **TRUST,
            "Statement": [{**TRUST["Statement"][0], "Principal": {"AWS": "123456789012"}}],
        },
        "Description": "second",
        "Policies": [{"PolicyName": "b", "PolicyDocument": policy("s3:ListBucket")}],
        "Tags": [{"Key": "new", "Value": "2"}],
    }
    stack = served.create_stack(one("AWS::IAM::Role", before))
    name = ref(stack)
    assert iam.get_role(RoleName=name)["Role"]["MaxSessionDuration"] == 7200

    updated = served.update_stack(stack["StackName"], one("AWS::IAM::Role", after))

    assert served.failures(stack["StackId"]) == []
    assert ref(updated) == name

    role = iam.get_role(RoleName=name)["Role"]
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"AWS": "123456789012"}
    assert (role["Description"], role["MaxSessionDuration"]) == ("second", 3600)
    assert role["Tags"] == [{"Key": "new", "Value": "2"}]
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["b"]
    inline = iam.get_role_policy(RoleName=name, PolicyName="b")["PolicyDocument"]
    assert inline == policy("s3:ListBucket")
    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"


@pytest.mark.parametrize("type_name", ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"])
def test_a_policy_moves_between_roles_and_takes_a_new_document(
    served: RunningControlPlane, type_name: str
) -> None:
    iam = served.client("iam")

    def template(role: str, action: str) -> dict[str, Any]:
        properties = {"Roles": [{"Ref": role}], "PolicyDocument": policy(action)}
        if type_name == "AWS::IAM::Policy":
            properties["PolicyName"] = "inline"
        template = one(type_name, properties)
        for name in ("First", "Second"):
            trust = {"AssumeRolePolicyDocument": TRUST}
            template["Resources"][name] = {"Type": "AWS::IAM::Role", "Properties": trust}
        template["Outputs"] = {name: {"Value": {"Ref": name}} for name in ("It", "First", "Second")}
        return template

    stack = served.create_stack(template("First", "s3:GetObject"))
    stack = served.update_stack(stack["StackName"], template("Second", "s3:PutObject"))

    names = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    if type_name == "AWS::IAM::Policy":
        found = [
            iam.list_role_policies(RoleName=names[n])["PolicyNames"] for n in ("First", "Second")
        ]
        assert found == [[], ["inline"]]
        document = iam.get_role_policy(RoleName=names["Second"], PolicyName="inline")
        assert document["PolicyDocument"] == policy("s3:PutObject")
    else:
        attached = [
            [
                each["PolicyArn"]
                for each in iam.list_attached_role_policies(RoleName=names[n])["AttachedPolicies"]
            ]
            for n in ("First", "Second")
        ]
        assert attached == [[], [names["It"]]]
        version = iam.get_policy(PolicyArn=names["It"])["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=names["It"], VersionId=version)
        assert document["PolicyVersion"]["Document"] == policy("s3:PutObject")
    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"


def test_scaling_is_described_as_it_was_written(served: RunningControlPlane) -> None:
    scaling = served.client("application-autoscaling")
    endpoint = fresh("e")
    sagemaker = served.client("sagemaker")
    sagemaker.create_model(ModelName=endpoint, PrimaryContainer=CONTAINER)
    sagemaker.create_endpoint_config(
        EndpointConfigName=endpoint, ProductionVariants=[variant(endpoint)]
    )
    sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
    resource_id = f"endpoint/{endpoint}/variant/AllTraffic"
    step = {
        "AdjustmentType": "ChangeInCapacity",
        "Cooldown": 300,
        "MetricAggregationType": "Average",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
    }
    tracking = {
        "TargetValue": 5,
        "ScaleInCooldown": 0,
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": "e"}],
            "Statistic": "Average",
        },
    }

    def template(largest: int) -> dict[str, Any]:
        template = one(
            "AWS::ApplicationAutoScaling::ScalableTarget",
            {
                "ServiceNamespace": "sagemaker",
                "ResourceId": resource_id,
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                "MinCapacity": 0,
                "MaxCapacity": largest,
                "RoleARN": "arn:aws:iam::123456789012:role/scaling",
                "SuspendedState": {"DynamicScalingInSuspended": True},
            },
        )
        for name, kind, configuration in (
            ("Step", "StepScaling", {"StepScalingPolicyConfiguration": step}),
            (
                "Track",
                "TargetTrackingScaling",
                {"TargetTrackingScalingPolicyConfiguration": tracking},
            ),
        ):
            template["Resources"][name] = {
                "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                "Properties": {
                    "PolicyName": name,
                    "PolicyType": kind,
                    "ScalingTargetId": {"Ref": "It"},
                    **configuration,
                },
            }
        return template

    stack = served.create_stack(template(5))
    stack = served.update_stack(stack["StackName"], template(7))

    assert ref(stack) == f"{resource_id}|sagemaker:variant:DesiredInstanceCount|sagemaker"
    described = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[resource_id]
    )
    [target] = described["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 7)
    assert target["SuspendedState"]["DynamicScalingInSuspended"] is True
    policies = scaling.describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=resource_id
    )["ScalingPolicies"]
    found = {each["PolicyName"]: each for each in policies}
    assert found["Step"]["StepScalingPolicyConfiguration"] == step
    assert found["Track"]["TargetTrackingScalingPolicyConfiguration"] == tracking
    served.delete_stack(stack["StackName"])
    assert not scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[resource_id]
    )["ScalableTargets"]


def test_an_alarm_on_metric_math_and_one_on_alarms(served: RunningControlPlane) -> None:
    cloudwatch = served.client("cloudwatch")
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "Invocations", "Dimensions": []}

    def template(threshold: float) -> dict[str, Any]:
        template = one(
            "AWS::CloudWatch::Alarm",
            {
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": 2,
                "DatapointsToAlarm": 1,
                "Threshold": threshold,
                "TreatMissingData": "notBreaching",
                "Metrics": [
                    {"Id": "double", "Expression": "a*2", "Label": "twice"},
                    {
                        "Id": "a",
                        "ReturnData": False,
                        "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"},
                    },
                ],
            },
        )
        template["Resources"]["Any"] = {
            "Type": "AWS::CloudWatch::CompositeAlarm",
            "Properties": {"AlarmRule": {"Fn::Sub": 'ALARM("${It}")'}},
        }
        return template

    stack = served.create_stack(template(0))
    name = ref(stack)
    stack = served.update_stack(stack["StackName"], template(0.5))

    assert ref(stack) == name
    [alarm] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["DatapointsToAlarm"]) == (0.5, 1)
    assert [query["Id"] for query in alarm["Metrics"]] == ["double", "a"]
    composites = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert f'ALARM("{name}")' in [each["AlarmRule"] for each in composites]


def test_topics_queues_keys_dashboards_and_log_groups_are_made_changed_and_removed(
    served: RunningControlPlane,
) -> None:
    def template(number: int) -> dict[str, Any]:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": "*",
        }
        document = {"Version": "2012-10-17", "Statement": [statement]}
        return {
            "Resources": {
                "Topic": {
                    "Type": "AWS::SNS::Topic",
                    "Properties": {
                        "DisplayName": f"topic {number}",
                        "KmsMasterKeyId": {"Ref": "Key"},
                    },
                },
                "TopicPolicy": {
                    "Type": "AWS::SNS::TopicPolicy",
                    "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": document},
                },
                "Queue": {
                    "Type": "AWS::SQS::Queue",
                    "Properties": {
                        "VisibilityTimeout": number,
                        "RedrivePolicy": {
                            "deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]},
                            "maxReceiveCount": 3,
                        },
                    },
                },
                "Dead": {"Type": "AWS::SQS::Queue"},
                "Subscription": {
                    "Type": "AWS::SNS::Subscription",
                    "Properties": {
                        "TopicArn": {"Ref": "Topic"},
                        "Protocol": "sqs",
                        "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]},
                        "RawMessageDelivery": True,
                    },
                },
                "Key": {
                    "Type": "AWS::KMS::Key",
                    "Properties": {"EnableKeyRotation": True, "Description": f"key {number}"},
                },
                "Dashboard": {
                    "Type": "AWS::CloudWatch::Dashboard",
                    "Properties": {"DashboardBody": json.dumps({"widgets": [], "n": number})},
                },
                "Logs": {
                    "Type": "AWS::Logs::LogGroup",
                    "Properties": {"RetentionInDays": number},
                },
            },
            "Outputs": {
                name: {"Value": {"Ref": name}}
                for name in ("Topic", "Queue", "Key", "Dashboard", "Logs")
            },
        }

    stack = served.create_stack(template(1))
    created = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    stack = served.update_stack(stack["StackName"], template(3))

    ids = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert ids == created
    assert ids["Queue"].startswith("http://127.0.0.1:8566/")
    attributes = served.client("sns").get_topic_attributes(TopicArn=ids["Topic"])["Attributes"]
    assert attributes["DisplayName"] == "topic 3"
    assert attributes["KmsMasterKeyId"] == ids["Key"]
    assert json.loads(attributes["Policy"])["Statement"][0]["Action"] == "sns:Publish"
    queue = served.client("sqs").get_queue_attributes(
        QueueUrl=ids["Queue"], AttributeNames=["All"]
    )["Attributes"]
    assert queue["VisibilityTimeout"] == "3"
    assert json.loads(queue["RedrivePolicy"])["maxReceiveCount"] == 3
    kms = served.client("kms")
    assert kms.describe_key(KeyId=ids["Key"])["KeyMetadata"]["Description"] == "key 3"
    assert kms.get_key_rotation_status(KeyId=ids["Key"])["KeyRotationEnabled"] is True
    dashboard = served.client("cloudwatch").get_dashboard(DashboardName=ids["Dashboard"])
    assert json.loads(dashboard["DashboardBody"])["n"] == 3
    [group] = served.client("logs").describe_log_groups(logGroupNamePrefix=ids["Logs"])["logGroups"]
    assert group["retentionInDays"] == 3

    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"
    assert kms.describe_key(KeyId=ids["Key"])["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_what_moto_models_is_made_changed_and_removed_through_it(
    served: RunningControlPlane,
) -> None:
    ec2 = served.client("ec2")
    template = {
        "Resources": {
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.1.0.0/16"}},
            "Subnet": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {
                    "VpcId": {"Ref": "Vpc"},
                    "CidrBlock": "10.1.0.0/24",
                    "AvailabilityZone": {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
                },
            },
            "Routes": {
                "Type": "AWS::EC2::RouteTable",
                "Properties": {"VpcId": {"Ref": "Vpc"}},
            },
            "Association": {
                "Type": "AWS::EC2::SubnetRouteTableAssociation",
                "Properties": {
                    "SubnetId": {"Ref": "Subnet"},
                    "RouteTableId": {"Ref": "Routes"},
                },
            },
            "Group": {
                "Type": "AWS::EC2::SecurityGroup",
                "Properties": {"GroupDescription": "g", "VpcId": {"Ref": "Vpc"}},
            },
        },
        "Outputs": {
            "Vpc": {"Value": {"Ref": "Vpc"}},
            "Group": {"Value": {"Fn::GetAtt": ["Group", "GroupId"]}},
        },
    }

    stack = served.create_stack(template)

    ids = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert (
        ec2.describe_security_groups(GroupIds=[ids["Group"]])["SecurityGroups"][0]["VpcId"]
        == (ids["Vpc"])
    )
    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"
    assert ids["Vpc"] not in [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]]


def test_a_model_is_described_with_everything_its_template_says(
    served: RunningControlPlane,
) -> None:
    properties = {
        "PrimaryContainer": {
            "Image": IMAGE,
            "ModelDataSource": {
                "S3DataSource": {
                    "S3Uri": "s3://models/prefix/",
                    "S3DataType": "S3Prefix",
                    "CompressionType": "None",
                }
            },
            "Environment": {"NUMBER": 1, "FLAG": True},
        },
        "EnableNetworkIsolation": "true",
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    }

    arn = ref(served.create_stack(one("AWS::SageMaker::Model", properties)))

    described = served.client("sagemaker").describe_model(ModelName=arn.rsplit("/", 1)[1])
    container = described["PrimaryContainer"]
    # A template's numbers and booleans become the strings that an environment holds.
    assert container["Environment"] == {"NUMBER": "1", "FLAG": "true"}
    source = properties["PrimaryContainer"]["ModelDataSource"]  # type: ignore[index]
    assert container["ModelDataSource"] == source
    assert described["EnableNetworkIsolation"] is True
    assert described["VpcConfig"] == properties["VpcConfig"]
