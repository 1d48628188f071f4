"""An endpoint that was defined elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import aws_cdk as cdk
import jsii
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk.interfaces.aws_sagemaker import EndpointReference
from constructs import Construct

from constructs_lib._metric import metric_of
from constructs_lib.endpoint import INVOKE_ACTIONS, VARIANT_NAME, grant_invoke
from constructs_lib.instances import Instances
from hosting import validation
from hosting.endpoint import EndpointKind


@jsii.implements(sagemaker.IEndpoint)
class ImportedEndpoint(cdk.Resource):
    """An endpoint of this account and region by its name, with its grants and metrics.

    Args:
        endpoint_name: the endpoint's.
        kind: what it is, which decides its metrics and how it is invoked.
        variant_names: of its variants, the main one first.
        instances: what its main variant runs on; without it, dashboards cannot relate processor
            load to the number of cores, nor name a price.
        container_names: of a pipeline's containers, in the order in which they run.

    Raises:
        ValueError: the kind is unknown, a name is not what SageMaker accepts, variants share one,
            or containers are named of what is no pipeline.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str,
        kind: EndpointKind,
        variant_names: Sequence[str] = (VARIANT_NAME,),
        instances: Instances | None = None,
        container_names: Sequence[str] = (),
    ) -> None:
        validation.require(
            []
            if kind in get_args(EndpointKind)
            else [f"kind must be one of {', '.join(get_args(EndpointKind))}, got {kind!r}"],
            _name("endpoint_name", endpoint_name),
            [] if variant_names else ["variant_names must hold one name at least, got none"],
            *(_name("variant_names", name) for name in variant_names),
            []
            if len(set(variant_names)) == len(variant_names)
            else [f"variant_names must differ, got {', '.join(variant_names)}"],
            []
            if kind == "pipeline" or not container_names
            else [f"container_names must be left out for kind {kind}, got {list(container_names)}"],
        )
        super().__init__(scope, construct_id)
        self.kind = kind
        self.variant_names = tuple(variant_names)
        self.fleets = {} if instances is None else {self.variant_names[0]: instances}
        self.container_names = {self.variant_names[0]: tuple(container_names)}
        self._name = endpoint_name
        self._arn = cdk.Stack.of(self).format_arn(
            service="sagemaker",
            resource="endpoint",
            resource_name=endpoint_name.lower()
            if not cdk.Token.is_unresolved(endpoint_name)
            else endpoint_name,
        )

    @property
    def endpoint_name(self) -> str:
        """The name that callers of ``InvokeEndpoint`` give."""
        return self._name

    @property
    def endpoint_arn(self) -> str:
        """The ARN, which SageMaker spells in lower case."""
        return self._arn

    @property
    def endpoint_ref(self) -> EndpointReference:
        """The reference that other CDK resources take."""
        return EndpointReference(endpoint_arn=self._arn)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow ``grantee`` to invoke this endpoint, and no other."""
        actions = ("sagemaker:InvokeEndpointAsync",) if self.kind == "async" else INVOKE_ACTIONS
        return grant_invoke(grantee, self._arn, actions)

    def metric(
        self,
        name: str,
        *,
        statistic: str | None = None,
        period: cdk.Duration | None = None,
        variant_name: str | None = None,
        dimensions: Mapping[str, str] | None = None,
    ) -> cw.Metric:
        """Return a metric that this kind of endpoint publishes.

        Args:
            name: as SageMaker publishes it.
            statistic: without it, the one that fits the metric.
            period: one minute without it.
            variant_name: the first of the variants without it.
            dimensions: those beyond EndpointName and VariantName.

        Raises:
            ValueError: there is no such metric or variant.
        """
        variant = self.variant_names[0] if variant_name is None else variant_name
        if variant not in self.variant_names:
            raise ValueError(
                f"variant_name must be one of {', '.join(self.variant_names)}, got {variant!r}"
            )
        return metric_of(
            self.kind,
            name,
            statistic=statistic,
            period=period,
            dimensions={
                "EndpointName": self._name,
                "VariantName": variant,
                **({} if dimensions is None else dimensions),
            },
        )


def _name(argument: str, value: str) -> list[str]:
    return [] if cdk.Token.is_unresolved(value) else validation.name(argument, value)
