"""Rules that catch SageMaker inference mistakes in any CDK app or CloudFormation template.

    cdk.Validations.of(app).add_plugins(SageMakerInferenceRules())

or, without an app: ``python -m constructs_lib.rules check TEMPLATE…``. A rule reads what stands in
the templates and follows references between their resources; what only a deployment decides gives
no finding. docs/rules.md lists the rules.
"""

from constructs_lib.rules.plugin import SageMakerInferenceRules

__all__ = ["SageMakerInferenceRules"]
