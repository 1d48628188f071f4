"""SageMaker's hosting API: models, endpoint configurations, endpoints and their tags.

moto has these operations too, but an endpoint of its is in service at once, and it drops what it
does not know. Here a request is kept whole, and ``describe`` answers with all of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from hosting.limits import MAX_TAGS
from local_runtime.control_plane import listing, rules
from local_runtime.control_plane.errors import ResourceLimitExceeded, ValidationException
from local_runtime.control_plane.inference_components import InferenceComponentsApi
from local_runtime.control_plane.quotas import check_instances
from local_runtime.control_plane.service_model import validate
from local_runtime.control_plane.store import (
    CHANGING,
    Deployment,
    Endpoint,
    Kind,
    Record,
    Store,
)
from local_runtime.settings import Limits

Json = dict[str, Any]
Operation = Callable[[Json, str], Json]

_NOUNS: dict[Kind, str] = {
    "model": "model",
    "endpoint-config": "endpoint configuration",
    "endpoint": "endpoint",
    "inference-component": "inference component",
}


class SageMakerApi:
    """The operations by name, each ``(request, region) -> response``."""

    def __init__(
        self, store: Store, *, max_instances: int = Limits().max_instances_per_variant
    ) -> None:
        """Args:
        store: what should be hosted.
        max_instances: of one variant; more are refused.
        """
        self.store = store
        self._max_instances = max_instances
        self.operations: dict[str, Operation] = {
            "CreateModel": self.create_model,
            "DescribeModel": self.describe_model,
            "ListModels": self.list_models,
            "DeleteModel": self.delete_model,
            "CreateEndpointConfig": self.create_endpoint_config,
            "DescribeEndpointConfig": self.describe_endpoint_config,
            "ListEndpointConfigs": self.list_endpoint_configs,
            "DeleteEndpointConfig": self.delete_endpoint_config,
            "CreateEndpoint": self.create_endpoint,
            "DescribeEndpoint": self.describe_endpoint,
            "ListEndpoints": self.list_endpoints,
            "UpdateEndpoint": self.update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self.update_endpoint_weights_and_capacities,
            "DeleteEndpoint": self.delete_endpoint,
            "AddTags": self.add_tags,
            "ListTags": self.list_tags,
            "DeleteTags": self.delete_tags,
            **InferenceComponentsApi(store).operations,
        }

    def handles(self, operation: str, request: Mapping[str, Any], region: str) -> bool:  # noqa: ARG002
        """Whether a request is ours; tags of other resources are not."""
        if operation not in self.operations:
            return False
        if not operation.endswith("Tags"):
            return True
        resource = str(request.get("ResourceArn", "")).split(":", 5)[-1]
        return resource.split("/", 1)[0] in _NOUNS

    def call(self, operation: str, request: Json, region: str) -> Json:
        """Validate a request and run it.

        Raises:
            ApiError: it is refused.
        """
        validate("sagemaker", operation, request)
        return self.operations[operation](request, region)

    # Models.

    def create_model(self, request: Json, region: str) -> Json:
        rules.check_model(request)
        return {"ModelArn": self._create("model", request["ModelName"], request, region)}

    def describe_model(self, request: Json, region: str) -> Json:
        record = self._record("model", request["ModelName"], region)
        return {
            "EnableNetworkIsolation": False,
            **_without_tags(record.request),
            "ModelArn": record.arn,
            "CreationTime": record.created_at_s,
        }

    def list_models(self, request: Json, region: str) -> Json:
        return self._list("model", "Model", request, region)

    def delete_model(self, request: Json, region: str) -> Json:
        return self._delete("model", request["ModelName"], region)

    # Endpoint configurations.

    def create_endpoint_config(self, request: Json, region: str) -> Json:
        rules.check_endpoint_config(request)
        rules.check_serverless_models(request, self._models_of(request, region))
        rules.check_async_models(request, self._models_of(request, region))
        for variant in (
            *request["ProductionVariants"],
            *request.get("ShadowProductionVariants", []),
        ):
            check_instances(variant, variant.get("InitialInstanceCount"), self._max_instances)
        name = request["EndpointConfigName"]
        return {"EndpointConfigArn": self._create("endpoint-config", name, request, region)}

    def describe_endpoint_config(self, request: Json, region: str) -> Json:
        record = self._record("endpoint-config", request["EndpointConfigName"], region)
        return {
            "EnableNetworkIsolation": False,
            **_without_tags(record.request),
            "EndpointConfigArn": record.arn,
            "CreationTime": record.created_at_s,
        }

    def list_endpoint_configs(self, request: Json, region: str) -> Json:
        return self._list("endpoint-config", "EndpointConfig", request, region)

    def delete_endpoint_config(self, request: Json, region: str) -> Json:
        return self._delete("endpoint-config", request["EndpointConfigName"], region)

    # Endpoints.

    def create_endpoint(self, request: Json, region: str) -> Json:
        name = request["EndpointName"]
        target = self._deployment(request["EndpointConfigName"], region)
        rules.check_rollout(request.get("DeploymentConfig"), target.config, target.config)
        endpoint = self.store.create_endpoint(region, name, target, request.get("DeploymentConfig"))
        if endpoint is None:
            raise self._exists("endpoint", name, region)
        self.store.tag(endpoint.arn, _tags(request))
        return {"EndpointArn": endpoint.arn}

    def describe_endpoint(self, request: Json, region: str) -> Json:
        endpoint = self._endpoint(request["EndpointName"], region)
        shown = endpoint.target if endpoint.serving is None else endpoint.serving
        description: Json = {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": shown.config_name,
            "EndpointStatus": endpoint.status,
            "CreationTime": endpoint.created_at_s,
            "LastModifiedTime": endpoint.modified_at_s,
        }
        if endpoint.failure_reason is not None:
            description["FailureReason"] = endpoint.failure_reason
        if endpoint.deployment_config is not None:
            description["LastDeploymentConfig"] = endpoint.deployment_config
        for member in ("AsyncInferenceConfig", "ExplainerConfig", "MetricsConfig"):
            if member in shown.config:
                description[member] = shown.config[member]
        capture = shown.config.get("DataCaptureConfig")
        if capture is not None:
            description["DataCaptureConfig"] = _capture_summary(capture)
        if endpoint.serving is not None:
            description["ProductionVariants"] = [
                _variant_summary(endpoint, endpoint.serving, variant)
                for variant in endpoint.serving.variants
            ]
            shadows = endpoint.serving.config.get("ShadowProductionVariants")
            if shadows:
                description["ShadowProductionVariants"] = [
                    _variant_summary(endpoint, endpoint.serving, variant) for variant in shadows
                ]
            if endpoint.status in CHANGING:
                description["PendingDeploymentSummary"] = _pending(endpoint)
        return description

    def list_endpoints(self, request: Json, region: str) -> Json:
        summaries = [
            {
                "EndpointName": endpoint.name,
                "EndpointArn": endpoint.arn,
                "CreationTime": endpoint.created_at_s,
                "LastModifiedTime": endpoint.modified_at_s,
                "EndpointStatus": endpoint.status,
            }
            for endpoint in self.store.endpoints(region)
        ]
        return _page("Endpoints", summaries, request, "Endpoint")

    def update_endpoint(self, request: Json, region: str) -> Json:
        endpoint = self._updatable(request["EndpointName"], region)
        target = self._deployment(request["EndpointConfigName"], region)
        rules.check_update(endpoint.target.config, target.config)
        self._check_components(endpoint, target)
        if request.get("RetainAllVariantProperties", False):
            target = _retaining(endpoint, target, request.get("ExcludeRetainedVariantProperties"))
        deployment_config = request.get("DeploymentConfig")
        retain = request.get("RetainDeploymentConfig", False)
        if deployment_config is not None and retain:
            raise ValidationException(
                "DeploymentConfig cannot be specified when RetainDeploymentConfig is true"
            )
        used = endpoint.deployment_config if retain else deployment_config
        rules.check_rollout(used, target.config, endpoint.target.config)
        return self._start_update(
            endpoint, target, deployment_config, retain_deployment_config=retain
        )

    def update_endpoint_weights_and_capacities(self, request: Json, region: str) -> Json:
        endpoint = self._updatable(request["EndpointName"], region)
        variants = {variant["VariantName"]: variant for variant in endpoint.target.variants}
        weights, counts = dict(endpoint.target.weights), dict(endpoint.target.counts)
        sizes = dict(endpoint.target.serverless_sizes)
        for desired in request["DesiredWeightsAndCapacities"]:
            name = desired["VariantName"]
            if name not in variants:
                raise ValidationException(
                    f"Endpoint {endpoint.name} has no variant {name}, it has: {', '.join(variants)}"
                )
            if "ServerlessUpdateConfig" in desired:
                rules.check_resize(variants[name], desired["ServerlessUpdateConfig"])
                sizes[name] = {**sizes.get(name, {}), **desired["ServerlessUpdateConfig"]}
            if "DesiredInstanceCount" in desired and "ServerlessConfig" in variants[name]:
                raise ValidationException(f"Variant {name} is serverless and has no instances")
            if "DesiredWeight" in desired:
                weights[name] = desired["DesiredWeight"]
            if "DesiredInstanceCount" in desired:
                rules.check_capacity(
                    endpoint.target.config, variants[name], desired["DesiredInstanceCount"]
                )
                check_instances(
                    variants[name], desired["DesiredInstanceCount"], self._max_instances
                )
                counts[name] = desired["DesiredInstanceCount"]
        target = Deployment(
            config=endpoint.target.config,
            models=endpoint.target.models,
            weights=weights,
            counts=counts,
            serverless_sizes=sizes,
        )
        return self._start_update(endpoint, target, None, new_containers=False)

    def delete_endpoint(self, request: Json, region: str) -> Json:
        name = request["EndpointName"]
        hosted = self.store.components.on_endpoint(region, name)
        if hosted:
            # That AWS refuses is reported by its users; not in which words.
            raise ValidationException(
                f'Cannot delete endpoint "{self.store.arn("endpoint", region, name)}" while it'
                " hosts inference components; delete them first:"
                f" {', '.join(component.name for component in hosted)}"
            )
        if not self.store.delete_endpoint(region, name):
            raise self._missing("endpoint", name, region)
        return {}

    # Tags.

    def add_tags(self, request: Json, region: str) -> Json:  # noqa: ARG002 - the ARN names it
        arn = request["ResourceArn"]
        tags = self._tags_of(arn) | _tags(request)
        if len(tags) > MAX_TAGS:
            raise ResourceLimitExceeded(f"a resource has at most {MAX_TAGS} tags, got {len(tags)}")
        self.store.tag(arn, tags)
        return {"Tags": _tag_list(tags)}

    def list_tags(self, request: Json, region: str) -> Json:  # noqa: ARG002 - the ARN names it
        tags = _tag_list(self._tags_of(request["ResourceArn"]))
        size = request.get("MaxResults", MAX_TAGS)
        start = int(request.get("NextToken", "0"))
        answer: Json = {"Tags": tags[start : start + size]}
        if start + size < len(tags):
            answer["NextToken"] = str(start + size)
        return answer

    def delete_tags(self, request: Json, region: str) -> Json:  # noqa: ARG002 - the ARN names it
        self._tags_of(request["ResourceArn"])
        self.store.untag(request["ResourceArn"], request["TagKeys"])
        return {}

    # What the operations share.

    def _create(self, kind: Kind, name: str, request: Json, region: str) -> str:
        record = self.store.add(kind, region, name, request)
        if record is None:
            raise self._exists(kind, name, region)
        self.store.tag(record.arn, _tags(request))
        return record.arn

    def _record(self, kind: Kind, name: str, region: str) -> Record:
        record = self.store.record(kind, region, name)
        if record is None:
            raise self._missing(kind, name, region)
        return record

    def _delete(self, kind: Kind, name: str, region: str) -> Json:
        if not self.store.remove(kind, region, name):
            raise self._missing(kind, name, region)
        return {}

    def _list(self, kind: Kind, prefix: str, request: Json, region: str) -> Json:
        summaries = [
            {
                f"{prefix}Name": record.name,
                f"{prefix}Arn": record.arn,
                "CreationTime": record.created_at_s,
            }
            for record in self.store.records(kind, region)
        ]
        return _page(f"{prefix}s", summaries, request, prefix)

    def _deployment(self, config_name: str, region: str) -> Deployment:
        config = self._record("endpoint-config", config_name, region).request
        return Deployment(config=config, models=self._models_of(config, region))

    def _models_of(self, config: Mapping[str, Any], region: str) -> dict[str, Json]:
        """Every model that the variants name; a variant for inference components names none."""
        variants = (*config["ProductionVariants"], *config.get("ShadowProductionVariants", []))
        names = [variant["ModelName"] for variant in variants if variant.get("ModelName")]
        return {name: self._record("model", name, region).request for name in names}

    def _endpoint(self, name: str, region: str) -> Endpoint:
        endpoint = self.store.endpoint(region, name)
        if endpoint is None:
            raise self._missing("endpoint", name, region)
        return endpoint

    def _updatable(self, name: str, region: str) -> Endpoint:
        endpoint = self._endpoint(name, region)
        if endpoint.status == "Failed":
            # Documented at EndpointStatus: deleting is all that can be done to a failed endpoint.
            raise ValidationException(f'Cannot update failed endpoint "{endpoint.arn}".')
        if endpoint.status != "InService":
            raise ValidationException(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint

    def _start_update(
        self,
        endpoint: Endpoint,
        target: Deployment,
        deployment_config: Json | None,
        *,
        retain_deployment_config: bool = False,
        new_containers: bool = True,
    ) -> Json:
        updated = self.store.update_endpoint(
            endpoint.region,
            endpoint.name,
            target,
            deployment_config=deployment_config,
            retain_deployment_config=retain_deployment_config,
            new_containers=new_containers,
        )
        if updated is None:
            # Somebody else's update or deletion came between the check and this.
            raise ValidationException(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return {"EndpointArn": endpoint.arn}

    def _check_components(self, endpoint: Endpoint, target: Deployment) -> None:
        """Refuse an update under which a component would have no variant, or is being changed."""
        names = {variant["VariantName"] for variant in target.variants}
        for component in self.store.components.on_endpoint(endpoint.region, endpoint.name):
            if component.variant not in names:
                raise ValidationException(
                    f"Inference component {component.name} is on variant {component.variant}, which"
                    " the endpoint configuration does not have"
                )
            if component.status not in {"InService", "Failed"}:
                raise ValidationException(
                    f'Cannot update endpoint "{endpoint.arn}" while inference component'
                    f" {component.name} is {component.status}."
                )

    def _tags_of(self, arn: str) -> dict[str, str]:
        tags = self.store.tags(arn)
        if tags is None:
            raise ValidationException(f'Could not find resource "{arn}".')
        return tags

    def _exists(self, kind: Kind, name: str, region: str) -> ValidationException:
        arn = self.store.arn(kind, region, name)
        return ValidationException(f'Cannot create already existing {_NOUNS[kind]} "{arn}".')

    def _missing(self, kind: Kind, name: str, region: str) -> ValidationException:
        arn = self.store.arn(kind, region, name)
        return ValidationException(f'Could not find {_NOUNS[kind]} "{arn}".')


def _page(member: str, summaries: list[Json], request: Json, prefix: str) -> Json:
    page, token = listing.page(summaries, request, prefix=prefix)
    return {member: page} if token is None else {member: page, "NextToken": token}


def _without_tags(request: Json) -> Json:
    return {member: copy.deepcopy(value) for member, value in request.items() if member != "Tags"}


def _tags(request: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}


def _tag_list(tags: Mapping[str, str]) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _retaining(endpoint: Endpoint, target: Deployment, excluded: list[Json] | None) -> Deployment:
    """Carry the weights and counts that the endpoint has over to the variants of the target."""
    kinds = {entry["VariantPropertyType"] for entry in excluded or []}
    present = {variant["VariantName"]: variant for variant in endpoint.target.variants}
    names = [variant["VariantName"] for variant in target.variants]
    weights, counts = {}, {}
    for name in names:
        if name not in present:
            continue
        if "DesiredWeight" not in kinds:
            weights[name] = endpoint.target.weight(present[name])
        count = endpoint.target.count(present[name])
        if count is not None and "DesiredInstanceCount" not in kinds:
            counts[name] = count
    return Deployment(config=target.config, models=target.models, weights=weights, counts=counts)


def _variant_summary(endpoint: Endpoint, serving: Deployment, variant: Json) -> Json:
    target = endpoint.target
    name = variant["VariantName"]
    wanted = next((each for each in target.variants if each["VariantName"] == name), variant)
    summary: Json = {
        "VariantName": name,
        "CurrentWeight": serving.weight(variant),
        "DesiredWeight": target.weight(wanted),
        "DeployedImages": _images(serving, variant, endpoint.modified_at_s),
    }
    count = serving.count(variant)
    if count is not None:
        summary["CurrentInstanceCount"] = endpoint.instance_counts.get(name, count)
        desired = target.count(wanted)
        summary["DesiredInstanceCount"] = count if desired is None else desired
    size = serving.serverless_config(variant)
    if size is not None:
        summary["CurrentServerlessConfig"] = size
        desired_size = target.serverless_config(wanted)
        summary["DesiredServerlessConfig"] = size if desired_size is None else desired_size
    for member in ("ManagedInstanceScaling", "RoutingConfig"):
        if member in variant:
            summary[member] = variant[member]
    return summary


def _pending(endpoint: Endpoint) -> Json:
    target = endpoint.target
    variants = []
    for variant in target.variants:
        pending: Json = {
            "VariantName": variant["VariantName"],
            "DesiredWeight": target.weight(variant),
        }
        count = target.count(variant)
        if count is not None:
            pending["DesiredInstanceCount"] = count
        if "InstanceType" in variant:
            pending["InstanceType"] = variant["InstanceType"]
        size = target.serverless_config(variant)
        if size is not None:
            pending["DesiredServerlessConfig"] = size
        if endpoint.progress is not None:
            pending |= _progress(endpoint.progress, pending)
        variants.append(pending)
    return {
        "EndpointConfigName": target.config_name,
        "ProductionVariants": variants,
        "StartTime": endpoint.modified_at_s,
    }


def _progress(progress: Json, pending: Json) -> Json:
    """How far one variant of an update has come."""
    name = pending["VariantName"]
    shown: Json = {
        "CurrentWeight": pending["DesiredWeight"] * progress["share"],
        "VariantStatus": [{"Status": progress["stage"], "StartTime": progress["since_s"]}],
    }
    if "DesiredInstanceCount" in pending:
        shown["CurrentInstanceCount"] = progress["counts"].get(name, 0)
    return shown


def _images(deployment: Deployment, variant: Json, resolved_at_s: float) -> list[Json]:
    """The images of a variant's containers; no digest, because no image is pulled."""
    model = deployment.models.get(variant.get("ModelName", ""), {})
    primary = model.get("PrimaryContainer")
    containers = [primary] if primary is not None else model.get("Containers", [])
    return [
        {"SpecifiedImage": container["Image"], "ResolutionTime": resolved_at_s}
        for container in containers
        if "Image" in container
    ]


def _capture_summary(capture: Json) -> Json:
    enabled = capture.get("EnableCapture", True)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }
