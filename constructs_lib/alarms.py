"""Alarms of one endpoint, chosen by its kind, and one that stands for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_cloudwatch_actions as cw_actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from constructs_lib import alarm_watch
from constructs_lib.acknowledgment import acknowledge
from constructs_lib.alarm_thresholds import (
    ComponentThresholds,
    InstanceThresholds,
    ModelThresholds,
    QueueThresholds,
    RequestThresholds,
    ServerlessThresholds,
)
from constructs_lib.alarm_watch import Watch
from constructs_lib.measures import MINUTE, EndpointMeasures
from constructs_lib.monitored import Monitored
from hosting import limits

_ACTION_RULES = tuple(
    f"{pack}-CloudWatchAlarmAction"
    for pack in ("HIPAA.Security", "NIST.800.53.R4", "NIST.800.53.R5")
)
_FIVE_MINUTES = cdk.Duration.minutes(5)


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

    Raises:
        ValueError: thresholds are given that the endpoint's kind has no metrics for, or there are
            more alarms than a composite alarm can watch.
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
    ) -> None:
        _require_kind(
            monitored,
            {
                "requests": (requests, monitored.answers_requests),
                "instances": (instances, monitored.runs_on_instances),
                "queue": (queue, monitored.kind == "async"),
                "serverless": (serverless, monitored.kind == "serverless"),
                "models": (models, monitored.caches_models),
                "component": (component, monitored.is_component),
            },
        )
        super().__init__(scope, construct_id)
        self.monitored = monitored
        self._requests = RequestThresholds() if requests is None else requests
        default = 1 if monitored.kind == "async" else 20
        given = self._requests.min_requests
        self._min_requests = default if given is None else given
        self._instances = InstanceThresholds() if instances is None else instances
        self._queue = QueueThresholds() if queue is None else queue
        self._serverless = ServerlessThresholds() if serverless is None else serverless
        self._models = ModelThresholds() if models is None else models
        self._component = ComponentThresholds() if component is None else component
        self._topic = topic
        self.alarms: dict[str, cw.Alarm] = {}
        self.rollback: list[cw.Alarm] = []
        rules: list[cw.IAlarmRule] = []
        for variant in monitored.variant_names or (None,):
            suffix = "" if variant in {None, *monitored.variant_names[:1]} else str(variant)
            rules.extend(self._define(watch, suffix) for watch in self._watches(variant))
            rules.extend(self._burn_rules(variant, suffix))
        self.composite = self._composite(rules)

    def _watches(self, variant: str | None) -> Iterator[Watch]:
        monitored = self.monitored
        minutely, rare = self._measures(variant), self._measures(variant, _FIVE_MINUTES)
        if monitored.answers_requests:
            yield from alarm_watch.of_requests(
                minutely, self._requests, monitored.objective, self._min_requests
            )
        if monitored.runs_on_instances:
            yield from alarm_watch.of_instances(rare, self._instances)
        if monitored.caches_models:
            yield from alarm_watch.of_models(rare, self._models, self._min_requests)
        if monitored.kind == "async" and variant == monitored.variant_names[0]:
            yield from alarm_watch.of_queue(minutely, rare, self._queue)
        if monitored.kind == "serverless":
            yield from alarm_watch.of_serverless(
                minutely, rare, self._serverless, self._min_requests
            )
        if monitored.is_component:
            yield from alarm_watch.of_component(minutely, self._component)

    def _burn_rules(self, variant: str | None, suffix: str) -> Iterator[cw.IAlarmRule]:
        """For each pair of windows, a rule that holds while both spend the budget too fast."""
        availability = self.monitored.objective.availability
        if availability is None or not self.monitored.answers_requests:
            return
        for window in self._requests.burn_windows:
            share = window.error_share(availability)
            name = f"Budget{window.long_s // 60}Minutes"
            pair = []
            for watched, length_s in ((name, window.long_s), (f"{name}Now", window.short_s)):
                measures = self._measures(variant, cdk.Duration.seconds(length_s))
                watch = Watch(
                    name=watched,
                    metric=measures.error_share(min_requests=self._min_requests).metric,
                    threshold=round(share * 100, 6),
                    says=f"over {length_s // 60} min, the error budget of {availability:.6g} goes"
                    f" {window.rate:g} times too fast; counts together with the other window",
                    missing=cw.TreatMissingData.NOT_BREACHING,
                    # No share is above all of them.
                    reaches=share == 1,
                )
                pair.append(self._define(watch, suffix))
            yield cw.AlarmRule.all_of(*pair)

    def _measures(self, variant: str | None, period: cdk.Duration = MINUTE) -> EndpointMeasures:
        return EndpointMeasures(
            self.monitored, variant_name=variant, period=period, fixed_name=True
        )

    def _define(self, watch: Watch, suffix: str) -> cw.IAlarmRule:
        name = f"{watch.name}{suffix}"
        says = f"{self.monitored.title}: {watch.says}"
        alarm = cw.Alarm(
            self,
            name,
            alarm_description=says if not suffix else f"{says} (variant {suffix})",
            metric=watch.metric,
            threshold=watch.threshold,
            comparison_operator=cw.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
            if watch.reaches
            else cw.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=watch.of,
            datapoints_to_alarm=watch.at_least,
            treat_missing_data=watch.missing,
            evaluate_low_sample_count_percentile="ignore" if watch.ignores_few_samples else None,
        )
        for rule in _ACTION_RULES:
            acknowledge(
                alarm,
                rule,
                "the endpoint's composite alarm acts for it, so that one fault is one message"
                if self._topic is not None
                else "no topic was given: the alarm is for dashboards and rollouts to read",
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
        composite = cw.CompositeAlarm(
            self,
            "Resource",
            # CloudFormation wants a name, and CDK's own would be the same in every environment.
            composite_alarm_name=cdk.Names.unique_resource_name(
                self, max_length=limits.ALARM_NAME_MAX_LENGTH, separator="-"
            ),
            alarm_description=f"{self.monitored.title}: see which of its alarms set this off",
            alarm_rule=cw.AlarmRule.any_of(*found),
        )
        if self._topic is not None:
            action = cw_actions.SnsAction(self._topic)
            composite.add_alarm_action(action)
            composite.add_ok_action(action)
        return composite


def _in_alarm(alarm: cw.Alarm) -> cw.IAlarmRule:
    return cw.AlarmRule.from_alarm(alarm, cw.AlarmState.ALARM)


def _require_kind(
    monitored: Monitored, thresholds: Mapping[str, tuple[object | None, bool]]
) -> None:
    wrong = [name for name, (given, fits) in thresholds.items() if given is not None and not fits]
    if wrong:
        raise ValueError(
            f"{', '.join(wrong)} must be left out for {monitored.title}, which is no such endpoint"
            f" but: {monitored.description}"
        )
