"""Alarms of one endpoint, chosen by its kind, and one that stands for all of them."""

from __future__ import annotations

from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_cloudwatch_actions as cw_actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from constructs_lib.acknowledgment import acknowledge
from constructs_lib.alarm_plan import AlarmPlan
from constructs_lib.alarm_thresholds import (
    ComponentThresholds,
    InstanceThresholds,
    ModelThresholds,
    QueueThresholds,
    RequestThresholds,
    ServerlessThresholds,
)
from constructs_lib.alarm_watch import Watch
from constructs_lib.instance_endpoint import InstanceEndpoint
from constructs_lib.monitored import Monitored
from hosting import limits

_ACTION_RULES = tuple(
    f"{pack}-CloudWatchAlarmAction"
    for pack in ("HIPAA.Security", "NIST.800.53.R4", "NIST.800.53.R5")
)

# What CloudFormation puts around an alarm's logical id, of the length that it has where that is
# not known before deployment.
_ARN = "arn:aws:cloudwatch:ap-northeast-1:123456789012:alarm:"
_RANDOM = "0123456789AB"


class EndpointAlarms(Construct):
    """What should wake somebody about an endpoint, with one composite alarm that does.

    ::

        endpoint = RealTimeEndpoint(
            stack,
            "Screening",
            container=Container(image=ContainerImage.from_framework("xgboost")),
            instances=Instances(instance_type="ml.m5.large", count=2),
            endpoint_name="screening",
        )
        screening = Monitored(endpoint=endpoint, title="Screening")
        alarms = EndpointAlarms(
            stack,
            "Alarms",
            monitored=screening,
            topic=AlarmTopic(stack, "Topic").topic,
            requests=RequestThresholds(error_percent=1),
        )
        endpoint.roll_out(Rollout.canary(percent=50), alarms=alarms.rollback)

    Only the composite alarm notifies, so that one fault is one message; its reason names the alarms
    that set it off. Thresholds for what the endpoint's kind does not have are refused.

    Args:
        monitored: the endpoint and its objective; a latency objective has an alarm of its own.
        topic: hears when the composite alarm goes off, and when all is well again; ``AlarmTopic``
            is one that CloudWatch can reach. Nobody is told without it.
        requests: of endpoints and components that answer requests.
        instances: of endpoints on instances.
        queue: of asynchronous endpoints.
        serverless: of serverless endpoints.
        models: of multi-model containers.
        component: of inference components.
        updates: whether the new fleet of an update is watched by itself, so that the old one's
            successes do not hide its faults. For ``rollback`` alone: nobody is told.

    Raises:
        ValueError: thresholds are given that the endpoint's kind has no metrics for, or there are
            more alarms than a composite alarm can watch, or its rule can hold.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        monitored: Monitored,
        topic: sns.ITopic | None = None,
        requests: RequestThresholds | None = None,
        instances: InstanceThresholds | None = None,
        queue: QueueThresholds | None = None,
        serverless: ServerlessThresholds | None = None,
        models: ModelThresholds | None = None,
        component: ComponentThresholds | None = None,
        updates: bool = False,
    ) -> None:
        if updates and not isinstance(monitored.endpoint, InstanceEndpoint):
            raise ValueError(
                f"updates must be left out for {monitored.title}: no fleet of an update of its kind"
                " is measured by itself"
            )
        plan = AlarmPlan(
            monitored=monitored,
            requests=requests,
            instances=instances,
            queue=queue,
            serverless=serverless,
            models=models,
            component=component,
        )
        super().__init__(scope, construct_id)
        self.monitored = monitored
        self._topic = topic
        self.alarms: dict[str, cw.Alarm] = {}
        self.rollback: list[cw.Alarm] = []
        rules: list[cw.IAlarmRule] = []
        for variant in plan.variants:
            suffix = plan.suffix(variant)
            rules.extend(self._define(watch, suffix) for watch in plan.watches(variant))
            rules.extend(
                cw.AlarmRule.all_of(*(self._define(watch, suffix) for watch in pair))
                for pair in plan.budget_pairs(variant)
            )
        self.composite = self._composite(rules)
        if updates:
            for variant in plan.variants:
                for watch in plan.update_watches(variant):
                    self._define(watch, plan.suffix(variant), silent=True)

    def _define(self, watch: Watch, suffix: str, *, silent: bool = False) -> cw.IAlarmRule:
        name = f"{watch.name}{suffix}"
        says = f"{self.monitored.title}: {watch.says}"
        alarm = cw.Alarm(
            self,
            name,
            alarm_description=says if not suffix else f"{says} (variant {suffix})",
            metric=watch.metric,
            threshold=watch.threshold,
            comparison_operator=watch.comparison,
            evaluation_periods=watch.of,
            datapoints_to_alarm=watch.at_least,
            treat_missing_data=watch.missing,
        )
        for rule in _ACTION_RULES:
            acknowledge(
                alarm,
                rule,
                "the endpoint's composite alarm acts for it, so that one fault is one message"
                if self._topic is not None and not silent
                else "nobody is told of it: the alarm is for dashboards and rollouts to read",
            )
        self.alarms[name] = alarm
        if watch.takes_back:
            self.rollback.append(alarm)
        return _in_alarm(alarm)

    def _composite(self, rules: Iterable[cw.IAlarmRule]) -> cw.CompositeAlarm:
        found = list(rules)
        if not 1 <= len(self.alarms) <= limits.COMPOSITE_CHILDREN:
            raise ValueError(
                f"thresholds must leave 1 to {limits.COMPOSITE_CHILDREN} alarms,"
                f" got {len(self.alarms)}"
            )
        rule = cw.AlarmRule.any_of(*found)
        length = self._rendered_length(rule)
        if length > limits.COMPOSITE_RULE_MAX_LENGTH:
            raise ValueError(
                f"thresholds must leave a composite rule of at most"
                f" {limits.COMPOSITE_RULE_MAX_LENGTH} characters, got {length} for the ARNs of"
                f" {len(self.alarms)} alarms"
            )
        composite = cw.CompositeAlarm(
            self,
            "Resource",
            # CloudFormation wants a name, and CDK's own would be the same in every environment.
            composite_alarm_name=cdk.Names.unique_resource_name(
                self, max_length=limits.ALARM_NAME_MAX_LENGTH, separator="-"
            ),
            alarm_description=f"{self.monitored.title}: see which of its alarms set this off",
            alarm_rule=rule,
        )
        if self._topic is not None:
            action = cw_actions.SnsAction(self._topic)
            composite.add_alarm_action(action)
            composite.add_ok_action(action)
        return composite

    def _rendered_length(self, rule: cw.IAlarmRule) -> int:
        """The length of a rule once CloudFormation has made up the names in its ARNs."""
        stack = cdk.Stack.of(self)
        arns = {
            alarm.alarm_arn: len(f"{_ARN}{stack.stack_name}-{_logical_id(stack, alarm)}-{_RANDOM}")
            for alarm in self.alarms.values()
        }
        text = rule.render_alarm_rule()
        return len(text) + sum(length - len(token) for token, length in arns.items())


def _logical_id(stack: cdk.Stack, alarm: cw.Alarm) -> str:
    resource = alarm.node.default_child
    assert isinstance(resource, cw.CfnAlarm)
    return str(stack.resolve(resource.logical_id))


def _in_alarm(alarm: cw.Alarm) -> cw.IAlarmRule:
    return cw.AlarmRule.from_alarm(alarm, cw.AlarmState.ALARM)
