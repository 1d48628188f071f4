"""CloudFormation's API: requests are checked here, and carried out by the stack engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local_runtime.control_plane.cloudformation import change_sets, intrinsics, views
from local_runtime.control_plane.cloudformation.errors import (
    AlreadyExistsException,
    ChangeSetNotFoundException,
    InvalidChangeSetStatusException,
    ValidationError,
)
from local_runtime.control_plane.cloudformation.stack_engine import StackEngine
from local_runtime.control_plane.cloudformation.stack_values import StackValues
from local_runtime.control_plane.cloudformation.stacks import (
    ChangeSet,
    Stack,
    StackStore,
    Submission,
)
from local_runtime.control_plane.cloudformation.submissions import (
    described,
    read_submission,
    template_of,
)
from local_runtime.control_plane.local_client import LocalClients
from local_runtime.control_plane.service_model import validate
from local_runtime.control_plane.store import Store

Json = dict[str, Any]

_PAGE = 100


class CloudFormationApi:
    """The operations by name, each ``(request, region) -> response``."""

    def __init__(self, account_id: str, clients: LocalClients, store: Store) -> None:
        self.stacks = StackStore(account_id)
        self._values = StackValues(self.stacks, clients, store)
        self.engine = StackEngine(self._values)
        self.operations: dict[str, Callable[[Json, str], Json]] = {
            "CreateStack": self.create_stack,
            "UpdateStack": self.update_stack,
            "DeleteStack": self.delete_stack,
            "CancelUpdateStack": self.cancel_update_stack,
            "DescribeStacks": self.describe_stacks,
            "ListStacks": self.list_stacks,
            "DescribeStackEvents": self.describe_stack_events,
            "DescribeStackResource": self.describe_stack_resource,
            "DescribeStackResources": self.describe_stack_resources,
            "ListStackResources": self.list_stack_resources,
            "GetTemplate": self.get_template,
            "GetTemplateSummary": self.get_template_summary,
            "ValidateTemplate": self.validate_template,
            "CreateChangeSet": self.create_change_set,
            "DescribeChangeSet": self.describe_change_set,
            "ExecuteChangeSet": self.execute_change_set,
            "DeleteChangeSet": self.delete_change_set,
            "ListChangeSets": self.list_change_sets,
            "ListExports": self.list_exports,
            "ListImports": self.list_imports,
            "UpdateTerminationProtection": self.update_termination_protection,
            "GetStackPolicy": self.get_stack_policy,
            "SetStackPolicy": self.set_stack_policy,
        }

    def call(self, operation: str, request: Json, region: str) -> Json:
        """Validate a request and run it.

        Raises:
            ApiError: it is refused.
        """
        validate("cloudformation", operation, request)
        with self.stacks.changed:
            answer = self.operations[operation](request, region)
            if not operation.startswith(("Describe", "List", "Get", "Validate")):
                self.stacks.touched()
            return answer

    # Operations on stacks.

    def create_stack(self, request: Json, region: str) -> Json:
        name = request["StackName"]
        existing = self.stacks.find(name, region)
        if existing is not None:
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        submission = read_submission(self._values, request, region, None)
        stack = self.stacks.new(name, region)
        stack.termination_protection = request.get("EnableTerminationProtection", False)
        stack.policy = request.get("StackPolicyBody")
        self._start(stack, request)
        if "OnFailure" in request:
            stack.on_failure = request["OnFailure"]
        self.engine.create(stack, submission)
        return {"StackId": stack.stack_id}

    def update_stack(self, request: Json, region: str) -> Json:
        stack = self._updatable(request["StackName"], region)
        submission = read_submission(self._values, request, region, stack)
        found = change_sets.changes(self._values, stack, submission)
        if change_sets.unchanged(stack, submission, found):
            raise ValidationError("No updates are to be performed.")
        self._start(stack, request)
        self.engine.update(stack, submission)
        return {"StackId": stack.stack_id}

    def delete_stack(self, request: Json, region: str) -> Json:
        stack = self.stacks.find(request["StackName"], region)
        # AWS answers a deletion of nothing with success.
        if stack is None or stack.deleted or stack.status == "DELETE_IN_PROGRESS":
            return {}
        if stack.termination_protection:
            raise ValidationError(
                f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        if stack.status == "REVIEW_IN_PROGRESS":
            stack.set_status("DELETE_COMPLETE")
            return {}
        if stack.in_progress and stack.status not in {"CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"}:
            raise ValidationError(
                f"Stack [{stack.name}] cannot be deleted while in status {stack.status}"
            )
        for output in stack.outputs:
            users = [] if output.export is None else self.stacks.importers(output.export, stack)
            if users:
                reason = (
                    f"Export {output.export} cannot be deleted as it is in use by"
                    f" {' and '.join(user.name for user in users)}"
                )
                stack.set_status("DELETE_IN_PROGRESS", "User Initiated")
                stack.set_status("DELETE_FAILED", reason)
                return {}
        stack.client_request_token = request.get("ClientRequestToken")
        self.engine.delete(stack, frozenset(request.get("RetainResources", [])))
        return {}

    def cancel_update_stack(self, request: Json, region: str) -> Json:
        stack = self.stacks.get(request["StackName"], region)
        if stack.status != "UPDATE_IN_PROGRESS":
            raise ValidationError("CancelUpdateStack cannot be called from current stack status")
        stack.cancel.set()
        return {}

    def describe_stacks(self, request: Json, region: str) -> Json:
        name = request.get("StackName")
        if name is not None:
            return {"Stacks": [views.stack(self.stacks.get(name, region))]}
        stacks = [stack for stack in self.stacks.in_region(region) if not stack.deleted]
        return _page("Stacks", [views.stack(stack) for stack in stacks], request)

    def list_stacks(self, request: Json, region: str) -> Json:
        wanted = request.get("StackStatusFilter")
        stacks = [
            views.stack_summary(stack)
            for stack in self.stacks.in_region(region)
            if wanted is None or stack.status in wanted
        ]
        return _page("StackSummaries", stacks, request)

    def describe_stack_events(self, request: Json, region: str) -> Json:
        stack = self.stacks.get(request["StackName"], region)
        events = [views.event(event, stack) for event in reversed(stack.events)]
        return _page("StackEvents", events, request)

    def describe_stack_resource(self, request: Json, region: str) -> Json:
        stack = self.stacks.get(request["StackName"], region)
        logical_id = request["LogicalResourceId"]
        resource = stack.resources.get(logical_id)
        if resource is None:
            raise ValidationError(
                f"Resource {logical_id} does not exist for stack {request['StackName']}"
            )
        detail = {
            **views.resource(resource),
            "StackName": stack.name,
            "StackId": stack.stack_id,
            "LastUpdatedTimestamp": resource.changed_at,
        }
        return {"StackResourceDetail": detail}

    def describe_stack_resources(self, request: Json, region: str) -> Json:
        physical_id = request.get("PhysicalResourceId")
        if physical_id is not None:
            stack = self._owner(physical_id, region)
        elif "StackName" in request:
            stack = self.stacks.get(request["StackName"], region)
        else:
            raise ValidationError("Either StackName or PhysicalResourceId must be specified")
        logical_id = request.get("LogicalResourceId")
        resources = [
            {
                **views.resource(resource),
                "StackName": stack.name,
                "StackId": stack.stack_id,
                "Timestamp": resource.changed_at,
            }
            for resource in stack.resources.values()
            if logical_id in {None, resource.logical_id}
            and physical_id in {None, resource.physical_id}
        ]
        return {"StackResources": resources}

    def list_stack_resources(self, request: Json, region: str) -> Json:
        stack = self.stacks.get(request["StackName"], region)
        resources = [
            {**views.resource(resource), "LastUpdatedTimestamp": resource.changed_at}
            for resource in stack.resources.values()
        ]
        return _page("StackResourceSummaries", resources, request)

    def update_termination_protection(self, request: Json, region: str) -> Json:
        stack = self.stacks.get(request["StackName"], region)
        stack.termination_protection = request["EnableTerminationProtection"]
        return {"StackId": stack.stack_id}

    def get_stack_policy(self, request: Json, region: str) -> Json:
        return {"StackPolicyBody": self.stacks.get(request["StackName"], region).policy}

    def set_stack_policy(self, request: Json, region: str) -> Json:
        stack = self.stacks.get(request["StackName"], region)
        stack.policy = request.get("StackPolicyBody")
        return {}

    # Templates.

    def get_template(self, request: Json, region: str) -> Json:
        if "ChangeSetName" in request:
            _, change_set = self._change_set(request, region)
            submission: Submission | None = change_set.submission
        else:
            submission = self.stacks.get(request["StackName"], region).submission
        text = "{}" if submission is None else submission.template.text
        return {"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, request: Json, region: str) -> Json:
        template = template_of(self._values, request, region, self._named_stack(request, region))
        return {
            **described(template),
            "ResourceTypes": sorted({each["Type"] for each in template.resources.values()}),
            "Version": template.document.get("AWSTemplateFormatVersion"),
            "DeclaredTransforms": [],
        }

    def validate_template(self, request: Json, region: str) -> Json:
        template = template_of(self._values, request, region, None)
        intrinsics.check_references(template)
        intrinsics.in_dependency_order(template)
        answer = described(template)
        for parameter in answer["Parameters"]:
            parameter.pop("ParameterType")
            parameter.pop("ParameterConstraints")
        return {**answer, "DeclaredTransforms": []}

    # Change sets.

    def create_change_set(self, request: Json, region: str) -> Json:
        name, kind = request["ChangeSetName"], request.get("ChangeSetType", "UPDATE")
        stack = self.stacks.find(request["StackName"], region)
        if kind == "IMPORT" or "ResourcesToImport" in request:
            raise ValidationError("importing resources is not supported by the local runtime")
        if kind == "UPDATE":
            stack = self._updatable(request["StackName"], region)
        elif stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise AlreadyExistsException(
                f"Stack [{stack.name}] already exists and cannot be created again with the"
                f" changeSet [{name}]."
            )
        if stack is not None and name in stack.change_sets:
            raise AlreadyExistsException(
                f"ChangeSet {name} cannot be created due to a mismatch with existing attribute Name"
            )
        submission = read_submission(self._values, request, region, stack)
        if stack is None:
            stack = self.stacks.new(request["StackName"], region)
            stack.set_status("REVIEW_IN_PROGRESS", "User Initiated")
        found = change_sets.changes(self._values, stack, submission)
        arn = (
            f"arn:aws:cloudformation:{region}:{self.stacks.account_id}"
            f":changeSet/{name}/{uuid.uuid4()}"
        )
        change_set = ChangeSet(
            arn=arn,
            name=name,
            kind=kind,
            submission=submission,
            changes=found,
            description=request.get("Description"),
            on_stack_failure=request.get("OnStackFailure"),
        )
        if change_sets.unchanged(stack, submission, found):
            change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
            change_set.status_reason = change_sets.NO_CHANGES
        stack.change_sets[name] = change_set
        return {"Id": arn, "StackId": stack.stack_id}

    def describe_change_set(self, request: Json, region: str) -> Json:
        stack, change_set = self._change_set(request, region)
        return views.change_set(change_set, stack)

    def list_change_sets(self, request: Json, region: str) -> Json:
        stack = self.stacks.get(request["StackName"], region)
        summaries = [
            views.change_set_summary(change_set, stack) for change_set in stack.change_sets.values()
        ]
        return _page("Summaries", summaries, request)

    def execute_change_set(self, request: Json, region: str) -> Json:
        stack, change_set = self._change_set(request, region)
        if change_set.execution_status != "AVAILABLE":
            raise InvalidChangeSetStatusException(
                f"ChangeSet [{change_set.arn}] cannot be executed in its current status of"
                f" [{change_set.status}]"
            )
        self._start(stack, request)
        if change_set.on_stack_failure is not None:
            stack.on_failure = change_set.on_stack_failure
        # CloudFormation keeps the executed change set and drops the others: they describe a stack
        # that is no more.
        stack.change_sets = {}
        change_set.execution_status = "EXECUTE_COMPLETE"
        if stack.status == "REVIEW_IN_PROGRESS":
            self.engine.create(stack, change_set.submission)
        else:
            self._updatable(stack.stack_id, region)
            self.engine.update(stack, change_set.submission)
        return {}

    def delete_change_set(self, request: Json, region: str) -> Json:
        try:
            stack, change_set = self._change_set(request, region)
        except ChangeSetNotFoundException:
            # AWS answers a deletion of nothing with success; so does the CLI expect.
            return {}
        del stack.change_sets[change_set.name]
        return {}

    # Exports.

    def list_exports(self, request: Json, region: str) -> Json:
        exports = [
            {"ExportingStackId": stack.stack_id, "Name": output.export, "Value": output.value}
            for stack, output in self.stacks.exports(region)
        ]
        return _page("Exports", exports, request)

    def list_imports(self, request: Json, region: str) -> Json:
        name = request["ExportName"]
        for stack, output in self.stacks.exports(region):
            if output.export == name:
                users = [user.name for user in self.stacks.importers(name, stack)]
                if users:
                    return _page("Imports", users, request)
        raise ValidationError(f"Export '{name}' is not imported by any stack.")

    # What the operations share.

    def _start(self, stack: Stack, request: Json) -> None:
        stack.client_request_token = request.get("ClientRequestToken")
        stack.on_failure = "DO_NOTHING" if request.get("DisableRollback", False) else "ROLLBACK"

    def _updatable(self, name: str, region: str) -> Stack:
        stack = self.stacks.find(name, region)
        if stack is None or stack.deleted:
            raise ValidationError(f"Stack [{name}] does not exist")
        # A failed creation and a failed deletion cannot be updated; a failed update can.
        if stack.in_progress or stack.status in {
            "ROLLBACK_COMPLETE",
            "ROLLBACK_FAILED",
            "DELETE_FAILED",
            "UPDATE_ROLLBACK_FAILED",
            "REVIEW_IN_PROGRESS",
        }:
            raise ValidationError(
                f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated."
            )
        return stack

    def _named_stack(self, request: Json, region: str) -> Stack | None:
        name = request.get("StackName")
        return None if name is None else self.stacks.get(name, region)

    def _change_set(self, request: Json, region: str) -> tuple[Stack, ChangeSet]:
        name = request["ChangeSetName"]
        for stack in self.stacks.in_region(region):
            if request.get("StackName") in {None, stack.stack_id} or (
                request.get("StackName") == stack.name and not stack.deleted
            ):
                for change_set in stack.change_sets.values():
                    if name in {change_set.name, change_set.arn}:
                        return stack, change_set
        raise ChangeSetNotFoundException(f"ChangeSet [{name}] does not exist")

    def _owner(self, physical_id: str, region: str) -> Stack:
        for stack in self.stacks.in_region(region):
            if any(resource.physical_id == physical_id for resource in stack.resources.values()):
                return stack
        raise ValidationError(f"Stack for {physical_id} does not exist")


def _page(member: str, values: list[Any], request: Mapping[str, Any]) -> Json:
    start = int(request.get("NextToken", "0"))
    page: Json = {member: values[start : start + _PAGE]}
    if start + _PAGE < len(values):
        page["NextToken"] = str(start + _PAGE)
    return page
