"""What a stack's expressions come to: references, outputs, imports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from local_runtime.control_plane.cloudformation import intrinsics, resource_types
from local_runtime.control_plane.cloudformation.errors import ResourceFailed, ValidationError
from local_runtime.control_plane.cloudformation.intrinsics import Resolver, Resources
from local_runtime.control_plane.cloudformation.resource_types.base import Context
from local_runtime.control_plane.cloudformation.stacks import (
    Output,
    Resource,
    Stack,
    StackStore,
    Submission,
)
from local_runtime.control_plane.local_client import LocalClients
from local_runtime.control_plane.store import Store


@dataclass(frozen=True, slots=True)
class StackValues:
    """Resolves submissions, and makes the contexts that resource types work in."""

    stacks: StackStore
    clients: LocalClients
    store: Store

    def context(
        self, stack: Stack, resource: Resource, tags: Mapping[str, str] | None = None
    ) -> Context:
        """The context of one resource; ``tags`` are the stack's new ones, if it gets others."""
        before = {} if stack.submission is None else stack.submission.tags
        return Context(
            account_id=self.stacks.account_id,
            region=stack.region,
            stack_name=stack.name,
            stack_id=stack.stack_id,
            logical_id=resource.logical_id,
            type_name=resource.type_name,
            clients=self.clients,
            store=self.store,
            stack_tags=before if tags is None else tags,
            stack_tags_before=before,
            cancelled=stack.cancel.is_set,
        )

    def resolver(self, stack: Stack, submission: Submission, resources: Resources) -> Resolver:
        """Resolve a submission's expressions for a stack."""
        return Resolver(
            submission.template,
            parameters=submission.parameters,
            pseudo={
                "AWS::AccountId": self.stacks.account_id,
                "AWS::Region": stack.region,
                "AWS::Partition": "aws",
                "AWS::URLSuffix": "amazonaws.com",
                "AWS::StackId": stack.stack_id,
                "AWS::StackName": stack.name,
                "AWS::NotificationARNs": list(submission.notification_arns),
            },
            resources=resources,
            imported=lambda name: self.stacks.import_value(name, stack.region),
            dynamic=lambda service, reference: self._dynamic(stack.region, service, reference),
        )

    def outputs(self, submission: Submission, resolver: Resolver) -> list[Output]:
        """The outputs of a stack whose resources exist."""
        outputs = []
        for key, definition in submission.template.part("Outputs").items():
            if not resolver.includes(definition):
                continue
            export = definition.get("Export")
            outputs.append(
                Output(
                    key=key,
                    value=intrinsics.as_text(resolver.resolve(definition["Value"])),
                    description=definition.get("Description"),
                    export=None if export is None else str(resolver.resolve(export["Name"])),
                )
            )
        return outputs

    def imports(self, submission: Submission, resolver: Resolver) -> frozenset[str]:
        """The names of the exports that a stack uses."""
        included = [
            definition
            for part in ("Resources", "Outputs")
            for definition in submission.template.part(part).values()
            if resolver.includes(definition)
        ]
        return frozenset(str(resolver.resolve(name)) for name in intrinsics.imports(included))

    def check_exports(self, stack: Stack, outputs: list[Output]) -> None:
        """Refuse to take a used export away, or one that another stack has.

        Raises:
            ValidationError: the outputs would.
        """
        after = {output.export: output.value for output in outputs if output.export is not None}
        for other, output in self.stacks.exports(stack.region):
            if other is not stack and output.export in after:
                raise ValidationError(
                    f"Export with name {output.export} is already exported by stack {other.name}"
                )
        for output in stack.outputs:
            if output.export is None or after.get(output.export) == output.value:
                continue
            users = self.stacks.importers(output.export, stack)
            if users:
                verb = "updated" if output.export in after else "deleted"
                names = " and ".join(user.name for user in users)
                raise ValidationError(
                    f"Export {output.export} cannot be {verb} as it is in use by {names}"
                )

    def read_parameter(self, region: str, name: str) -> str:
        """The value of an SSM parameter that a template names.

        Raises:
            ValidationError: there is none.
        """
        try:
            found = self.clients.client("ssm", region).get_parameter(Name=name)
        except ClientError as refusal:
            raise ValidationError(
                f"Unable to fetch parameters [{name}] from parameter store for this account."
            ) from refusal
        return str(found["Parameter"]["Value"])

    def _dynamic(self, region: str, service: str, reference: str) -> str:
        if service not in {"ssm", "ssm-secure"}:
            raise ResourceFailed(
                f"{{{{resolve:{service}:...}}}} is not supported by the local runtime"
            )
        try:
            return self.read_parameter(region, reference)
        except ValidationError as missing:
            raise ResourceFailed(str(missing)) from missing


@dataclass(frozen=True, slots=True)
class ExistingResources:
    """References to resources of a stack that have been brought up."""

    values: StackValues
    stack: Stack
    find: Callable[[str], Resource | None]

    def ref(self, logical_id: str) -> str:
        resource = self._resource(logical_id)
        if resource.live is None:
            raise ResourceFailed(f"{logical_id} does not exist")
        return resource.live.reference

    def attribute(self, logical_id: str, name: str) -> Any:
        resource = self._resource(logical_id)
        if resource.live is None:
            raise ResourceFailed(f"{logical_id} does not exist")
        kind = resource_types.resource_type(resource.type_name)
        return kind.attribute(self.values.context(self.stack, resource), resource.live, name)

    def _resource(self, logical_id: str) -> Resource:
        resource = self.find(logical_id)
        if resource is None:
            raise ValidationError(
                f"Template format error: Unresolved resource dependencies [{logical_id}]"
                " in the Resources block of the template"
            )
        return resource
