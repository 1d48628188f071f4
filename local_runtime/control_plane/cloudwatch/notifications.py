"""The message that an alarm publishes to an SNS topic.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
Notify_Users_Alarm_Changes.html and captured messages of AWS.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from local_runtime.control_plane.cloudwatch.alarms import Alarm, Transition
from local_runtime.control_plane.local_client import LocalClients

TOPIC = ":sns:"


class TopicNotifier:
    """Publishes transitions; as an action of the evaluation."""

    def __init__(self, clients: LocalClients, account_id: str) -> None:
        self._clients = clients
        self._account_id = account_id

    def __call__(self, arn: str, transition: Transition) -> str | None:
        """Publish to a topic; why it could not be done, or None."""
        region = arn.split(":")[3]
        client = self._clients.client("sns", region)
        try:
            client.publish(
                TopicArn=arn,
                Subject=f'{transition.state}: "{transition.alarm.name}"'[:100],
                Message=json.dumps(message(transition, self._account_id)),
            )
        except client.exceptions.ClientError as refusal:
            return str(refusal)
        return None


def message(transition: Transition, account_id: str) -> dict[str, Any]:
    """A transition as AWS tells it."""
    alarm = transition.alarm
    request = alarm.request
    told: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmDescription": request.get("AlarmDescription"),
        "AWSAccountId": account_id,
        "AlarmConfigurationUpdatedTimestamp": _moment(alarm.updated_at_s),
        "NewStateValue": transition.state,
        "NewStateReason": transition.reason,
        "StateChangeTime": _moment(transition.time_s),
        "Region": alarm.region,
        "AlarmArn": alarm.arn,
        "OldStateValue": transition.before,
        "OKActions": alarm.actions("OK"),
        "AlarmActions": alarm.actions("ALARM"),
        "InsufficientDataActions": alarm.actions("INSUFFICIENT_DATA"),
    }
    if alarm.kind == "CompositeAlarm":
        return told | {"AlarmRule": request["AlarmRule"], **_children(alarm)}
    return told | {"Trigger": _trigger(alarm)}


def _children(alarm: Alarm) -> dict[str, Any]:
    """The alarm that brought a composite one into its state."""
    data = {} if alarm.reason_data is None else json.loads(alarm.reason_data)
    return {
        "TriggeringChildren": [
            {
                "Arn": child["arn"],
                "State": {
                    "Value": child["state"]["value"],
                    "Timestamp": child["state"]["timestamp"],
                },
            }
            for child in data.get("triggeringAlarms", [])
        ]
    }


def _trigger(alarm: Alarm) -> dict[str, Any]:
    request = alarm.request
    trigger: dict[str, Any] = {
        "EvaluationPeriods": request["EvaluationPeriods"],
        "DatapointsToAlarm": request.get("DatapointsToAlarm", request["EvaluationPeriods"]),
        "ComparisonOperator": request["ComparisonOperator"],
        "Threshold": request["Threshold"],
        "TreatMissingData": request.get("TreatMissingData", ""),
        "EvaluateLowSampleCountPercentile": request.get("EvaluateLowSampleCountPercentile", ""),
    }
    if "Metrics" in request:
        return trigger | {"Metrics": request["Metrics"]}
    statistic = request.get("Statistic")
    return trigger | {
        "MetricName": request["MetricName"],
        "Namespace": request["Namespace"],
        "StatisticType": "ExtendedStatistic" if statistic is None else "Statistic",
        "Statistic": request["ExtendedStatistic"] if statistic is None else statistic.upper(),
        "Unit": request.get("Unit"),
        "Dimensions": [
            {"value": each["Value"], "name": each["Name"]} for each in request.get("Dimensions", [])
        ],
        "Period": request["Period"],
    }


def _moment(time_s: float) -> str:
    moment = datetime.fromtimestamp(time_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"
