"""Benchmarks on Fargate: what the task may do, where it writes, and who removes what it leaves."""

from __future__ import annotations

import ast
import json
import tomllib
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match, Template
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import lint

from constructs_lib import BenchmarkJob, Network
from constructs_lib.benchmark_image import REQUIREMENTS, write_context
from constructs_lib.rules import SageMakerInferenceRules
from hosting import benchmark_policy
from tests.conftest import ROOT, findings

ROLE = "arn:aws:iam::123456789012:role/model"


def network(stack: cdk.Stack) -> Network:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    )
    return Network(vpc=vpc)


def define(stack: cdk.Stack, **more: Any) -> BenchmarkJob:
    image = ecs.ContainerImage.from_registry("ours")
    arguments: dict[str, Any] = {"models": ["digits"], "image": image} | more
    return BenchmarkJob(stack, "Job", network=network(stack), **arguments)


def states(template: Template) -> dict[str, Any]:
    """The state machine's definition, with references as text."""
    (machine,) = template.find_resources("AWS::StepFunctions::StateMachine").values()
    parts = machine["Properties"]["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else "REFERENCE" for part in parts)
    definition: dict[str, Any] = json.loads(text)
    return definition


def policy_statements(template: Template) -> dict[str, Any]:
    (policy,) = template.find_resources("AWS::IAM::ManagedPolicy").values()
    return {
        statement.get("Sid", "key"): statement
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    }


def test_the_tasks_policy_is_the_one_that_people_get_for_the_same_work(stack: cdk.Stack) -> None:
    define(stack, model_roles=[iam.Role.from_role_arn(stack, "Role", ROLE)])

    granted = policy_statements(Template.from_stack(stack))

    written = benchmark_policy.statements(
        benchmark_policy.Scope(
            region="eu-west-1",
            account="123456789012",
            models=["digits"],
            model_roles=[ROLE],
            bucket="bucket",
            stacks=False,
            clean_by_tag=False,
            prices=False,
        )
    )
    assert set(granted) == {each["Sid"] for each in written} | {"ReadPayloads", "KeepResults"}
    for each in written:
        actions = granted[each["Sid"]]["Action"]
        assert ([actions] if isinstance(actions, str) else actions) == each["Action"]
        assert granted[each["Sid"]].get("Condition") == each.get("Condition")


def test_only_the_named_models_may_be_read(stack: cdk.Stack) -> None:
    define(stack, models=["digits", "regional-*"])

    resources = policy_statements(Template.from_stack(stack))["ReadModels"]["Resource"]

    names = [resource["Fn::Join"][1][-1] for resource in resources]
    assert names == [":model/digits", ":model/regional-*"]


def test_the_task_takes_its_command_from_the_execution_and_its_places_from_the_stack(
    stack: cdk.Stack,
) -> None:
    define(stack)
    template = Template.from_stack(stack)

    measure = states(template)["States"]["Measure"]
    (override,) = measure["Parameters"]["Overrides"]["ContainerOverrides"]

    assert override["Command.$"] == "$.command"
    assert override["Environment"] == [{"Name": "BENCHMARK_RUN", "Value.$": "$$.Execution.Name"}]
    template.has_resource_properties(
        "AWS::ECS::TaskDefinition",
        {
            "ContainerDefinitions": [
                Match.object_like(
                    {
                        "EntryPoint": Match.array_with(
                            ["python", "-m", "benchmarking.job", "--region", "eu-west-1"]
                        ),
                        "ReadonlyRootFilesystem": True,
                        "StopTimeout": 120,
                    }
                )
            ]
        },
    )


def test_a_run_that_fails_or_is_killed_is_cleaned_up_after_and_still_fails(
    stack: cdk.Stack,
) -> None:
    define(stack)

    found = states(Template.from_stack(stack))["States"]

    assert found["Measure"]["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "RemoveWhatIsLeft"}
    ]
    (override,) = found["RemoveWhatIsLeft"]["Parameters"]["Overrides"]["ContainerOverrides"]
    assert override["Command"] == ["--clean"]
    assert found["RemoveWhatIsLeft"]["Next"] == "Failed"
    assert found["Failed"]["Type"] == "Fail"


def test_a_run_is_stopped_after_its_time_and_removing_has_time_left(stack: cdk.Stack) -> None:
    define(stack, timeout=cdk.Duration.hours(3))

    definition = states(Template.from_stack(stack))

    assert definition["States"]["Measure"]["TimeoutSeconds"] == 3 * 3600
    assert definition["TimeoutSeconds"] == 5 * 3600


def test_a_task_gets_out_over_https_alone_and_nothing_gets_in(stack: cdk.Stack) -> None:
    define(stack)
    template = Template.from_stack(stack)

    (group,) = template.find_resources("AWS::EC2::SecurityGroup").values()

    (egress,) = group["Properties"]["SecurityGroupEgress"]
    assert (egress["FromPort"], egress["ToPort"]) == (443, 443)
    assert "SecurityGroupIngress" not in group["Properties"]


def test_the_callers_security_groups_and_a_public_address_are_used(stack: cdk.Stack) -> None:
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-0123456789abcdef0")
    BenchmarkJob(
        stack,
        "Job",
        network=Network(
            vpc=network(stack).vpc,
            security_groups=[group],
            subnets=ec2.SubnetSelection(availability_zones=["eu-west-1a"]),
        ),
        models=["digits"],
        image=ecs.ContainerImage.from_registry("ours"),
        assign_public_ip=True,
    )
    template = Template.from_stack(stack)

    template.resource_count_is("AWS::EC2::SecurityGroup", 0)
    configuration = states(template)["States"]["Measure"]["Parameters"]["NetworkConfiguration"]
    assert configuration["AwsvpcConfiguration"] == {
        "Subnets": ["subnet-0123456789abcdef0"],
        "SecurityGroups": ["sg-0123456789abcdef0"],
        "AssignPublicIp": "ENABLED",
    }


def test_models_roles_keep_objects_in_the_benchmarks_folder_alone(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    define(
        stack,
        model_roles=[iam.Role.from_role_arn(stack, "Role", ROLE)],
        encryption_key=key,
    )
    template = Template.from_stack(stack)

    template.has_resource_properties(
        "AWS::S3::BucketPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        {
                            "Action": ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                            "Effect": "Allow",
                            "Principal": {"AWS": ROLE},
                            "Resource": {"Fn::Join": ["", [Match.any_value(), "/benchmarking/*"]]},
                        }
                    ]
                )
            }
        },
    )
    template.has_resource_properties(
        "AWS::KMS::Key",
        {
            "KeyPolicy": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {
                                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                                "Principal": {"AWS": ROLE},
                            }
                        )
                    ]
                )
            }
        },
    )


