"""The scaling of AWS's example for an asynchronous endpoint, put together by boto3 alone.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
"""

from __future__ import annotations

from typing import Any, Final

VARIANT: Final = "AllTraffic"
_BACKLOG_PER_INSTANCE: Final = 5.0
_COOLDOWN_S: Final = 120


def scale_by_backlog(
    scaling: Any, cloudwatch: Any, endpoint: str, *, max_instances: int
) -> tuple[str, str]:
    """Let an endpoint have none to ``max_instances`` instances.

    Target tracking on the backlog of each; the first one comes by a step policy, since without an
    instance there is nothing to track.

    Args:
        scaling: a client of application-autoscaling.
        cloudwatch: a client of cloudwatch.
        endpoint: its name; the variant is ``VARIANT``.
        max_instances: of the variant.

    Returns:
        The resource id of the target, and the name of the alarm that wakes the endpoint.
    """
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    dimensions = [{"Name": "EndpointName", "Value": endpoint}]
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=max_instances)
    scaling.put_scaling_policy(
        **target,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": _BACKLOG_PER_INSTANCE,
            "ScaleInCooldown": _COOLDOWN_S,
            "ScaleOutCooldown": _COOLDOWN_S,
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": "AWS/SageMaker",
                "Dimensions": dimensions,
                "Statistic": "Average",
            },
        },
    )
    wake_up = scaling.put_scaling_policy(
        **target,
        PolicyName="wake-up",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": _COOLDOWN_S,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )
    alarm = f"{endpoint}-work-without-capacity"
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        MetricName="HasBacklogWithoutCapacity",
        Namespace="AWS/SageMaker",
        Dimensions=dimensions,
        Statistic="Average",
        Period=60,
        EvaluationPeriods=2,
        DatapointsToAlarm=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[wake_up["PolicyARN"]],
    )
    return target["ResourceId"], alarm
