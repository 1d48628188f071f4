"""Composite alarms: their rules, what moves them, what holds their actions back, and stacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.control_plane.cloudwatch import composite_rule
from local_runtime.control_plane.cloudwatch.alarms import AlarmBook
from local_runtime.control_plane.keeping import graph
from tests.unit.control_plane.conftest import REGION, RunningControlPlane, fresh

SOURCE = {
    "Namespace": "Mine",
    "MetricName": "m",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "ignore",
}


class Alarms:
    """CloudWatch with alarms that only the test moves, on a clock of the test's."""

    def __init__(self, served: RunningControlPlane) -> None:
        self.client = served.client("cloudwatch")
        self.evaluation = served.control_plane.cloudwatch.evaluation
        self.book = served.control_plane.cloudwatch.alarms
        self.sns, self.sqs = served.client("sns"), served.client("sqs")
        self.now_s = 1_700_000_000.0
        self.evaluation._now_s = self.book._now_s = lambda: self.now_s  # noqa: SLF001

    def source(self) -> str:
        name = fresh("alarm")
        self.client.put_metric_alarm(AlarmName=name, **SOURCE)
        self.set(name, "OK")
        return name

    def set(self, name: str, state: str) -> None:
        self.client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")

    def composite(self, rule: str, **settings: Any) -> str:
        name = fresh("composite")
        self.client.put_composite_alarm(AlarmName=name, AlarmRule=rule, **settings)
        self.evaluation.step()
        return name

    def described(self, name: str) -> dict[str, Any]:
        found = self.client.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])
        [alarm] = found["CompositeAlarms"]
        document: dict[str, Any] = alarm
        return document

    def state(self, name: str) -> str:
        return str(self.described(name)["StateValue"])

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        self.evaluation.step()
        self.evaluation.settle()

    def topic(self) -> tuple[str, Any]:
        """A topic, and what it was told since."""
        topic = self.sns.create_topic(Name=fresh("topic"))["TopicArn"]
        queue = self.sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        self.sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=arn["Attributes"]["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )

        def told() -> list[dict[str, Any]]:
            self.evaluation.settle()
            messages = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
            for message in messages.get("Messages", []):
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return [json.loads(message["Body"]) for message in messages.get("Messages", [])]

        return topic, told


@pytest.fixture
def alarms(served: RunningControlPlane) -> Iterator[Alarms]:
    evaluation, book = (
        served.control_plane.cloudwatch.evaluation,
        served.control_plane.cloudwatch.alarms,
    )
    clocks = evaluation._now_s, book._now_s  # noqa: SLF001
    yield Alarms(served)
    evaluation._now_s, book._now_s = clocks  # noqa: SLF001


def test_a_composite_alarm_moves_when_a_state_does_and_says_which(alarms: Alarms) -> None:
    one, two = alarms.source(), alarms.source()
    both = alarms.composite(f'ALARM("{one}") AND NOT OK({two})')
    created = alarms.described(both)
    alarms.set(one, "ALARM")
    between = alarms.state(both)
    alarms.pass_s(60)
    alarms.set(two, "INSUFFICIENT_DATA")
    moved = alarms.described(both)

    assert (created["StateValue"], between, moved["StateValue"]) == ("OK", "OK", "ALARM")
    assert created["StateReason"].endswith("was created and its alarm rule evaluates to OK")
    assert moved["StateReason"] == (
        f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:{two} transitioned to INSUFFICIENT_DATA"
        " at Tuesday 14 November, 2023 22:14:20 UTC"
    )
    [triggering] = json.loads(moved["StateReasonData"])["triggeringAlarms"]
    assert triggering["state"]["value"] == "INSUFFICIENT_DATA"
    history = alarms.client.describe_alarm_history(AlarmName=both, HistoryItemType="StateUpdate")
    assert [item["HistorySummary"] for item in history["AlarmHistoryItems"]] == [
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ]


def test_composites_of_composites_move_in_one_go(alarms: Alarms) -> None:
    one = alarms.source()
    inner = alarms.composite(f"ALARM({one})")
    outer = alarms.composite(f"ALARM({inner})")
    outermost = alarms.composite(f"OK({outer})")

    alarms.set(one, "ALARM")

    assert [alarms.state(n) for n in (inner, outer, outermost)] == ["ALARM", "ALARM", "OK"]


def test_a_composite_alarm_tells_its_topic_what_set_it_off(alarms: Alarms) -> None:
    one, (topic, told) = alarms.source(), alarms.topic()
    name = alarms.composite(f"ALARM({one})", AlarmActions=[topic])

    alarms.set(one, "ALARM")

    [message] = told()
    assert (message["AlarmName"], message["NewStateValue"]) == (name, "ALARM")
    assert message["AlarmRule"] == f"ALARM({one})"
    [child] = message["TriggeringChildren"]
    assert child["Arn"].endswith(f":alarm:{one}")


def test_alarms_in_a_circle_do_not_hang_the_evaluation(alarms: Alarms) -> None:
    one = alarms.source()
    first = alarms.composite(f"ALARM({one})")
    second = alarms.composite(f"ALARM({first})")
    alarms.client.put_composite_alarm(AlarmName=first, AlarmRule=f"NOT ALARM({second})")

    alarms.evaluation.step()

    assert alarms.state(first) in {"OK", "ALARM"}
    alarms.client.put_composite_alarm(AlarmName=first, AlarmRule="FALSE")


def test_children_and_parents_of_an_alarm_are_listed(alarms: Alarms) -> None:
    one, two = alarms.source(), alarms.source()
    inner = alarms.composite(f"ALARM({one})")
    outer = alarms.composite(f"ALARM({inner}) OR ALARM({two})")

    children = alarms.client.describe_alarms(ChildrenOfAlarmName=outer)
    parents = alarms.client.describe_alarms(ParentsOfAlarmName=one)

    assert [each["AlarmName"] for each in children["MetricAlarms"]] == [two]
    assert children["MetricAlarms"][0].keys() == {
        "AlarmArn",
        "AlarmName",
        "StateValue",
        "StateUpdatedTimestamp",
    }
    assert [each["AlarmName"] for each in children["CompositeAlarms"]] == [inner]
    assert [each["AlarmName"] for each in parents["CompositeAlarms"]] == [inner]
    with pytest.raises(ClientError, match="cannot be given with"):
        alarms.client.describe_alarms(ChildrenOfAlarmName=outer, StateValue="OK")


def test_without_types_only_metric_alarms_are_described(alarms: Alarms) -> None:
    one = alarms.source()
    name = alarms.composite(f"ALARM({one})")

    found = alarms.client.describe_alarms(AlarmNames=[one, name])

    assert [each["AlarmName"] for each in found["MetricAlarms"]] == [one]
    assert found["CompositeAlarms"] == []


def test_an_alarm_that_a_composite_one_needs_is_not_deleted_without_it(alarms: Alarms) -> None:
    one = alarms.source()
    name = alarms.composite(f"ALARM({one})")

    with pytest.raises(ClientError, match=f"Cannot delete {one} as there are composite alarm"):
        alarms.client.delete_alarms(AlarmNames=[one])

    alarms.client.delete_alarms(AlarmNames=[one, name])
    assert alarms.client.describe_alarms(AlarmNames=[one])["MetricAlarms"] == []


def test_a_name_belongs_to_one_kind_of_alarm(alarms: Alarms) -> None:
    one = alarms.source()

    with pytest.raises(ClientError, match="is the name of a MetricAlarm already"):
        alarms.client.put_composite_alarm(AlarmName=one, AlarmRule="TRUE")


def suppressed(alarms: Alarms, topic: str, *, wait: int, extension: int) -> tuple[str, str, str]:
    """A composite alarm on the first of two others, suppressed by the second."""
    one, window = alarms.source(), alarms.source()
    name = alarms.composite(
        f"ALARM({one})",
        AlarmActions=[topic],
        OKActions=[topic],
        ActionsSuppressor=f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:{window}",
        ActionsSuppressorWaitPeriod=wait,
        ActionsSuppressorExtensionPeriod=extension,
    )
    alarms.pass_s(wait + 1)
    return name, one, window


def test_actions_wait_for_the_suppressor_and_are_carried_out_when_it_does_not_come(
    alarms: Alarms,
) -> None:
    topic, told = alarms.topic()
    name, one, _ = suppressed(alarms, topic, wait=120, extension=180)
    told()

    alarms.set(one, "ALARM")
    held = alarms.described(name)
    alarms.pass_s(119)
    before = told()
    alarms.pass_s(2)

    assert (held["StateValue"], held["ActionsSuppressedBy"]) == ("ALARM", "WaitPeriod")
    assert before == []
    assert [message["NewStateValue"] for message in told()] == ["ALARM"]
    assert "ActionsSuppressedBy" not in alarms.described(name)


def test_a_suppressor_in_alarm_holds_actions_until_its_extension_is_over(alarms: Alarms) -> None:
    topic, told = alarms.topic()
    name, one, window = suppressed(alarms, topic, wait=60, extension=180)
    told()

    alarms.set(window, "ALARM")
    alarms.set(one, "ALARM")
    alarms.pass_s(3600)
    by = [alarms.described(name)["ActionsSuppressedBy"]]
    alarms.set(window, "OK")
    by.append(alarms.described(name)["ActionsSuppressedBy"])
    alarms.pass_s(179)
    silent = told()
    alarms.pass_s(2)

    assert (by, silent) == (["Alarm", "ExtensionPeriod"], [])
    assert [message["NewStateValue"] for message in told()] == ["ALARM"]


def test_an_alarm_that_recovers_while_its_actions_are_held_says_nothing(alarms: Alarms) -> None:
    topic, told = alarms.topic()
    _, one, window = suppressed(alarms, topic, wait=60, extension=60)
    told()

    alarms.set(window, "ALARM")
    alarms.set(one, "ALARM")
    alarms.set(one, "OK")
    alarms.set(window, "OK")
    alarms.pass_s(61)

    assert told() == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ActionsSuppressor": "a"}, "ActionsSuppressor needs ActionsSuppressorWaitPeriod"),
        ({"ActionsSuppressorWaitPeriod": 0}, "needs ActionsSuppressor"),
        (
            {
                "ActionsSuppressor": "none-such",
                "ActionsSuppressorWaitPeriod": 0,
                "ActionsSuppressorExtensionPeriod": 0,
            },
            "ActionsSuppressor none-such does not exist",
        ),
        ({"AlarmRule": "ALARM(none-such)"}, r"as alarms \[none-such\] in the alarm rule do not"),
        ({"AlarmRule": " TRUE"}, "must not contain leading or trailing whitespace"),
    ],
)
def test_a_composite_alarm_that_cannot_work_is_refused(
    alarms: Alarms, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        alarms.client.put_composite_alarm(
            **{"AlarmName": fresh("composite"), "AlarmRule": "TRUE", **settings}
        )
    assert refused.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("AT_LEAST(2, ALARM, (a, b, c))", False),
        ("AT_LEAST(2, NOT OK, (a, b, c))", True),
        ("AT_LEAST(34%, ALARM, (a, b, c))", False),
        ("AT_LEAST(33%, ALARM, (a, b, c))", True),
        ('AT_LEAST(1, OK, ("b", arn:aws:cloudwatch:x:1:alarm:a)) AND ALARM(a)', True),
        ("NOT AT_LEAST(1, INSUFFICIENT_DATA, (a, b))", True),
    ],
)
def test_at_least_counts_alarms_in_a_state(rule: str, *, holds: bool) -> None:
    states = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA"}

    assert composite_rule.CompositeRule(rule).holds(states.get) is holds


