"""SSM parameters and ECR repositories: what the CDK's bootstrap stack is made of."""

from __future__ import annotations

import json

from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    gone,
    only,
)

_SSM = "ssm"
_ECR = "ecr"
_NO_REPOSITORY = "RepositoryNotFoundException"


class Parameter(ResourceType):
    """``AWS::SSM::Parameter``."""

    name_property = "Name"
    create_only: frozenset[str] | None = frozenset({"Name"})
    _SETTINGS = ("Type", "Value", "Description", "AllowedPattern", "Tier", "Policies", "DataType")

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("Name", context.name()))
        tags = {**context.stack_tags, **properties.get("Tags", {})}
        request = {
            **only(properties, *self._SETTINGS),
            "Name": name,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        context.call(_SSM, "PutParameter", request)
        return self._live(name, properties)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del old
        name = live.physical_id
        request = {**only(new, *self._SETTINGS), "Name": name, "Overwrite": True}
        context.call(_SSM, "PutParameter", request)
        return self._live(name, new)

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        gone(context, _SSM, "DeleteParameter", {"Name": live.physical_id}, "ParameterNotFound")

    @staticmethod
    def _live(name: str, properties: Properties) -> Live:
        return Live(physical_id=name, attributes=only(properties, "Type", "Value"))


class Repository(ResourceType):
    """``AWS::ECR::Repository``."""

    name_property = "RepositoryName"
    create_only: frozenset[str] | None = frozenset({"RepositoryName", "EncryptionConfiguration"})

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("RepositoryName", context.name().lower()))
        request: Properties = {"repositoryName": name, "tags": context.tags(properties)}
        if "ImageTagMutability" in properties:
            request["imageTagMutability"] = properties["ImageTagMutability"]
        if "ImageScanningConfiguration" in properties:
            scan = properties["ImageScanningConfiguration"].get("ScanOnPush", False)
            request["imageScanningConfiguration"] = {"scanOnPush": scan}
        if "EncryptionConfiguration" in properties:
            encryption = properties["EncryptionConfiguration"]
            request["encryptionConfiguration"] = {
                api: encryption[member]
                for member, api in (("EncryptionType", "encryptionType"), ("KmsKey", "kmsKey"))
                if member in encryption
            }
        repository = context.call(_ECR, "CreateRepository", request)["repository"]
        attributes = {
            "Arn": repository["repositoryArn"],
            "RepositoryUri": repository["repositoryUri"],
        }
        self._put_policies(context, name, {}, properties)
        return Live(physical_id=name, attributes=attributes)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        name = live.physical_id
        mutability = new.get("ImageTagMutability", "MUTABLE")
        if old.get("ImageTagMutability", "MUTABLE") != mutability:
            request = {"repositoryName": name, "imageTagMutability": mutability}
            context.call(_ECR, "PutImageTagMutability", request)
        scanning = new.get("ImageScanningConfiguration", {})
        if old.get("ImageScanningConfiguration", {}) != scanning:
            configuration = {"scanOnPush": scanning.get("ScanOnPush", False)}
            request = {"repositoryName": name, "imageScanningConfiguration": configuration}
            context.call(_ECR, "PutImageScanningConfiguration", request)
        self._put_policies(context, name, old, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        force = str(properties.get("EmptyOnDelete", False)).lower() == "true"
        request = {"repositoryName": live.physical_id, "force": force}
        gone(context, _ECR, "DeleteRepository", request, _NO_REPOSITORY)

    @staticmethod
    def _put_policies(context: Context, name: str, old: Properties, new: Properties) -> None:
        policy = new.get("RepositoryPolicyText")
        if policy is not None and policy != old.get("RepositoryPolicyText"):
            text = policy if isinstance(policy, str) else json.dumps(policy)
            request = {"repositoryName": name, "policyText": text}
            context.call(_ECR, "SetRepositoryPolicy", request)
        elif policy is None and "RepositoryPolicyText" in old:
            context.call(_ECR, "DeleteRepositoryPolicy", {"repositoryName": name})
        text = new.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
        if text is not None and new.get("LifecyclePolicy") != old.get("LifecyclePolicy"):
            request = {"repositoryName": name, "lifecyclePolicyText": text}
            context.call(_ECR, "PutLifecyclePolicy", request)
        elif text is None and "LifecyclePolicy" in old:
            context.call(_ECR, "DeleteLifecyclePolicy", {"repositoryName": name})
