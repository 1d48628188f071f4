"""The CDK app: one environment's stacks, checked."""

from __future__ import annotations

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

from constructs_lib.rules import SageMakerInferenceRules
from stacks.comparison_stack import ComparisonStack
from stacks.digit_reader_stack import DigitReaderStack
from stacks.environments import Environment, environment_named
from stacks.regional_prices_stack import RegionalPricesStack
from stacks.summarizer_stack import SummarizerStack
from stacks.tumor_screening_stack import TumorScreeningStack


def build(app: cdk.App, environment: Environment) -> None:
    """Add the stacks of ``environment`` to ``app``, and the checks that they must pass."""
    TumorScreeningStack(app, "TumorScreening", environment=environment)
    RegionalPricesStack(app, "RegionalPrices", environment=environment)
    SummarizerStack(app, "Summarizer", environment=environment)
    DigitReaderStack(app, "DigitReader", environment=environment)
    ComparisonStack(app, "Comparison", environment=environment)
    cdk.Tags.of(app).add("environment", environment.name)
    cdk.Validations.of(app).add_plugins(
        AwsSolutionsChecks(app), NIST80053R5Checks(app), SageMakerInferenceRules()
    )


def main() -> None:
    """Synthesize what ``-c env=NAME`` names."""
    # Stack traces of jsii say nothing about Python code, and they name a folder of each run's own.
    app = cdk.App(stack_traces=False, context={"aws:cdk:disable-creation-stack-traces": True})
    try:
        environment = environment_named(app.node.try_get_context("env"))
    except ValueError as error:
        sys.exit(f"app.py: {error}")
    build(app, environment)
    app.synth()


if __name__ == "__main__":
    main()
