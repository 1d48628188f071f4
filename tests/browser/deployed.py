"""What the console is looked at with: a small endpoint of each kind, an alarm, a dashboard."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.conftest import ECHO, IMAGE, REGION, ROLE, Runtime, archive, wait_until

# A minute of the service is a second.
SPEED = 60
TAG = "<img src=x onerror=document.title='pwned'>"

_REMARKING = f"""
{ECHO}
import sys
print("loaded with {TAG}")

def predict_fn(data, model):
    print("asked:", data, flush=True)
    if b"trouble" in bytes(data, "utf-8") if isinstance(data, str) else b"trouble" in data:
        raise ValueError("the payload asks for trouble")
    return data
"""


class Deployed:
    """The names of what is deployed; alarms and dashboards have fixed ones."""

    alarm = "errors"
    composite = "unwell"
    dashboard = "inference"
    component = "small"

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        creating = {
            "real_time": runtime.create(runtime.config(runtime.handler(_REMARKING))),
            "pipeline": runtime.create(runtime.config(*self._pipeline())),
            "multi_model": runtime.create(runtime.config(self._models())),
            "serverless": self._serverless(),
            "queued": self._queued(),
            "broken": self._broken(),
            "host": self._host(),
        }
        for name in creating.values():
            runtime.settled(name)
        self.real_time = creating["real_time"]
        self.pipeline = creating["pipeline"]
        self.multi_model = creating["multi_model"]
        self.serverless = creating["serverless"]
        self.queued = creating["queued"]
        self.broken = creating["broken"]
        self.host = creating["host"]
        self._put_component()
        self._put_alarms()
        self._put_dashboard()

    def sleep(self, endpoint: str) -> None:
        """Take an endpoint's instances away for good: nothing is left that brings one back."""
        self.runtime.client("cloudwatch").disable_alarm_actions(AlarmNames=["wake"])
        self.runtime.settled(endpoint)
        self.runtime.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}],
        )
        self.runtime.settled(endpoint)

    def wake_when_asked(self, endpoint: str) -> None:
        """Let a request in an endpoint's queue bring an instance back."""
        scaling = self.runtime.client("application-autoscaling")
        target = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }
        scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=1)
        policy = scaling.put_scaling_policy(
            **target,
            PolicyName="wake",
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={
                "AdjustmentType": "ChangeInCapacity",
                "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
            },
        )
        self.runtime.client("cloudwatch").put_metric_alarm(
            **self._alarm("wake", "HasBacklogWithoutCapacity", threshold=1),
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
            AlarmActions=[policy["PolicyARN"]],
        )

    def _pipeline(self) -> list[dict[str, Any]]:
        return [
            self.runtime.handler(ECHO, ContainerHostname="clean"),
            self.runtime.handler(ECHO, ContainerHostname="predict"),
        ]

    def _models(self) -> dict[str, Any]:
        for name in ("first", "second"):
            self.runtime.s3.put_object(
                Bucket="models",
                Key=f"all/{name}.tar.gz",
                Body=archive({"code/inference.py": ECHO}),
            )
        return {
            "Image": IMAGE,
            "Mode": "MultiModel",
            "ModelDataUrl": "s3://models/all/",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
        }

    def _serverless(self) -> str:
        variant = self.runtime.variant(self.runtime.handler(ECHO))
        del variant["InstanceType"], variant["InitialInstanceCount"]
        variant["ServerlessConfig"] = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
        return self.runtime.create(self.runtime.config_of([variant]))

    def _broken(self) -> str:
        handler = self.runtime.handler("raise OSError('no weights')")
        return self.runtime.create(self.runtime.config(handler))

    def _host(self) -> str:
        variant = {
            "VariantName": "AllTraffic",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        return self.runtime.create(self.runtime.config_of([variant], ExecutionRoleArn=ROLE))

    def _put_component(self) -> None:
        sagemaker = self.runtime.sagemaker
        model = self.runtime.name("model")
        sagemaker.create_model(
            ModelName=model,
            ExecutionRoleArn=ROLE,
            PrimaryContainer=self.runtime.handler(_REMARKING),
        )
        sagemaker.create_inference_component(
            InferenceComponentName=self.component,
            EndpointName=self.host,
            VariantName="AllTraffic",
            Specification={
                "ModelName": model,
                "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 512},
            },
            RuntimeConfig={"CopyCount": 1},
        )
        wait_until(
            lambda: (
                sagemaker.describe_inference_component(InferenceComponentName=self.component)[
                    "InferenceComponentStatus"
                ]
                == "InService"
            )
        )

    def _queued(self) -> str:
        config = self.runtime.config_of(
            [self.runtime.variant(self.runtime.handler(ECHO))],
            AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://models/answers/"}},
        )
        return self.runtime.create(config)

    @staticmethod
    def _alarm(name: str, metric: str, *, threshold: float) -> dict[str, Any]:
        return {
            "AlarmName": name,
            "Namespace": "AWS/SageMaker",
            "MetricName": metric,
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": threshold,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        }

    def _variant(self, endpoint: str) -> list[str]:
        return ["EndpointName", endpoint, "VariantName", "AllTraffic"]

    def _put_alarms(self) -> None:
        cloudwatch = self.runtime.client("cloudwatch")
        cloudwatch.put_metric_alarm(
            **self._alarm(self.alarm, "Invocation4XXErrors", threshold=0.5),
            Dimensions=[
                {"Name": "EndpointName", "Value": self.real_time},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            TreatMissingData="ignore",
            AlarmDescription="Half of the requests fail",
        )
        cloudwatch.put_composite_alarm(AlarmName=self.composite, AlarmRule=f'ALARM("{self.alarm}")')
        cloudwatch.set_alarm_state(
            AlarmName=self.alarm, StateValue="ALARM", StateReason="somebody has tried it"
        )

    def _put_dashboard(self) -> None:
        cloudwatch = self.runtime.client("cloudwatch")
        arn = f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:{self.alarm}"
        requests = ["AWS/SageMaker", "Invocations", *self._variant(self.real_time)]
        latency = ["AWS/SageMaker", "ModelLatency", *self._variant(self.real_time)]
        charts: list[dict[str, Any]] = [
            {"title": "Requests", "view": "singleValue", "metrics": [requests], "stat": "Sum",
             "setPeriodToTimeRange": True},
            {"title": "Latency", "view": "timeSeries", "metrics": [[*latency, {"label": "Model"}]],
             "period": 60, "annotations": {"horizontal": [{"value": 2e5, "label": "Objective"}]}},
            {"title": "Stacked", "view": "timeSeries", "stacked": True, "period": 60,
             "metrics": [requests, [{"expression": "2 * m", "label": "Twice", "id": "e"}],
                         [*requests, {"id": "m", "visible": False}]]},
            {"title": "Gauge", "view": "gauge", "metrics": [requests], "stat": "Sum",
             "yAxis": {"left": {"min": 0, "max": 100}}},
            {"title": "Bars", "view": "bar", "metrics": [requests], "stat": "Sum"},
            {"title": "Pie", "view": "pie", "metrics": [requests], "stat": "Sum"},
            {"title": "Quiet", "view": "timeSeries",
             "metrics": [["AWS/SageMaker", "Invocations", "EndpointName", "nobody"]]},
            {"title": "Impossible", "view": "timeSeries",
             "metrics": [[{"expression": "nothing + 1"}]]},
        ]  # fmt: skip
        widgets: list[dict[str, Any]] = [
            {"type": "metric", "width": 12, "properties": {"region": REGION, **chart}}
            for chart in charts
        ]
        log = f"SOURCE '/aws/sagemaker/Endpoints/{self.real_time}' | fields @message | limit 5"
        widgets += [
            {"type": "text", "width": 24, "height": 2,
             "properties": {"markdown": f"# What runs\n**Read** this: {TAG}"}},
            {"type": "alarm", "properties": {"title": "Alarms", "alarms": [arn]}},
            {"type": "log", "properties": {"title": "Lines", "query": log, "region": REGION}},
        ]  # fmt: skip
        for row, widget in enumerate(widgets):
            widget |= {"x": 12 * (row % 2), "y": 6 * (row // 2)}
            widget.setdefault("height", 6)
            widget.setdefault("width", 12)
            if widget["type"] == "text":
                widget["x"] = 0
        cloudwatch.put_dashboard(
            DashboardName=self.dashboard, DashboardBody=json.dumps({"widgets": widgets})
        )
