"""SageMaker's API of inference components: models that share the instances of an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hosting.limits import COMPONENT_INITIAL_COPIES
from local_runtime.control_plane import listing
from local_runtime.control_plane.component_records import Component, ComponentPlan, plan_of
from local_runtime.control_plane.errors import ValidationException
from local_runtime.control_plane.store import Endpoint, Store

Json = dict[str, Any]
Operation = Callable[[Json, str], Json]

_NOT_SERVED = "is not served by the local runtime"


class InferenceComponentsApi:
    """The operations by name, each ``(request, region) -> response``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records = store.components
        self.operations: dict[str, Operation] = {
            "CreateInferenceComponent": self.create,
            "DescribeInferenceComponent": self.describe,
            "UpdateInferenceComponent": self.update,
            "UpdateInferenceComponentRuntimeConfig": self.update_runtime_config,
            "DeleteInferenceComponent": self.delete,
            "ListInferenceComponents": self.list,
        }

    def create(self, request: Json, region: str) -> Json:
        name = request["InferenceComponentName"]
        endpoint = self._endpoint(request["EndpointName"], region)
        variant = _variant(endpoint, request.get("VariantName"))
        target = self._plan(request, region)
        copies = request.get("RuntimeConfig", {}).get("CopyCount", 0)
        if copies not in COMPONENT_INITIAL_COPIES:
            raise ValidationException(
                "CopyCount of RuntimeConfig must be"
                f" {COMPONENT_INITIAL_COPIES.minimum:g} or more when an inference component is"
                f" created, got {copies}"
            )
        component = self._records.create(
            region,
            name,
            arn=self._arn(region, name),
            endpoint=endpoint.name,
            variant=variant,
            target=target,
            copies=copies,
        )
        if component is None:
            raise ValidationException(
                f'Cannot create already existing inference component "{self._arn(region, name)}".'
            )
        tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        self._store.tag(component.arn, tags)
        return {"InferenceComponentArn": component.arn}

    def describe(self, request: Json, region: str) -> Json:
        component = self._component(request["InferenceComponentName"], region)
        shown = component.target if component.serving is None else component.serving
        description = {
            **_summary(component, self._store.arn("endpoint", region, component.endpoint)),
            "Specification": _specification(shown, component.modified_at_s),
            "RuntimeConfig": {
                "DesiredCopyCount": component.copies,
                "CurrentCopyCount": component.current,
            },
        }
        if component.failure_reason is not None:
            description["FailureReason"] = component.failure_reason
        if component.deployment_config is not None:
            description["LastDeploymentConfig"] = component.deployment_config
        return description

    def update(self, request: Json, region: str) -> Json:
        target = None
        if "Specification" in request or "Specifications" in request:
            target = self._plan(request, region)
        copies = request.get("RuntimeConfig", {}).get("CopyCount")
        if target is None and copies is None:
            raise ValidationException("Specification or RuntimeConfig must be given")
        return self._change(
            request, region, target=target, copies=copies, config=request.get("DeploymentConfig")
        )

    def update_runtime_config(self, request: Json, region: str) -> Json:
        return self._change(request, region, copies=request["DesiredRuntimeConfig"]["CopyCount"])

    def delete(self, request: Json, region: str) -> Json:
        name = request["InferenceComponentName"]
        if not self._records.delete(region, name):
            raise self._missing(name, region)
        return {}

    def list(self, request: Json, region: str) -> Json:
        summaries = [
            _summary(component, self._store.arn("endpoint", region, component.endpoint))
            for component in self._records.of_region(region)
            if request.get("EndpointNameEquals", component.endpoint) == component.endpoint
            and request.get("VariantNameEquals", component.variant) == component.variant
        ]
        page, token = listing.page(summaries, request, prefix="InferenceComponent")
        answer: Json = {"InferenceComponents": page}
        return answer if token is None else {**answer, "NextToken": token}

    # What the operations share.

    def _change(
        self,
        request: Json,
        region: str,
        *,
        target: ComponentPlan | None = None,
        copies: int | None = None,
        config: Json | None = None,
    ) -> Json:
        component = self._component(request["InferenceComponentName"], region)
        self._endpoint(component.endpoint, region)
        if component.status == "InService":
            changed = self._records.update(
                region, component.name, target=target, copies=copies, deployment_config=config
            )
            if changed is not None:
                return {"InferenceComponentArn": changed.arn}
        raise ValidationException(
            f'Cannot update inference component "{component.arn}" while its status is'
            f" {component.status}."
        )

    def _plan(self, request: Json, region: str) -> ComponentPlan:
        """What a request asks for.

        Raises:
            ValidationException: it does not fit together, or is not served here.
        """
        if "Specifications" in request:
            raise ValidationException(f"Specifications {_NOT_SERVED}; use Specification")
        specification = request.get("Specification")
        if specification is None:
            raise ValidationException("Specification must be given")
        if "BaseInferenceComponentName" in specification:
            raise ValidationException(
                f"An adapter (BaseInferenceComponentName) {_NOT_SERVED}: only containers for large"
                " models load adapters"
            )
        if ("ModelName" in specification) == ("Container" in specification):
            raise ValidationException(
                "Exactly one of ModelName and Container must be specified in Specification"
            )
        needs = specification.get("ComputeResourceRequirements")
        if needs is None:
            raise ValidationException("ComputeResourceRequirements must be specified")
        if "AcceleratorPartitionType" in needs:
            raise ValidationException(f"AcceleratorPartitionType {_NOT_SERVED}")
        least = needs["MinMemoryRequiredInMb"]
        if needs.get("MaxMemoryRequiredInMb", least) < least:
            raise ValidationException(
                f"MaxMemoryRequiredInMb must be at least MinMemoryRequiredInMb ({least}), got"
                f" {needs['MaxMemoryRequiredInMb']}"
            )
        if "Container" in specification and "Image" not in specification["Container"]:
            raise ValidationException("Container must have an Image")
        return plan_of(specification, self._model(specification, region))

    def _model(self, specification: Json, region: str) -> Json | None:
        name = specification.get("ModelName")
        if name is None:
            return None
        record = self._store.record("model", region, name)
        if record is None:
            raise ValidationException(
                f'Could not find model "{self._store.arn("model", region, name)}".'
            )
        listed = record.request.get("Containers", [])
        primary = record.request.get("PrimaryContainer", {})
        modes = {container.get("Mode") for container in (primary, *listed)}
        if len(listed) > 1 or "MultiModel" in modes:
            raise ValidationException(
                f"Model {name} must have one container with one model to be an inference component"
            )
        return record.request

    def _endpoint(self, name: str, region: str) -> Endpoint:
        endpoint = self._store.endpoint(region, name)
        if endpoint is None:
            arn = self._store.arn("endpoint", region, name)
            raise ValidationException(f'Could not find endpoint "{arn}".')
        if endpoint.status != "InService":
            raise ValidationException(
                f'Endpoint "{endpoint.arn}" must be InService, got {endpoint.status}.'
            )
        return endpoint

    def _component(self, name: str, region: str) -> Component:
        component = self._records.find(region, name)
        if component is None:
            raise self._missing(name, region)
        return component

    def _missing(self, name: str, region: str) -> ValidationException:
        return ValidationException(
            f'Could not find inference component "{self._arn(region, name)}".'
        )

    def _arn(self, region: str, name: str) -> str:
        return self._store.arn("inference-component", region, name)