@pytest.mark.parametrize(
    "rule",
    [
        "AT_LEAST(0, ALARM, (a))",
        "AT_LEAST(2, ALARM, (a))",
        "AT_LEAST(101%, ALARM, (a))",
        "AT_LEAST(ALARM, (a))",
        "AT_LEAST(1, ALARM, ())",
        "ALARM(a,b)",
        " OR ".join(f"ALARM(a{n})" for n in range(101)),
        " OR ".join(["TRUE"] * 501),
    ],
)
def test_a_rule_beyond_the_limits_is_refused(rule: str) -> None:
    with pytest.raises(composite_rule.RuleError):
        composite_rule.CompositeRule(rule)


_RULES = st.recursive(
    st.sampled_from(["TRUE", "FALSE", "ALARM(a)", "OK(b)", "INSUFFICIENT_DATA(c)"]),
    lambda inner: (
        st.builds("({} AND {})".format, inner, inner)
        | st.builds("({} OR {})".format, inner, inner)
        | st.builds("NOT {}".format, inner)
    ),
    max_leaves=10,
)


@given(rule=_RULES, states=st.tuples(*[st.sampled_from(["ALARM", "OK", "INSUFFICIENT_DATA"])] * 3))
def test_a_rule_holds_as_pythons_own_logic_says(rule: str, states: tuple[str, str, str]) -> None:
    held = dict(zip("abc", states, strict=True))
    names = {
        state: lambda name, state=state: held[name] == state for state in composite_rule.STATES
    }
    python = rule.replace("AND", "and").replace("OR", "or").replace("NOT", "not")
    python = python.replace("TRUE", "True").replace("FALSE", "False")
    expected = eval(python, {}, {**names, **{n: n for n in "abc"}})  # noqa: S307 - our own text

    assert composite_rule.CompositeRule(rule).holds(held.get) is expected


