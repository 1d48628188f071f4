"""When the alarms of each kind go off, and who hears of it."""

from __future__ import annotations

import itertools
import re
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Match, Template

from constructs_lib import (
    AlarmTopic,
    ComponentThresholds,
    EndpointAlarms,
    ImportedEndpoint,
    InstanceThresholds,
    ModelThresholds,
    Monitored,
    Objective,
    QueueThresholds,
    RequestThresholds,
    ServerlessThresholds,
)
from hosting.alarms import AlarmRule, evaluate
from hosting.objectives import BurnWindow
from local_runtime.control_plane.cloudwatch import expressions
from local_runtime.control_plane.cloudwatch.series_math import Series
from tests.unit.constructs.monitoring import (
    CASES,
    OBJECTIVE,
    Drawn,
    alarms,
    multi_model,
    queue,
    real_time,
    serverless,
    two_variants,
)

QUIET = Objective(availability=None)


def _watch(stack: cdk.Stack, endpoint: Any, **arguments: Any) -> EndpointAlarms:
    objective = arguments.pop("objective", QUIET)
    monitored = Monitored(endpoint=endpoint, title="Screening", objective=objective)
    return EndpointAlarms(stack, "Alarms", monitored=monitored, **arguments)


def _named(stack: cdk.Stack, name: str) -> tuple[dict[str, Any], Drawn]:
    (found,) = [
        alarm
        for logical_id, alarm in alarms(stack).items()
        if logical_id.removeprefix("Alarms")[:-8] == name
    ]
    return found


def _names(stack: cdk.Stack) -> set[str]:
    return {logical_id.removeprefix("Alarms")[:-8] for logical_id in alarms(stack)}


def _value(drawn: Drawn, **values: float | None) -> float | None:
    """What an alarm compares in a minute in which metrics, by the start of their id, are these."""
    series = {}
    for name in drawn.metrics:
        (value,) = [value for start, value in values.items() if name.startswith(start)]
        series[name] = Series({} if value is None else {0: value}, name=name, period_s=60.0)
    context = expressions.Context(
        series=series, metric_ids=list(series), first=0, last=1, period_s=60.0, moment_s=float
    )
    result = expressions.evaluate(drawn.expression, context)
    assert isinstance(result, Series)
    return result.points.get(0)


BASIC = {"Errors", "Memory", "Disk"}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("real-time", BASIC),
        ("two variants", {*BASIC, *(f"{name}Next" for name in BASIC)}),
        ("pipeline with models", {*BASIC, "CacheThrash", "LoadingWait"}),
        ("multi-model", {*BASIC, "CacheThrash", "LoadingWait"}),
        (
            "async",
            {
                *BASIC,
                "OldestRequest",
                "StuckAtZero",
                "ExpiredRequests",
                "NotificationFailures",
                "TransferFailures",
            },
        ),
        ("serverless", {"Errors", "ColdStarts", "Concurrency", "Memory"}),
        ("component endpoint", {"Memory", "Disk"}),
        ("component", {"Errors", "Refused"}),
    ],
)
def test_each_kind_is_watched_for_what_can_go_wrong_with_it(case: str, expected: set[str]) -> None:
    stack = cdk.Stack()
    EndpointAlarms(
        stack,
        "Alarms",
        monitored=Monitored(endpoint=CASES[case].make(stack), title="Sample", objective=QUIET),
    )

    scaling = {name for name in _names(stack) if "WorkWithoutCapacity" in name}
    assert _names(stack) - scaling == expected


def test_error_alarm_compares_a_share_and_not_a_count(stack: cdk.Stack) -> None:
    _watch(stack, real_time(stack))

    alarm, drawn = _named(stack, "Errors")
    assert _value(drawn, invocations_=200, invocation5=10) == 5
    assert alarm["Threshold"] == 5
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


