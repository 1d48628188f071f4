"""The examples of the guide on monitoring run, in the order in which they are read."""

from __future__ import annotations

import re

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk.assertions import Template

import constructs_lib
from tests.conftest import ROOT
from tests.unit.constructs.monitoring import CASES, real_time

GUIDE = (ROOT / "docs" / "guides" / "monitoring.md").read_text()


def test_examples_synthesize_together(stack: cdk.Stack) -> None:
    facades = pytest.importorskip("cdk_monitoring_constructs")
    known = {
        **{public: getattr(constructs_lib, public) for public in constructs_lib.__all__},
        "cdk": cdk,
        "cloudwatch": cloudwatch,
        "stack": stack,
        "endpoint": real_time(stack, endpoint_name="screening"),
        "facade": facades.MonitoringFacade(stack, "Monitoring"),
    }
    examples = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)

    for example in examples:
        exec(example, known)  # noqa: S102 - our own documentation

    template = Template.from_stack(stack)
    assert len(examples) == 5
    assert len(template.find_resources("AWS::CloudWatch::Dashboard")) == 3
    (endpoint,) = template.find_resources("AWS::SageMaker::Endpoint").values()
    assert "DeploymentConfig" in endpoint["Properties"]


@pytest.mark.parametrize("case", ["real-time", "multi-model", "async", "serverless", "component"])
def test_guide_explains_every_alarm(case: str) -> None:

    stack = cdk.Stack()
    monitored = CASES[case].monitored(stack)
    found = constructs_lib.EndpointAlarms(stack, "Alarms", monitored=monitored)

    missing = {
        name for name in found.alarms if f"`{name}`" not in GUIDE and not name.startswith("Budget")
    }
    assert missing == set()