def test_composite_alarms_outlive_the_runtime(alarms: Alarms) -> None:
    one, window = alarms.source(), alarms.source()
    name = alarms.composite(
        f"ALARM({one})",
        ActionsSuppressor=window,
        ActionsSuppressorWaitPeriod=60,
        ActionsSuppressorExtensionPeriod=60,
    )
    written = alarms.book.give(lambda record: graph.dump(record, shapes={}))
    later = AlarmBook("123456789012")
    later.take(graph.load(written))

    found = later.find(REGION, name)

    assert found is not None
    assert found.composite is not None
    assert found.composite.holds({one: "ALARM"}.get)
    assert found.suppression == alarms.book.find(REGION, name).suppression  # type: ignore[union-attr]


def test_a_stack_makes_changes_and_removes_a_composite_alarm(
    served: RunningControlPlane, alarms: Alarms
) -> None:
    def template(state: str) -> dict[str, Any]:
        return {
            "Resources": {
                "High": {"Type": "AWS::CloudWatch::Alarm", "Properties": SOURCE},
                "Any": {
                    "Type": "AWS::CloudWatch::CompositeAlarm",
                    "Properties": {
                        "AlarmRule": {
                            "Fn::Join": ["", [state, '("', {"Fn::GetAtt": ["High", "Arn"]}, '")']]
                        },
                        "ActionsSuppressor": {"Ref": "High"},
                        "ActionsSuppressorWaitPeriod": 60,
                        "ActionsSuppressorExtensionPeriod": "60",
                    },
                },
            },
            "Outputs": {"Any": {"Value": {"Ref": "Any"}}, "High": {"Value": {"Ref": "High"}}},
        }

    stack = served.create_stack(template("ALARM"))
    names = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    alarms.evaluation.step()
    before = alarms.described(names["Any"])
    served.update_stack(stack["StackName"], template("INSUFFICIENT_DATA"))
    alarms.evaluation.step()
    after = alarms.described(names["Any"])
    deleted = served.delete_stack(stack["StackName"])

    assert (before["StateValue"], after["StateValue"]) == ("OK", "ALARM")
    assert before["AlarmArn"] == after["AlarmArn"]
    assert after["ActionsSuppressor"] == names["High"]
    assert deleted["StackStatus"] == "DELETE_COMPLETE"
    assert alarms.book.find(REGION, names["Any"]) is None
