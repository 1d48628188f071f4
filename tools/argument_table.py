"""Write docs/arguments.md: what each construct argument sets in CloudFormation.

    python -m tools.argument_table [--check]

Nothing in the table is written by hand: each argument is given a value, and the properties in which
the template then differs from one without it are its row. What stays of CloudFormation's properties
is listed with the reason for leaving it out.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Template

import constructs_lib as lib
from hosting import pricing
from hosting.endpoint import EndpointKind

PAGE = Path(__file__).parent.parent / "docs" / "arguments.md"

Sample = Callable[[cdk.Stack], Any]
_SKIPPED = frozenset({"self", "scope", "construct_id"})

# Types whose properties the arguments are for; policies follow from them.
_SHOWN = (
    "AWS::ApplicationAutoScaling::",
    "AWS::CloudWatch::",
    "AWS::ECS::TaskDefinition",
    "AWS::IAM::ManagedPolicy.PolicyDocument.Statement.Sid",
    "AWS::IAM::ManagedPolicy.Roles",
    "AWS::Logs::",
    "AWS::S3::",
    "AWS::SNS::",
    "AWS::SageMaker::",
    "AWS::StepFunctions::StateMachine",
    "Custom::CDKBucketDeployment",
)

_IMAGE = lib.ContainerImage.from_framework("scikit-learn")
_CONTAINER = lib.Container(image=_IMAGE)
_LARGE = lib.Instances(instance_type="ml.m5.large")


def _bucket(stack: cdk.Stack) -> s3.IBucket:
    # One bucket for every sample that wants one.
    name = "SampleBucket"
    existing: Any = stack.node.try_find_child(name)
    return s3.Bucket.from_bucket_name(stack, name, "samples") if existing is None else existing


def _variant(_: cdk.Stack) -> lib.Variant:
    return lib.Variant(name="Other", containers=[_CONTAINER], instances=_LARGE, weight=0)


def _pair(_: cdk.Stack) -> list[lib.Container]:
    return [lib.Container(image=_IMAGE, hostname=name) for name in ("first", "second")]


def _store(stack: cdk.Stack) -> lib.ModelStore:
    return lib.ModelStore(stack, "Store", bucket=_bucket(stack))


def _private_network(stack: cdk.Stack) -> lib.Network:
    return lib.Network(vpc=ec2.Vpc(stack, "PrivateVpc"))


_COMMON: dict[str, Sample] = {
    "endpoint_name": lambda _: "sample",
    "role": lambda stack: iam.Role.from_role_arn(
        stack, "SampleRole", "arn:aws:iam::123456789012:role/sample"
    ),
    "network": lambda stack: lib.Network(vpc=ec2.Vpc(stack, "SampleVpc")),
    "network_isolation": lambda _: True,
    "encryption_key": lambda stack: kms.Key(stack, "SampleKey"),
    "log_retention": lambda _: logs.RetentionDays.ONE_WEEK,
}
_ON_INSTANCES: dict[str, Sample] = {
    **_COMMON,
    "weight": lambda _: 0,
    "shadow": _variant,
    "data_capture": lambda stack: lib.DataCapture(bucket=_bucket(stack)),
    "enhanced_metrics": lambda _: True,
}
_FLEET: dict[str, Sample] = {
    "count": lambda _: 2,
    "volume_size_gb": lambda _: 100,
    "startup_timeout": lambda _: cdk.Duration.minutes(20),
    "model_download_timeout": lambda _: cdk.Duration.minutes(20),
    "ami_version": lambda _: "al2-ami-sagemaker-inference-gpu-2",
    "routing": lambda _: "LEAST_OUTSTANDING_REQUESTS",
    "managed_scaling": lambda _: lib.ManagedScaling(min_count=1, max_count=2),
}


def _tables() -> Iterator[tuple[str, type, dict[str, Sample], dict[str, Sample]]]:
    """Name, class, required arguments and samples of the others, of each construct."""
    yield (
        "RealTimeEndpoint",
        lib.RealTimeEndpoint,
        {"container": lambda _: _CONTAINER, "instances": lambda _: _LARGE},
        {**_ON_INSTANCES, "variants": lambda stack: [_variant(stack)]},
    )
    for kind in (lib.InferencePipelineEndpoint, lib.MultiContainerEndpoint):
        yield (
            kind.__name__,
            kind,
            {"containers": _pair, "instances": lambda _: _LARGE},
            {
                **_ON_INSTANCES,
                "variants": lambda stack: [
                    lib.Variant(name="Other", containers=_pair(stack), instances=_LARGE)
                ],
                "shadow": lambda stack: lib.Variant(
                    name="Other", containers=_pair(stack), instances=_LARGE
                ),
            },
        )
    yield (
        "MultiModelEndpoint",
        lib.MultiModelEndpoint,
        {
            "container": lambda stack: lib.MultiModelContainer(image=_IMAGE, store=_store(stack)),
            "instances": lambda _: _LARGE,
        },
        {**_ON_INSTANCES, "variants": lambda stack: [_variant(stack)]},
    )
    yield (
        "AsyncEndpoint",
        lib.AsyncEndpoint,
        {"container": lambda _: _CONTAINER, "instances": lambda _: _LARGE},
        {
            **_COMMON,
            "scaling": lambda _: lib.BacklogScaling(max_instances=2),
            "bucket": _bucket,
            "input_prefix": lambda _: "requests/",
            "output_prefix": lambda _: "answers/",
            "failure_prefix": lambda _: "failures/",
            "expiration": lambda _: cdk.Duration.days(1),
            "success_topic": lambda stack: sns.Topic(stack, "SampleTopic"),
            "error_topic": lambda stack: sns.Topic(stack, "SampleTopic"),
            "responses_in_notifications": lambda _: True,
            "max_concurrent_invocations_per_instance": lambda _: 2,
            "removal_policy": lambda _: cdk.RemovalPolicy.DESTROY,
        },
    )
    yield (
        "ServerlessEndpoint",
        lib.ServerlessEndpoint,
        {
            "container": lambda _: _CONTAINER,
            "variant": lambda _: lib.ServerlessVariant(memory_size_mb=1024, max_concurrency=1),
        },
        {
            name: _COMMON[name]
            for name in ("endpoint_name", "role", "encryption_key", "log_retention")
        },
    )
    yield (
        "InferenceComponentEndpoint",
        lib.InferenceComponentEndpoint,
        {"instances": lambda _: _LARGE},
        _COMMON,
    )
    yield (
        "ModelStore",
        lib.ModelStore,
        {},
        {
            "bucket": _bucket,
            "prefix": lambda _: "others/",
            "initial_models": lambda _: {"sample": _archive()},
            "encryption_key": _COMMON["encryption_key"],
            "removal_policy": lambda _: cdk.RemovalPolicy.DESTROY,
        },
    )

    yield (
        "BenchmarkJob",
        lib.BenchmarkJob,
        {
            "network": _private_network,
            "models": lambda _: ["sample"],
        },
        {
            "model_roles": lambda stack: [_COMMON["role"](stack)],
            "artifacts": lambda _: ["arn:aws:s3:::samples/model.tar.gz"],
            "bucket": _bucket,
            "image": lambda _: ecs.ContainerImage.from_registry("sample"),
            "cpu": lambda _: 1024,
            "memory_limit_mib": lambda _: 8192,
            "assign_public_ip": lambda _: True,
            "timeout": lambda _: cdk.Duration.hours(1),
            "encryption_key": _COMMON["encryption_key"],
            "log_retention": _COMMON["log_retention"],
            "removal_policy": lambda _: cdk.RemovalPolicy.DESTROY,
        },
    )
    yield from _monitoring_tables()


def _monitoring_tables() -> Iterator[tuple[str, type, dict[str, Sample], dict[str, Sample]]]:
    topic: Sample = lambda stack: sns.Topic(stack, "SampleTopic")  # noqa: E731
    yield (
        "EndpointAlarms",
        lib.EndpointAlarms,
        {"monitored": lambda stack: _monitored(stack, "real-time")},
        {
            "topic": topic,
            "requests": lambda _: lib.RequestThresholds(error_percent=0, min_requests=0),
            "instances": lambda _: lib.InstanceThresholds(memory_percent=0, disk_percent=0),
        },
    )
    for argument, kind, thresholds in (
        ("queue", "async", lib.QueueThresholds(stuck_minutes=1, expired_requests=None)),
        ("serverless", "serverless", lib.ServerlessThresholds(cold_start_percent=0)),
        ("models", "multi-model", lib.ModelThresholds(missed_percent=0)),
    ):
        yield (
            f"EndpointAlarms of {kind} endpoints",
            lib.EndpointAlarms,
            {"monitored": lambda stack, kind=kind: _monitored(stack, kind)},  # type: ignore[misc]
            {argument: lambda _, thresholds=thresholds: thresholds},  # type: ignore[misc]
        )
    yield ("AlarmTopic", lib.AlarmTopic, {}, {"encryption_key": _COMMON["encryption_key"]})
    yield (
        "InferenceDashboard",
        lib.InferenceDashboard,
        {"endpoints": lambda stack: [_monitored(stack, "real-time")]},
        {
            "alarms": lambda stack: [
                cloudwatch.Alarm.from_alarm_arn(
                    stack, "Alarm", "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:sample"
                )
            ],
            "dashboard_name": lambda _: "sample",
            "price_list": lambda _: pricing.PriceList(date(2026, 1, 1), ()),
            "default_interval": lambda _: cdk.Duration.hours(1),
        },
    )


def _monitored(stack: cdk.Stack, kind: EndpointKind) -> lib.Monitored:
    name = "SampleEndpoint"
    existing: Any = stack.node.try_find_child(name)
    endpoint = existing
    if existing is None:
        endpoint = lib.ImportedEndpoint(
            stack, name, endpoint_name="sample", kind=kind, instances=_LARGE
        )
    return lib.Monitored(endpoint=endpoint, title="Sample")


# Properties of CloudFormation that no argument sets, and why.
LEFT_OUT: Mapping[str, str] = {
    f"AWS::SageMaker::{name}": reason
    for name, reason in {
        "Model.ModelName": "a fixed name blocks replacement",
        "Model.Tags": "`cdk.Tags.of(endpoint)` sets them",
        "EndpointConfig.EndpointConfigName": "a fixed name blocks replacement",
        "EndpointConfig.Tags": "`cdk.Tags.of(endpoint)` sets them",
        "EndpointConfig.ExplainerConfig": "wants a container of its own (through the L1)",
        "EndpointConfig.ProductionVariants.AcceleratorType": "Elastic Inference is retired",
        "EndpointConfig.ProductionVariants.CapacityReservationConfig": (
            "names a reservation that was bought before (through the L1)"
        ),
        "EndpointConfig.ProductionVariants.CoreDumpConfig": "for debugging (through the L1)",
        "EndpointConfig.ProductionVariants.EnableSSMAccess": (
            "opens a shell on the instances (through the L1)"
        ),
        "EndpointConfig.ProductionVariants.VariantInstanceProvisionTimeoutInSeconds": (
            "for capacity that is bought ahead (through the L1)"
        ),
        "Endpoint.Tags": "`cdk.Tags.of(endpoint)` sets them",
        "Endpoint.DeploymentConfig": "`roll_out()` sets it",
        "Endpoint.RetainDeploymentConfig": "each deployment brings what `roll_out()` set",
        "Endpoint.RetainAllVariantProperties": "`scale()` sets it",
        "Endpoint.ExcludeRetainedVariantProperties": "`scale()` sets it",
    }.items()
}


def page() -> str:
    """The whole page."""
    # Everything that is synthesized on the way goes with it.
    with tempfile.TemporaryDirectory(prefix="argument-table-") as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            return _page()
        finally:
            tempfile.tempdir = before


def _page() -> str:
    parts = [
        "# What each argument sets\n",
        (
            "Generated by `python -m tools.argument_table`: each argument was given a value, and"
            " these are the properties in which the template changed. Arguments that are not listed"
            " are required and shape the model and its variants as their types say.\n"
        ),
    ]
    seen: set[str] = set()
    for name, construct, required, samples in _tables():
        rows = []
        for argument in _optional(construct, required, samples):
            changed = _changes(construct, required, {argument: samples[argument]})
            seen |= changed
            rows.append((argument, changed))
        seen |= {path for path, _ in _properties(construct, required, {}, with_given=False)}
        parts.append(_table(name, rows))
    parts.append(_table("Instances", list(_fleet_rows(seen))))
    parts.append("## Properties without an argument\n")
    parts.append("| property | why |\n|---|---|")
    parts.extend(f"| `{name}` | {LEFT_OUT[name]} |" for name in _unset(seen))
    return "\n".join(parts) + "\n"


def _optional(
    construct: type, required: Mapping[str, Sample], samples: Mapping[str, Sample]
) -> list[str]:
    parameters = inspect.signature(construct.__init__).parameters  # type: ignore[misc]
    found = [name for name in parameters if name not in _SKIPPED and name not in required]
    # Alarms have arguments for each kind of endpoint; each kind has a table of its own.
    return [name for name in found if construct is not lib.EndpointAlarms or name in samples]


def _fleet_rows(seen: set[str]) -> Iterator[tuple[str, set[str]]]:
    container: dict[str, Sample] = {"container": lambda _: _CONTAINER}
    baseline = {**container, "instances": lambda _: _LARGE}
    pools: Sample = lambda _: lib.Instances(  # noqa: E731
        pools=[lib.InstancePool(instance_type="ml.m5.large", priority=1)]
    )
    yield "pools", _changes(lib.RealTimeEndpoint, baseline, {"instances": pools}, seen=seen)
    for argument, sample in _FLEET.items():

        def instances(stack: cdk.Stack, name: str = argument, value: Sample = sample) -> Any:
            return lib.Instances(instance_type="ml.m5.large", **{name: value(stack)})

        yield (
            argument,
            _changes(lib.RealTimeEndpoint, baseline, {"instances": instances}, seen=seen),
        )


def _changes(
    construct: type,
    required: Mapping[str, Sample],
    given: Mapping[str, Sample],
    *,
    seen: set[str] | None = None,
) -> set[str]:
    """Properties, as ``Type.Path``, that differ once ``given`` is given."""
    before = _properties(construct, required, given, with_given=False)
    after = _properties(construct, required, given, with_given=True)
    changed = {
        path
        for path in {path for path, _ in before.keys() ^ after.keys()}
        if path.startswith(_SHOWN)
    }
    if seen is not None:
        seen |= changed
    return changed


def _properties(
    construct: type,
    required: Mapping[str, Sample],
    given: Mapping[str, Sample],
    *,
    with_given: bool,
) -> dict[tuple[str, str], None]:
    app = cdk.App(outdir=tempfile.mkdtemp())
    stack = cdk.Stack(app, "Stack", env=cdk.Environment(region="eu-west-1"))
    # Made in both templates, so that what a sample brings itself makes no difference.
    samples = {name: sample(stack) for name, sample in given.items()}
    arguments = {
        name: sample(stack)
        for name, sample in required.items()
        if name not in samples or not with_given
    }
    if with_given:
        arguments.update(samples)
    construct(stack, "Sample", **arguments)
    found: dict[tuple[str, str], None] = {}
    for resource in Template.from_stack(stack).to_json().get("Resources", {}).values():
        for path, value in _leaves(resource.get("Properties", {})):
            found[f"{resource['Type']}.{path}", str(value)] = None
    return found


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    match value:
        case dict() if value and not any(key == "Ref" or key.startswith("Fn::") for key in value):
            for key, inner in value.items():
                yield from _leaves(inner, f"{path}.{key}" if path else key)
        case list():
            for inner in value:
                yield from _leaves(inner, path)
        case _:
            yield path, value


def _table(name: str, rows: list[tuple[str, set[str]]]) -> str:
    lines = [f"## {name}\n", "| argument | CloudFormation |", "|---|---|"]
    for argument, changed in rows:
        shown = "<br>".join(f"`{path}`" for path in sorted(changed))
        lines.append(f"| `{argument}` | {shown} |")
    return "\n".join(lines) + "\n"


def _unset(seen: set[str]) -> list[str]:
    """Properties of model, configuration, variant and endpoint that no argument changed."""
    variant = sagemaker.CfnEndpointConfig.ProductionVariantProperty
    owners = {
        "AWS::SageMaker::Model": sagemaker.CfnModel,
        "AWS::SageMaker::EndpointConfig": sagemaker.CfnEndpointConfig,
        "AWS::SageMaker::EndpointConfig.ProductionVariants": variant,
        "AWS::SageMaker::Endpoint": sagemaker.CfnEndpoint,
    }
    known = {
        f"{owner}.{_cloudformation(name)}"
        for owner, construct in owners.items()
        for name in inspect.signature(construct.__init__).parameters  # type: ignore[misc]
        if name not in {"self", "scope", "id"}
    }
    set_somewhere = {
        prefix.lower()
        for path in seen
        for prefix in (".".join(path.split(".")[:2]), ".".join(path.split(".")[:3]))
    }
    return sorted(name for name in known if name.lower() not in set_somewhere)


def _cloudformation(name: str) -> str:
    return "".join("SSM" if word == "ssm" else word.capitalize() for word in name.split("_"))


def _archive() -> Any:
    folder = Path(tempfile.mkdtemp())
    (folder / "inference.py").write_text("def model_fn(model_dir):\n    return None\n")
    return lib.ModelArtifact.from_handler(folder)


def main() -> int:
    """Write the page, or say whether it is fresh."""
    parser = argparse.ArgumentParser(prog="python -m tools.argument_table")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when stale")
    arguments = parser.parse_args()
    fresh = page()
    if arguments.check:
        if PAGE.read_text() != fresh:
            print(f"{PAGE.name} is stale: run `python -m tools.argument_table`", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