def _variant(endpoint: Endpoint, wanted: str | None) -> str:
    """The variant that a component is placed on: the only one, if none is named.

    Raises:
        ValidationException: there is no such variant, or it has a model of its own.
    """
    variants = {variant["VariantName"]: variant for variant in endpoint.target.variants}
    if wanted is None and len(variants) == 1:
        [wanted] = variants
    if wanted is None or wanted not in variants:
        raise ValidationException(f"VariantName must be one of {', '.join(variants)}, got {wanted}")
    if "ModelName" in variants[wanted]:
        raise ValidationException(
            f"Variant {wanted} has a model of its own and cannot host inference components"
        )
    return wanted


def _summary(component: Component, endpoint_arn: str) -> Json:
    return {
        "InferenceComponentName": component.name,
        "InferenceComponentArn": component.arn,
        "EndpointName": component.endpoint,
        "EndpointArn": endpoint_arn,
        "VariantName": component.variant,
        "InferenceComponentStatus": component.status,
        "CreationTime": component.created_at_s,
        "LastModifiedTime": component.modified_at_s,
    }


def _specification(plan: ComponentPlan, resolved_at_s: float) -> Json:
    """As DescribeInferenceComponent shows it; no digest, because no image is pulled."""
    shown = dict(plan.specification)
    container: Mapping[str, Any] | None = shown.get("Container")
    if container is not None:
        shown["Container"] = {
            **{name: value for name, value in container.items() if name != "Image"},
            "DeployedImage": {
                "SpecifiedImage": container["Image"],
                "ResolutionTime": resolved_at_s,
            },
        }
    return shown