@pytest.mark.parametrize(
    ("invocations", "errors", "share"),
    [(0, 0, 0), (0, 3, 0), (19, 19, 0), (20, 20, 100), (20, None, 0), (None, None, None)],
)
def test_error_share_of_few_or_no_requests_is_zero(
    stack: cdk.Stack, invocations: float | None, errors: float | None, share: float | None
) -> None:
    _watch(stack, real_time(stack))

    _, drawn = _named(stack, "Errors")
    assert _value(drawn, invocations_=invocations, invocation5=errors) == share


def test_zero_minimum_counts_every_request(stack: cdk.Stack) -> None:
    _watch(stack, real_time(stack), requests=RequestThresholds(min_requests=0))

    _, drawn = _named(stack, "Errors")
    assert _value(drawn, invocations_=1, invocation5=1) == 100


@pytest.mark.parametrize(
    ("processed", "failed", "share"),
    # Whether failed requests count as processed is not documented: both readings stay sane.
    [(10, 1, 10), (0, 4, 100), (None, 2, 100), (3, None, 0), (None, None, 0)],
)
def test_queue_without_datapoints_has_no_errors(
    stack: cdk.Stack, processed: float | None, failed: float | None, share: float
) -> None:
    _watch(stack, queue(stack))

    _, drawn = _named(stack, "Errors")
    assert _value(drawn, invocationsProcessed=processed, invocationFailures=failed) == share


@pytest.mark.parametrize(("requests", "compared"), [(20, 300), (19, 0), (None, None)])
def test_latency_alarm_compares_milliseconds_of_enough_requests(
    stack: cdk.Stack, requests: float | None, compared: float | None
) -> None:
    _watch(stack, real_time(stack), objective=OBJECTIVE)

    alarm, drawn = _named(stack, "Latency")
    assert _value(drawn, modelLatency_p99_9=300_000, invocations_=requests) == compared
    assert alarm["Threshold"] == 250
    assert "p99.9 of the time the model takes is above 250 ms" in alarm["AlarmDescription"]


def test_without_a_latency_objective_there_is_no_latency_alarm(stack: cdk.Stack) -> None:
    _watch(stack, real_time(stack))

    assert "Latency" not in _names(stack)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("Errors", "notBreaching"),
        ("OldestRequest", "notBreaching"),
        ("ExpiredRequests", "notBreaching"),
        ("NotificationFailures", "notBreaching"),
        ("TransferFailures", "notBreaching"),
        ("StuckAtZero", "missing"),
        ("Memory", "missing"),
        ("Disk", "missing"),
    ],
)
def test_silence_of_requests_is_fine_and_silence_of_instances_is_unknown(
    stack: cdk.Stack, name: str, missing: str
) -> None:
    _watch(stack, queue(stack))

    alarm, _ = _named(stack, name)
    assert alarm["TreatMissingData"] == missing


def test_queue_is_stuck_after_as_many_minutes_as_it_takes_to_start_an_instance(
    stack: cdk.Stack,
) -> None:
    _watch(stack, queue(stack), queue=QueueThresholds(stuck_minutes=3))

    alarm, _ = _named(stack, "StuckAtZero")
    rule = AlarmRule(
        comparison="GreaterThanOrEqualToThreshold",
        threshold=alarm["Threshold"],
        evaluation_periods=alarm["EvaluationPeriods"],
        datapoints_to_alarm=alarm["DatapointsToAlarm"],
        missing_data="missing",
    )
    assert alarm["ComparisonOperator"] == rule.comparison
    assert evaluate([1, 1, 1, 0], rule, "OK").state == "ALARM"
    assert evaluate([1, 1, 0, 1], rule, "OK").state == "OK"


def test_cold_starts_are_a_share_of_the_requests(stack: cdk.Stack) -> None:
    _watch(stack, serverless(stack))

    alarm, drawn = _named(stack, "ColdStarts")
    assert _value(drawn, modelSetupTime=5, invocations_=50) == 10
    assert _value(drawn, modelSetupTime=None, invocations_=50) == 0
    assert alarm["Threshold"] == 10


