"""What the rules' own examples do not show: their other branches, and what they let pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

from constructs_lib.rules.document import TemplateFile
from constructs_lib.rules.engine import check

GPU_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6-gpu-py312"
CPU_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6-cpu-py312"
ARM_IMAGE = (
    "763104351884.dkr.ecr.us-east-1.amazonaws.com/"
    "pytorch-inference-arm64:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
)
QUEUE = {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://results/out/"}}}
NAME = {"Fn::GetAtt": ["Endpoint", "EndpointName"]}
SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
ON_ENDPOINT = [{"Name": "EndpointName", "Value": NAME}]
ON_VARIANT = [*ON_ENDPOINT, {"Name": "VariantName", "Value": "blue"}]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def model(*containers: dict[str, Any], **properties: Any) -> dict[str, Any]:
    if len(containers) > 1:
        return resource("SageMaker::Model", Containers=list(containers), **properties)
    primary = containers[0] if containers else {"Image": "my-image"}
    return resource("SageMaker::Model", PrimaryContainer=primary, **properties)


def variant(name: str = "blue", **properties: Any) -> dict[str, Any]:
    if "ServerlessConfig" not in properties:
        properties = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 2, **properties}
    return {
        "VariantName": name,
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        **properties,
    }


def config(*variants: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return resource(
        "SageMaker::EndpointConfig",
        ProductionVariants=list(variants) or [variant()],
        **properties,
    )


def endpoint(**properties: Any) -> dict[str, Any]:
    name = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
    return resource("SageMaker::Endpoint", EndpointConfigName=name, **properties)


def served(**resources: dict[str, Any]) -> dict[str, Any]:
    return {"Model": model(), "Config": config(), "Endpoint": endpoint(), **resources}


def target(minimum: int = 1, resource_id: Any = None, **properties: Any) -> dict[str, Any]:
    standard = {"Fn::Join": ["/", ["endpoint", NAME, "variant", "blue"]]}
    return resource(
        "ApplicationAutoScaling::ScalableTarget",
        **{
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            "ResourceId": standard if resource_id is None else resource_id,
            "MinCapacity": minimum,
            "MaxCapacity": 4,
            **properties,
        },
    )


def scaled(minimum: int = 1, **resources: dict[str, Any]) -> dict[str, Any]:
    retained = endpoint(RetainAllVariantProperties=True)
    return served(Endpoint=retained, **{"Target": target(minimum), **resources})


def policy(**properties: Any) -> dict[str, Any]:
    return resource(
        "ApplicationAutoScaling::ScalingPolicy",
        PolicyName="policy",
        ScalingTargetId={"Ref": "Target"},
        **properties,
    )


def steps(*bounds: tuple[float | None, float | None]) -> dict[str, Any]:
    adjustments: list[dict[str, Any]] = []
    for lower, upper in bounds:
        adjustment: dict[str, Any] = {"ScalingAdjustment": 1}
        if lower is not None:
            adjustment["MetricIntervalLowerBound"] = lower
        if upper is not None:
            adjustment["MetricIntervalUpperBound"] = upper
        adjustments.append(adjustment)
    return policy(
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": adjustments,
        },
    )


def alarm(metric: str, dimensions: list[Any] | None = None, **properties: Any) -> dict[str, Any]:
    return resource(
        "CloudWatch::Alarm",
        **{
            "Namespace": "AWS/SageMaker",
            "MetricName": metric,
            "Dimensions": ON_VARIANT if dimensions is None else dimensions,
            "Period": 60,
            "EvaluationPeriods": 2,
            **properties,
        },
    )


def blue_green(routing: dict[str, Any], **properties: Any) -> dict[str, Any]:
    update = {"TrafficRoutingConfiguration": routing, **properties}
    return endpoint(DeploymentConfig={"BlueGreenUpdatePolicy": update})


def canary(percent: float = 50, wait_s: int = 300) -> dict[str, Any]:
    size = {"Type": "CAPACITY_PERCENT", "Value": percent}
    return {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": wait_s}


def linear(percent: float, wait_s: int = 60) -> dict[str, Any]:
    size = {"Type": "CAPACITY_PERCENT", "Value": percent}
    return {"Type": "LINEAR", "LinearStepSize": size, "WaitIntervalInSeconds": wait_s}


def rolling(percent: float, **properties: Any) -> dict[str, Any]:
    size = {"Type": "CAPACITY_PERCENT", "Value": percent}
    update = {"MaximumBatchSize": size, "WaitIntervalInSeconds": 60, **properties}
    return endpoint(DeploymentConfig={"RollingUpdatePolicy": update})


def dashboard(*rows: list[Any]) -> dict[str, Any]:
    body = json.dumps({"widgets": [{"properties": {"metrics": list(rows)}}]})
    return resource("CloudWatch::Dashboard", DashboardBody={"Fn::Sub": body})


def found(resources: dict[str, Any]) -> list[str]:
    report = check([TemplateFile("template.json", {"Resources": resources})])
    assert report.undecided == ()
    return [finding.id for finding in report.findings]


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "sixteen containers": ({"Model": model(*[{"Image": "a"}] * 16)}, ["SM-P1"]),
    "a pipeline without hostnames": ({"Model": model({"Image": "a"}, {"Image": "b"})}, []),
    "direct mode without hostnames": (
        {
            "Model": model(
                {"Image": "a"}, {"Image": "b"}, InferenceExecutionConfig={"Mode": "Direct"}
            )
        },
        ["SM-P2[Containers.0]", "SM-P2[Containers.1]"],
    ),
    "no container": ({"Model": resource("SageMaker::Model")}, ["SM-P3"]),
    "environments that fit alone and not together": (
        {
            "Model": model(
                {"Image": "a", "Environment": {f"K{n}": "v" * 1000 for n in range(17)}},
                {"Image": "b", "Environment": {f"K{n}": "v" * 1000 for n in range(17)}},
            )
        },
        ["SM-P4"],
    ),
    "a value of 1025 bytes": (
        {"Model": model({"Image": "a", "Environment": {"KEY": "é" * 512 + "x"}})},
        ["SM-P4"],
    ),
    "a prefix of an import": (
        {
            "Model": model(
                {"Image": "a", "Mode": "MultiModel", "ModelDataUrl": {"Fn::ImportValue": "prefix"}}
            )
        },
        [],
    ),
    "a gzip archive as prefix": (
        {
            "Model": model(
                {
                    "Image": "a",
                    "ModelDataSource": {
                        "S3DataSource": {
                            "S3Uri": "s3://models/a/",
                            "S3DataType": "S3Prefix",
                            "CompressionType": "Gzip",
                        }
                    },
                }
            )
        },
        ["SM-F2"],
    ),
    "an asset of CDK": ({"Model": model({"Image": "a", "ModelDataUrl": "s3://b/0a1b.gz"})}, []),
    "a model of the Hub in the artifact of an isolated container": (
        {
            "Model": model(
                {"Image": "a", "Environment": {"HF_MODEL_ID": "/opt/ml/model"}},
                EnableNetworkIsolation=True,
            )
        },
        [],
    ),
    "a name of the stack and a name of a parameter": (
        {
            "Model": model(ModelName={"Fn::Sub": "${AWS::StackName}-cats"}),
            "Other": model(ModelName={"Fn::Sub": "cats-${Model.Hash}"}),
        },
        ["SM-U2"],
    ),
    "everything that serverless excludes": (
        served(
            Model=model(
                {"Image": GPU_IMAGE, "ImageConfig": {"RepositoryAccessMode": "Vpc"}},
                {"Image": "b", "Mode": "MultiModel", "ModelDataUrl": "s3://models/all/"},
                VpcConfig={"Subnets": ["s"]},
                EnableNetworkIsolation=True,
            ),
            Config=config(
                variant(ServerlessConfig=SERVERLESS),
                variant("green", ServerlessConfig=SERVERLESS),
                DataCaptureConfig={"EnableCapture": "true"},
            ),
        ),
        sorted(
            [
                "SM-S1[DataCaptureConfig]",
                "SM-S1[several variants]",
                "SM-S1[VpcConfig]",
                "SM-S1[EnableNetworkIsolation]",
                "SM-S1[several containers]",
                "SM-S1[MultiModel mode]",
                "SM-S1[private registries]",
                "SM-S1[GPU images]",
            ]
            * 2
        ),
    ),
    "a monitored serverless endpoint": (
        served(
            Config=config(variant(ServerlessConfig=SERVERLESS)),
            Job=resource(
                "SageMaker::DataQualityJobDefinition",
                DataQualityJobInput={"EndpointInput": {"EndpointName": NAME}},
            ),
        ),
        ["SM-S1[Model Monitor]"],
    ),
    "capture that is switched off": (
        served(
            Config=config(
                variant(ServerlessConfig=SERVERLESS), DataCaptureConfig={"EnableCapture": False}
            )
        ),
        [],
    ),
    "memory between two sizes": (
        served(Config=config(variant(ServerlessConfig={"MemorySizeInMB": 1500}))),
        ["SM-S3[MemorySizeInMB]"],
    ),
    "no provisioned concurrency": (
        scaled(
            Config=config(variant(ServerlessConfig={**SERVERLESS, "ProvisionedConcurrency": 1})),
            Target=target(0, ScalableDimension="sagemaker:variant:DesiredProvisionedConcurrency"),
        ),
        ["SM-A1"],
    ),
    "no copies of an inference component": (
        {
            "Target": target(
                0,
                "inference-component/cats",
                ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
            )
        },
        [],
    ),
    "no instances and no policy in these templates": (scaled(0, Config=config(**QUEUE)), []),
    "a step policy that an alarm on the queue calls": (
        scaled(
            0,
            Config=config(**QUEUE),
            Policy=steps((0, None)),
            Alarm=alarm("HasBacklogWithoutCapacity", ON_ENDPOINT, AlarmActions=[{"Ref": "Policy"}]),
        ),
        [],
    ),
    "a step policy that only a running instance can call": (
        scaled(
            0,
            Config=config(**QUEUE),
            Policy=steps((0, None)),
            Alarm=alarm(
                "ApproximateBacklogSizePerInstance", ON_ENDPOINT, AlarmActions=[{"Ref": "Policy"}]
            ),
        ),
        ["SM-A2"],
    ),
    "a predefined metric of serverless on instances": (
        scaled(
            Policy=policy(
                TargetTrackingScalingPolicyConfiguration={
                    "TargetValue": 0.5,
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"
                    },
                }
            )
        ),
        ["SM-A3"],
    ),
    "the ARN of an endpoint in a target": (
        scaled(Target=target(1, {"Fn::Sub": "endpoint/${Endpoint}/variant/blue"})),
        ["SM-T1"],
    ),
    "a target that is no path": (scaled(Target=target(1, "my-endpoint")), ["SM-T1"]),
    "a target by a parameter": (scaled(Target=target(1, {"Fn::ImportValue": "target"})), []),
    "steps that overlap": (scaled(Policy=steps((0, 10), (5, None))), ["SM-T2"]),
    "a step without bounds": (scaled(Policy=steps((None, None))), ["SM-T2"]),
    "steps that end above": (scaled(Policy=steps((0, 10), (10, 20))), ["SM-T2"]),
    "steps that begin below": (scaled(Policy=steps((-10, 0))), ["SM-T2"]),
    "steps on both sides": (scaled(Policy=steps((None, -10), (-10, 0), (0, 5), (5, None))), []),
    "a linear step of 5 percent": (
        served(Endpoint=blue_green(linear(5))),
        ["SM-G1[LinearStepSize]"],
    ),
    "a batch of 60 percent": (served(Endpoint=rolling(60)), ["SM-G1[MaximumBatchSize]"]),
    "two policies": (
        served(
            Endpoint=endpoint(
                DeploymentConfig={
                    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": canary()},
                    "RollingUpdatePolicy": {
                        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50}
                    },
                }
            )
        ),
        ["SM-G2"],
    ),
    "ten linear steps of ten minutes in an hour": (
        served(Endpoint=blue_green(linear(10, 600), MaximumExecutionTimeoutInSeconds=3600)),
        ["SM-G3"],
    ),
    "twenty batches of five minutes in an hour": (
        served(
            Endpoint=rolling(5, WaitIntervalInSeconds=300, MaximumExecutionTimeoutInSeconds=3600)
        ),
        ["SM-G3"],
    ),
    "a rolling deployment of two variants on Inf1": (
        served(
            Config=config(variant(InstanceType="ml.inf1.xlarge"), variant("green")),
            Endpoint=rolling(50),
        ),
        ["SM-G4[Inf1]", "SM-G4[several variants]"],
    ),
    "an alarm that is slower than the rollout": (
        served(
            Alarm=alarm("Invocation5XXErrors", Period=300),
            Endpoint=endpoint(
                DeploymentConfig={
                    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": canary(wait_s=300)},
                    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": {"Ref": "Alarm"}}]},
                }
            ),
        ),
        ["SM-G7[Alarm]"],
    ),
    "a shadow of a queue, of a pipeline, on Inf1": (
        served(
            Model=model({"Image": "a"}, {"Image": "b"}),
            Config=config(
                variant(),
                ShadowProductionVariants=[variant("green", InstanceType="ml.inf1.xlarge")],
                **QUEUE,
            ),
        ),
        [
            "SM-H1[async]",
            "SM-H1[blue/several containers]",
            "SM-H1[green/Inf1 instances]",
            "SM-H1[green/several containers]",
        ],
    ),
    "a key with a type that EC2's record lacks": (
        served(Config=config(variant(InstanceType="ml.q9.large"), KmsKeyId="alias/storage")),
        [],
    ),
    "an alarm on the queue of a real-time endpoint": (
        served(Alarm=alarm("ApproximateBacklogSize", ON_ENDPOINT)),
        ["SM-D1"],
    ),
    "container latency of a pipeline": (
        served(
            Model=model({"Image": "a"}, {"Image": "b"}),
            Alarm=alarm(
                "ContainerLatency", [*ON_VARIANT, {"Name": "ContainerName", "Value": "container-1"}]
            ),
        ),
        [],
    ),
    "container latency of a single container": (
        served(
            Alarm=alarm(
                "ContainerLatency", [*ON_VARIANT, {"Name": "ContainerName", "Value": "container-1"}]
            ),
        ),
        ["SM-D1"],
    ),
    "the cache of a pipeline with a multi-model container": (
        served(
            Model=model(
                {"Image": "a"},
                {"Image": "b", "Mode": "MultiModel", "ModelDataUrl": "s3://models/all/"},
            ),
            Alarm=alarm("ModelCacheHit"),
        ),
        [],
    ),
    "a metric of the new fleet, of one instance": (
        served(
            Alarm=alarm(
                "ModelLatency", [*ON_VARIANT, {"Name": "EndpointConfigName", "Value": "new"}]
            ),
            Other=alarm(
                "CPUUtilization",
                [*ON_VARIANT, {"Name": "InstanceId", "Value": "i-1"}],
                Namespace="/aws/sagemaker/Endpoints",
            ),
        ),
        [],
    ),
    "metrics of an expression": (
        served(
            Config=config(**QUEUE),
            Alarm=resource(
                "CloudWatch::Alarm",
                Metrics=[
                    {"Id": "e", "Expression": "m / 60"},
                    {
                        "Id": "m",
                        "MetricStat": {
                            "Metric": {
                                "Namespace": "AWS/SageMaker",
                                "MetricName": "Invocations",
                                "Dimensions": ON_VARIANT,
                            }
                        },
                    },
                ],
            ),
        ),
        ["SM-D1[Metrics.1]"],
    ),
    "a policy on what a queue does not publish": (
        scaled(
            Config=config(**QUEUE),
            Policy=policy(
                TargetTrackingScalingPolicyConfiguration={
                    "TargetValue": 5,
                    "CustomizedMetricSpecification": {
                        "Namespace": "AWS/SageMaker",
                        "MetricName": "InvocationsPerInstance",
                        "Dimensions": ON_VARIANT,
                    },
                }
            ),
        ),
        ["SM-D1"],
    ),
    "a dashboard with abbreviated rows": (
        served(
            Config=config(**QUEUE),
            Dashboard=dashboard(
                [
                    "AWS/SageMaker",
                    "Invocation5XXErrors",
                    "EndpointName",
                    "${Endpoint.EndpointName}",
                    "VariantName",
                    "blue",
                    {"stat": "Sum"},
                ],
                [".", "OverheadLatency", ".", ".", ".", "."],
                [".", "HasBacklogWithoutCapacity", "..."],
                [{"expression": "m1 / m2"}],
            ),
        ),
        ["SM-A4[widgets.0/HasBacklogWithoutCapacity]", "SM-D1[widgets.0/OverheadLatency]"],
    ),
    "a variant that is not there": (
        served(
            Alarm=alarm("ModelLatency", [*ON_ENDPOINT, {"Name": "VariantName", "Value": "red"}])
        ),
        ["SM-D4"],
    ),
    "an alarm on an endpoint from elsewhere": (
        {
            "Alarm": alarm(
                "Invocations",
                [
                    {"Name": "EndpointName", "Value": "elsewhere"},
                    {"Name": "VariantName", "Value": "v"},
                ],
            )
        },
        [],
    ),
    "a metric of another namespace": (
        served(Alarm=alarm("Invocations", ON_ENDPOINT, Namespace="AWS/Lambda")),
        [],
    ),
    "a CPU image on a GPU type": (
        served(
            Model=model({"Image": CPU_IMAGE}), Config=config(variant(InstanceType="ml.g5.xlarge"))
        ),
        ["SM-C1[blue]"],
    ),
    "an Arm image on both": (
        served(
            Model=model({"Image": ARM_IMAGE}),
            Config=config(variant(), variant("green", InstanceType="ml.m6g.large")),
        ),
        ["SM-C2[blue]"],
    ),
    "an image of one's own on any type": (
        served(
            Model=model({"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/gpu:1"}),
            Config=config(variant(InstanceType="ml.m6g.large")),
        ),
        [],
    ),
    "an image of a repository that has both architectures": (
        served(
            Model=model({"Image": "1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"}),
            Config=config(variant(InstanceType="ml.m6g.large")),
        ),
        [],
    ),
}


@pytest.mark.parametrize(("resources", "expected"), CASES.values(), ids=CASES.keys())
def test_template_has_these_findings(resources: dict[str, Any], expected: list[str]) -> None:
    assert sorted(found(resources)) == sorted(expected)