def test_an_imported_bucket_whose_policy_cannot_be_changed_is_warned_of(stack: cdk.Stack) -> None:
    define(
        stack,
        bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "ours"),
        model_roles=[iam.Role.from_role_arn(stack, "Role", ROLE)],
    )

    Annotations.from_stack(stack).has_warning(
        "/Default/Job", Match.string_like_regexp("must let model read and write benchmarking/")
    )


def test_grant_start_allows_to_start_this_job_alone(stack: cdk.Stack) -> None:
    job = define(stack)
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))

    job.grant_start(caller)

    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::Policy",
        {
            "PolicyDocument": {
                "Statement": [
                    {
                        "Action": "states:StartExecution",
                        "Effect": "Allow",
                        "Resource": {"Ref": Match.string_like_regexp("^Job")},
                    }
                ]
            },
            "Roles": [{"Ref": Match.string_like_regexp("^Caller")}],
        },
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": []}, "models must name one model at least, got none"),
        ({"cpu": 1000}, "cpu must be one of 1024, 2048, .*got 1000"),
        (
            {"cpu": 2048, "memory_limit_mib": 2048},
            "memory_limit_mib for a cpu of 2048 must be 4096 to 16384 in steps of 1024, got 2048",
        ),
    ],
)
def test_what_cannot_run_is_refused(
    stack: cdk.Stack, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        define(stack, **arguments)


@pytest.mark.parametrize("with_key", [False, True])
def test_the_job_passes_every_check(tmp_path: Path, with_key: bool) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(
        outdir=str(tmp_path),
        context={**context, "@aws-cdk/core:failSynthOnValidationErrors": False},
    )
    stack = cdk.Stack(app, "Stack", env=cdk.Environment(region="eu-west-1"))
    define(
        stack,
        model_roles=[iam.Role.from_role_arn(stack, "Role", ROLE)],
        artifacts=["arn:aws:s3:::models/digits.tar.gz"],
        encryption_key=kms.Key(stack, "Key", enable_key_rotation=True) if with_key else None,
    )
    cdk.Validations.of(app).add_plugins(
        AwsSolutionsChecks(app), NIST80053R5Checks(app), SageMakerInferenceRules()
    )

    app.synth()

    template = (tmp_path / "Stack.template.json").read_text()
    assert [found for found in findings(tmp_path) if "Stack/Vpc" not in found] == []
    assert lint(template, regions=["eu-west-1"]) == []


def test_the_image_is_built_from_what_the_package_says_it_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert tuple(project["optional-dependencies"]["benchmark"]) == REQUIREMENTS


def test_the_image_holds_the_packages_that_benchmarks_import_and_no_other(tmp_path: Path) -> None:
    write_context(tmp_path)

    packages = {path.name for path in (tmp_path / "src").iterdir()}
    ours = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    imported = {
        name.partition(".")[0]
        for path in (tmp_path / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert packages == imported & (ours | {"hosting"})
    assert not list(tmp_path.rglob("__pycache__"))
    assert (tmp_path / "requirements.txt").read_text().splitlines() == list(REQUIREMENTS)


def test_the_same_sources_make_the_same_image(stack: cdk.Stack, tmp_path: Path) -> None:
    define(stack, image=None)
    other = cdk.Stack(env=cdk.Environment(region="eu-west-1"))
    define(other, image=None)

    def image(of: cdk.Stack) -> Any:
        (task,) = Template.from_stack(of).find_resources("AWS::ECS::TaskDefinition").values()
        return task["Properties"]["ContainerDefinitions"][0]["Image"]

    assert image(stack) == image(other)