def test_throttling_is_told_by_the_concurrency_in_use(stack: cdk.Stack) -> None:
    _watch(stack, serverless(stack))

    alarm, drawn = _named(stack, "Concurrency")
    assert _value(drawn, serverlessConcurrent=1.0) == alarm["Threshold"]
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert "which no metric counts" in alarm["AlarmDescription"]


@pytest.mark.parametrize(
    ("hits", "unloaded", "missed"), [(0.4, 3, 60), (0.4, None, 0), (0.4, 0, 0), (1.0, 3, 0)]
)
def test_loading_models_is_thrashing_only_while_others_are_unloaded(
    stack: cdk.Stack, hits: float, unloaded: float | None, missed: float
) -> None:
    _watch(stack, multi_model(stack))

    _, drawn = _named(stack, "CacheThrash")
    found = _value(drawn, modelCacheHit=hits, modelUnloadingTime=unloaded, invocations_=100)
    assert found == pytest.approx(missed)


ZEROS: dict[str, tuple[str, Any]] = {
    "requests": ("real-time", RequestThresholds(error_percent=0, min_requests=0)),
    "instances": ("real-time", InstanceThresholds(memory_percent=0, disk_percent=0)),
    "queue": (
        "async",
        QueueThresholds(
            oldest_request=cdk.Duration.seconds(0),
            expired_requests=0,
            notification_failures=0,
            transfer_failures=0,
        ),
    ),
    "serverless": (
        "serverless",
        ServerlessThresholds(cold_start_percent=0, concurrency_percent=0, memory_percent=0),
    ),
    "models": (
        "multi-model",
        ModelThresholds(missed_percent=0, loading_wait=cdk.Duration.seconds(0)),
    ),
    "component": ("component", ComponentThresholds(refused_requests=0)),
}


@pytest.mark.parametrize("argument", ZEROS)
def test_zero_is_a_threshold(argument: str) -> None:
    case, thresholds = ZEROS[argument]
    stack = cdk.Stack()
    with_defaults = cdk.Stack()
    _watch(with_defaults, CASES[case].make(with_defaults))

    _watch(stack, CASES[case].make(stack), **{argument: thresholds})

    assert _names(stack) == _names(with_defaults)
    assert 0 in {alarm["Threshold"] for alarm, _ in alarms(stack).values()}


@pytest.mark.parametrize(
    ("argument", "case", "thresholds", "gone"),
    [
        ("requests", "real-time", RequestThresholds(error_percent=None), {"Errors"}),
        ("instances", "real-time", InstanceThresholds(disk_percent=None), {"Disk"}),
        (
            "queue",
            "async",
            QueueThresholds(oldest_request=None, stuck_minutes=None, transfer_failures=None),
            {"OldestRequest", "StuckAtZero", "TransferFailures"},
        ),
        ("serverless", "serverless", ServerlessThresholds(memory_percent=None), {"Memory"}),
        ("models", "multi-model", ModelThresholds(loading_wait=None), {"LoadingWait"}),
    ],
)
def test_none_leaves_an_alarm_out(
    argument: str, case: str, thresholds: Any, gone: set[str]
) -> None:
    stack = cdk.Stack()
    with_defaults = cdk.Stack()
    _watch(with_defaults, CASES[case].make(with_defaults))

    _watch(stack, CASES[case].make(stack), **{argument: thresholds})

    assert _names(with_defaults) - _names(stack) == gone


