"""Images: found without network, pulled with the least permission."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ecr as ecr
from aws_cdk.assertions import Match, Template

from constructs_lib import ContainerImage
from constructs_lib.container_image import BoundImage
from constructs_lib.execution_role import ExecutionRole


def _bind(image: ContainerImage, region: str | None = "eu-west-1") -> tuple[cdk.Stack, BoundImage]:
    stack = cdk.Stack(env=cdk.Environment(region=region))
    role = ExecutionRole(stack, "Role")
    return stack, image.bind(stack, role)


def test_framework_image_comes_from_the_registry_of_the_stacks_region() -> None:
    image = ContainerImage.from_framework("scikit-learn", version="1.4-2-py312")

    uris = {region: _bind(image, region)[1].uri for region in ("eu-west-1", "us-east-1")}

    assert uris == {
        "eu-west-1": "141502667606.dkr.ecr.eu-west-1.amazonaws.com/"
        "sagemaker-scikit-learn:1.4-2-py312-cpu-py3",
        "us-east-1": "683313688378.dkr.ecr.us-east-1.amazonaws.com/"
        "sagemaker-scikit-learn:1.4-2-py312-cpu-py3",
    }


def test_gpu_image_is_another_one() -> None:
    image = ContainerImage.from_framework("pytorch", version="2.6", processor="gpu")

    uri = _bind(image, "us-east-1")[1].uri

    assert uri.startswith("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6")
    assert "gpu" in uri


def test_unknown_framework_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"scikit-learn.*got sklurn"):
        ContainerImage.from_framework("sklurn")


def test_unknown_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"1\.4-2.*got 9\.9"):
        ContainerImage.from_framework("scikit-learn", version="9.9")


def test_stack_of_any_region_looks_its_registry_up_when_deployed() -> None:
    stack, bound = _bind(
        ContainerImage.from_framework("scikit-learn", version="1.4-2-py312"), region=None
    )

    template = Template.from_stack(stack)
    (mapping,) = template.find_mappings("*").values()
    assert mapping["eu-west-1"] == {"Account": "141502667606"}
    (name,) = template.find_mappings("*")
    account = {"Fn::FindInMap": [name, {"Ref": "AWS::Region"}, "Account"]}
    assert stack.resolve(bound.uri)["Fn::Join"][1][0] == account


def test_region_without_the_image_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"region of scikit-learn 1.4-2-py312 must be one of"):
        ContainerImage.from_framework("scikit-learn", version="1.4-2-py312", region="mars-north-1")


def test_own_repository_is_pulled_by_tag() -> None:
    stack = cdk.Stack()
    repository = ecr.Repository(stack, "Servers")
    role = ExecutionRole(stack, "Role")

    bound = ContainerImage.from_repository(repository, tag_or_digest="v3").bind(stack, role)

    assert "v3" in str(stack.resolve(bound.uri))
    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::ManagedPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {
                                "Action": Match.array_with(["ecr:BatchGetImage"]),
                                "Resource": {
                                    "Fn::GetAtt": [Match.string_like_regexp("^Servers"), "Arn"]
                                },
                            }
                        )
                    ]
                )
            }
        },
    )


def test_dockerfile_becomes_an_asset_for_the_instances_platform(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    app = cdk.App()
    stack = cdk.Stack(app, "Stack")
    role = ExecutionRole(stack, "Role")

    ContainerImage.from_dockerfile(tmp_path).bind(stack, role)

    manifest = app.synth().get_stack_by_name("Stack").assets
    assert [asset.platform for asset in manifest if hasattr(asset, "platform")] != [None]


def test_folder_without_a_dockerfile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"directory must hold 'Dockerfile'"):
        ContainerImage.from_dockerfile(tmp_path)
