"""The rules as a policy validation plugin of any CDK app."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import aws_cdk as cdk
import jsii

from constructs_lib.rules import document
from constructs_lib.rules.document import TemplateFile
from constructs_lib.rules.engine import check, template_rules
from constructs_lib.rules.rule import Finding


@jsii.implements(cdk.IPolicyValidationPlugin)
class SageMakerInferenceRules:
    """Check the templates of an app, or of a stage, when it is synthesized::

        cdk.Validations.of(app).add_plugins(SageMakerInferenceRules())

    An error fails the synthesis; a warning is reported. Acknowledge one finding where it is meant,
    by the id that the report prints::

        cdk.Validations.of(endpoint).acknowledge(
            cdk.Acknowledgment(
                id="SageMaker-Inference::SM-U3", reason="each deployment starts from two instances"
            )
        )

    All stacks are read together, so that references from one to another are followed.
    """

    @property
    def name(self) -> str:
        """What the report calls the plugin."""
        return "SageMaker-Inference"

    @property
    def version(self) -> str:
        """The day on which the rules were last checked against their sources."""
        return max(str(rule.checked) for rule in template_rules())

    @property
    def rule_ids(self) -> list[str]:
        """Every rule that the plugin checks."""
        return [rule.id for rule in template_rules()]

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Check the templates that an app was synthesized to."""
        report = check([_template(stack) for stack in context.stack_templates])
        return cdk.PolicyValidationPluginReport(
            success=not report.errors,
            violations=[_violation(finding) for finding in report.findings],
        )


def _template(stack: cdk.PolicyValidationStack) -> TemplateFile:
    path = Path(stack.template_path)
    parsed = document.parse(path.read_text(encoding="utf-8"), name=str(path))
    return dataclasses.replace(parsed, region=stack.region, account=stack.account_id)


def _violation(finding: Finding) -> cdk.PolicyViolation:
    rule = finding.rule
    return cdk.PolicyViolation(
        rule_name=finding.id,
        description=finding.message,
        severity=rule.severity,
        fix=f"{rule.remedy} See {rule.source}",
        rule_metadata={"title": rule.title, "basis": rule.basis, "checked": rule.checked},
        violating_resources=[
            cdk.PolicyViolatingResource(
                resource_logical_id=finding.resource.logical_id,
                template_path=finding.resource.template.name,
                locations=[finding.path],
            )
        ],
    )