@pytest.mark.parametrize(
    ("argument", "case"),
    [
        ("queue", "real-time"),
        ("serverless", "real-time"),
        ("models", "real-time"),
        ("component", "real-time"),
        ("instances", "serverless"),
        ("requests", "component endpoint"),
    ],
)
def test_thresholds_of_another_kind_are_refused(argument: str, case: str) -> None:
    stack = cdk.Stack()
    endpoint = CASES[case].make(stack)

    with pytest.raises(ValueError, match=f"{argument} must be left out for Screening"):
        _watch(stack, endpoint, **{argument: ZEROS[argument][1]})
    _watch(stack, endpoint)  # the id is free for a second try


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RequestThresholds(error_percent=-1), "error_percent must be between 0 and 100"),
        (lambda: RequestThresholds(min_requests=-1), "min_requests must be 0 or more, got -1"),
        (lambda: RequestThresholds(min_requests=2.5), "min_requests must be a whole number"),  # type: ignore[arg-type]
        (lambda: QueueThresholds(stuck_minutes=1.5), "stuck_minutes must be a whole number"),  # type: ignore[arg-type]
        (lambda: QueueThresholds(stuck_minutes=0), "stuck_minutes must be between 1 and 1440"),
        (lambda: ServerlessThresholds(memory_percent=101), "memory_percent must be between 0"),
        (
            lambda: RequestThresholds(
                burn_windows=[BurnWindow(long_s=600, short_s=60, rate=1)] * 2
            ),
            "burn_windows must differ",
        ),
    ],
)
def test_thresholds_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_times_may_be_fractions_of_a_second(stack: cdk.Stack) -> None:
    _watch(stack, queue(stack), queue=QueueThresholds(oldest_request=cdk.Duration.millis(1500)))

    alarm, _ = next(each for name, each in alarms(stack).items() if "OldestRequest" in name)
    assert alarm["Threshold"] == 1.5


def test_rule_that_the_composite_alarm_could_not_hold_is_refused() -> None:
    stack = cdk.Stack(stack_name="a-stack-whose-name-is-in-each-of-the-rules-alarms")
    endpoint = ImportedEndpoint(
        stack,
        "Endpoint",
        endpoint_name="screening",
        kind="multi-model",
        variant_names=[f"a-variant-with-a-long-name-{number}" for number in range(9)],
    )

    with pytest.raises(ValueError, match="composite rule of at most 10240 characters, got 1"):
        _watch(stack, endpoint, objective=Objective())


def test_every_alarm_switched_off_is_refused(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match="thresholds must leave 1 to 100 alarms, got 0"):
        _watch(
            stack,
            real_time(stack),
            requests=RequestThresholds(error_percent=None),
            instances=InstanceThresholds(memory_percent=None, disk_percent=None),
        )


# -- the composite alarm


def _rule(stack: cdk.Stack, *, in_alarm: set[str]) -> bool:
    """Whether the composite alarm goes off while these alarms are in alarm."""
    (composite,) = (
        Template.from_stack(stack).find_resources("AWS::CloudWatch::CompositeAlarm").values()
    )
    text = "".join(
        part if isinstance(part, str) else part["Fn::GetAtt"][0]
        for part in composite["Properties"]["AlarmRule"]["Fn::Join"][1]
    )
    names = [name.removeprefix("Alarms")[:-8] for name in re.findall(r'ALARM\("(\w+)"\)', text)]
    assert {*names} == _names(stack), "the rule leaves an alarm out"
    holds = iter(str(name in in_alarm) for name in names)
    truth = re.sub(r"ALARM\([^)]*\)", lambda _: next(holds), text)
    return bool(eval(truth.replace(" OR ", " or ").replace(" AND ", " and ")))  # noqa: S307 - ours


def test_any_alarm_sets_off_the_composite_alarm(stack: cdk.Stack) -> None:
    endpoint = CASES["multi-model"].make(stack)
    watched = _watch(stack, endpoint)

    assert not _rule(stack, in_alarm=set())
    for name in watched.alarms:
        assert _rule(stack, in_alarm={name}), name


def test_error_budget_counts_only_when_both_windows_of_a_pair_agree(stack: cdk.Stack) -> None:
    _watch(stack, real_time(stack), objective=Objective(availability=0.99))
    windows = ["Budget60Minutes", "Budget60MinutesNow", "Budget360Minutes", "Budget360MinutesNow"]

    pairs = {pair for pair in itertools.combinations(windows, 2) if _rule(stack, in_alarm={*pair})}
    assert pairs == {tuple(windows[:2]), tuple(windows[2:])}


