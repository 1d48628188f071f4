"""What a role may do, as far as templates say."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.rules.document import TemplateFile
from constructs_lib.rules.engine import check

ARTIFACT = {"Fn::Sub": "s3://${Bucket}/models/cats.tar.gz"}
BUCKET_ARN = {"Fn::GetAtt": ["Bucket", "Arn"]}


def statement(action: Any, resource: Any, effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource}


def role(*statements: dict[str, Any], **properties: Any) -> dict[str, Any]:
    inline = {"PolicyName": "serve", "PolicyDocument": {"Statement": list(statements)}}
    policies = {"Policies": [inline]} if statements else {}
    return {"Type": "AWS::IAM::Role", "Properties": {**policies, **properties}}


def found(role_resource: dict[str, Any], **resources: Any) -> list[str]:
    template = {
        "Role": role_resource,
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {
                "ExecutionRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "PrimaryContainer": {"Image": "my-image", "ModelDataUrl": ARTIFACT},
            },
        },
        **resources,
    }
    return [each.id for each in check([TemplateFile("t", {"Resources": template})]).findings]


@pytest.mark.parametrize(
    "allowed",
    [
        statement("s3:GetObject", {"Fn::Join": ["", [BUCKET_ARN, "/models/*"]]}),
        statement("s3:Get*", {"Fn::Sub": "arn:aws:s3:::${Bucket}/*"}),
        statement("S3:getobject", {"Fn::Sub": "arn:${AWS::Partition}:s3:::${Bucket}/models/*"}),
        statement(["s3:ListBucket", "s3:*"], "*"),
        statement("*", "arn:aws:s3:::*"),
        statement("s3:GetObject", {"Fn::ImportValue": "models"}),
    ],
)
def test_role_may_read_the_artifact(allowed: dict[str, Any]) -> None:
    assert found(role(allowed)) == []


@pytest.mark.parametrize(
    "allowed",
    [
        statement("s3:GetObject", {"Fn::Join": ["", [BUCKET_ARN, "/other/*"]]}),
        statement("s3:GetObject", BUCKET_ARN),
        statement("s3:PutObject", "*"),
        statement("s3:GetObject", "arn:aws:s3:::elsewhere/*"),
        statement("s3:GetObject", "arn:aws:sns:*:*:*"),
    ],
)
def test_role_may_not_read_the_artifact(allowed: dict[str, Any]) -> None:
    assert found(role(allowed)) == ["SM-R1"]


def test_role_without_any_permission() -> None:
    assert found(role()) == ["SM-R1"]


def test_policies_beside_the_role_count() -> None:
    document = {"Statement": statement("s3:GetObject", {"Fn::Sub": "${Bucket.Arn}/*"})}
    attached = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": document, "Roles": [{"Ref": "Role"}]},
    }
    named = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": document},
    }

    assert found(role(), Attached=attached) == []
    assert found(role(ManagedPolicyArns=[{"Ref": "Named"}]), Named=named) == []


@pytest.mark.parametrize(
    "undecided",
    [
        role(ManagedPolicyArns=["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]),
        role(ManagedPolicyArns={"Fn::If": ["Unknown", [], []]}),
        role(Policies=[{"PolicyDocument": {"Fn::ImportValue": "document"}}]),
        role({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
    ],
)
def test_permissions_from_elsewhere_cannot_be_decided(undecided: dict[str, Any]) -> None:
    assert found(undecided) == []


def test_bucket_may_admit_the_role_by_a_policy_of_its_own() -> None:
    def bucket_policy(effect: str) -> dict[str, Any]:
        document = {"Statement": [statement("s3:*", "*", effect)]}
        properties = {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": document}
        return {"Type": "AWS::S3::BucketPolicy", "Properties": properties}

    assert found(role(), Policy=bucket_policy("Allow")) == []
    assert found(role(), Policy=bucket_policy("Deny")) == ["SM-R1"]


def test_bucket_with_a_name_of_its_own_may_be_meant_by_that_name() -> None:
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "cats"}}

    assert found(role(statement("s3:GetObject", "arn:aws:s3:::cats/*")), Bucket=bucket) == []
    assert found(role(statement("s3:GetObject", "arn:aws:s3:::dogs/*")), Bucket=bucket) == ["SM-R1"]


def test_role_pulls_an_image_of_another_account_by_its_repository() -> None:
    def model(image: str) -> dict[str, Any]:
        properties = {
            "ExecutionRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
            "PrimaryContainer": {"Image": {"Fn::Sub": image}},
        }
        return {"Type": "AWS::SageMaker::Model", "Properties": properties}

    pull = role(
        statement(
            ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            {"Fn::Sub": "arn:aws:ecr:${AWS::Region}:763104351884:repository/pytorch-inference"},
        ),
        statement("ecr:GetAuthorizationToken", "*"),
    )
    host = "763104351884.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}"

    assert found(pull, Model=model(f"{host}/pytorch-inference:2.6-cpu-py312")) == []
    assert found(pull, Model=model(f"{host}/tensorflow-inference:2.16-cpu")) == ["SM-R2"]