def test_error_budget_thresholds_are_the_budget_times_the_rate(stack: cdk.Stack) -> None:
    _watch(stack, real_time(stack), objective=Objective(availability=0.99))

    found = {
        name: (_named(stack, name)[0]["Threshold"], _period_s(_named(stack, name)[0]))
        for name in ("Budget60Minutes", "Budget60MinutesNow", "Budget360MinutesNow")
    }
    assert found == {
        "Budget60Minutes": (14.4, 3600),
        "Budget60MinutesNow": (14.4, 300),
        "Budget360MinutesNow": (6, 1800),
    }


def _period_s(alarm: dict[str, Any]) -> int:
    (period_s,) = {
        query["MetricStat"]["Period"] for query in alarm["Metrics"] if "MetricStat" in query
    }
    return int(period_s)


def test_budget_that_is_gone_before_all_requests_fail_still_has_an_alarm(stack: cdk.Stack) -> None:
    _watch(stack, real_time(stack), objective=Objective(availability=0.9))

    alarm, _ = _named(stack, "Budget60Minutes")
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (
        100,
        "GreaterThanOrEqualToThreshold",
    )


def test_only_the_composite_alarm_notifies_and_tells_when_all_is_well(stack: cdk.Stack) -> None:
    topic = AlarmTopic(stack, "Topic").topic
    _watch(stack, real_time(stack), topic=topic)

    reference = {"Ref": stack.get_logical_id(topic.node.default_child)}  # type: ignore[arg-type]
    Template.from_stack(stack).has_resource_properties(
        "AWS::CloudWatch::CompositeAlarm",
        {"AlarmActions": [reference], "OKActions": [reference]},
    )
    assert not any("AlarmActions" in alarm for alarm, _ in alarms(stack).values())


def test_composite_alarms_of_two_stacks_differ_in_name() -> None:
    names = set()
    for stage in ("one", "two"):
        stack = cdk.Stack(cdk.App(), "Stack", stack_name=f"screening-{stage}")
        _watch(stack, real_time(stack))
        (composite,) = (
            Template.from_stack(stack).find_resources("AWS::CloudWatch::CompositeAlarm").values()
        )
        names.add(composite["Properties"]["AlarmName"])

    assert len(names) == 2


def test_alarms_of_a_named_endpoint_can_be_defined_before_it(stack: cdk.Stack) -> None:
    _watch(stack, real_time(stack, endpoint_name="screening"))

    for _, drawn in alarms(stack).values():
        assert {each.dimensions["EndpointName"] for each in drawn.metrics.values()} == {"screening"}


def test_rollback_alarms_are_those_of_requests(stack: cdk.Stack) -> None:
    watched = _watch(stack, two_variants(stack), objective=OBJECTIVE)

    assert [alarm.node.id for alarm in watched.rollback] == [
        "Errors",
        "Latency",
        "ErrorsNext",
        "LatencyNext",
    ]


# -- the topic


def test_cloudwatch_may_publish_to_the_topic_for_this_account_alone(stack: cdk.Stack) -> None:
    AlarmTopic(stack, "Topic")

    Template.from_stack(stack).has_resource_properties(
        "AWS::SNS::TopicPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {
                                "Effect": "Allow",
                                "Action": "sns:Publish",
                                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                                "Condition": {
                                    "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
                                },
                            }
                        )
                    ]
                )
            }
        },
    )


def test_cloudwatch_may_use_the_key_of_an_encrypted_topic(stack: cdk.Stack) -> None:
    AlarmTopic(stack, "Topic", encryption_key=kms.Key(stack, "Key"))

    Template.from_stack(stack).has_resource_properties(
        "AWS::KMS::Key",
        {
            "KeyPolicy": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {
                                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                            }
                        )
                    ]
                )
            }
        },
    )


def test_topic_without_a_key_is_not_given_the_key_that_cloudwatch_cannot_use(
    stack: cdk.Stack,
) -> None:
    AlarmTopic(stack, "Topic")

    Template.from_stack(stack).has_resource_properties(
        "AWS::SNS::Topic", {"KmsMasterKeyId": Match.absent()}
    )
