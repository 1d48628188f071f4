"""The model under test, by its name or found in a deployed stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from benchmarking.aws import Account, code_of
from benchmarking.errors import RefusedError

_MODEL: Final = "AWS::SageMaker::Model"
_GONE: Final = ("DELETE_COMPLETE", "DELETE_IN_PROGRESS")


def describe_model(account: Account, name: str) -> Mapping[str, Any]:
    """DescribeModel's answer.

    Raises:
        RefusedError: there is no such model; some that there are, are named.
    """
    sagemaker = account.client("sagemaker")
    try:
        model: Mapping[str, Any] = sagemaker.describe_model(ModelName=name)
    except ClientError as error:
        if code_of(error) != "ValidationException":
            raise
        listed = sagemaker.list_models(MaxResults=10)["Models"]
        there = ", ".join(each["ModelName"] for each in listed)
        raise RefusedError(
            f"model_name must be a model of {account.region}, got {name};"
            f" {f'there are {there}' if there else 'there is none'}"
        ) from None
    return model


def model_in_stack(account: Account, *, stack: str | None, environment: str | None) -> str:
    """The name of the one model of a deployed stack.

    Args:
        stack: its name, or the part of it before ``-ENVIRONMENT``.
        environment: what it was deployed with as ``-c env=``.

    Raises:
        RefusedError: there is no such stack, or it does not have exactly one model.
    """
    names = _stacks(account, environment)
    full = f"{stack}-{environment}" if environment is not None else stack
    if stack is not None and (stack in names or full in names):
        chosen = stack if stack in names else str(full)
    elif stack is None and len(names) == 1:
        chosen = names[0]
    else:
        got = "none" if stack is None else stack
        where = "" if environment is None else f" of env {environment}"
        allowed = f"one of {', '.join(names)}" if names else f"deployed, and none{where} is"
        raise RefusedError(f"stack must be {allowed}, got {got}")
    resources = account.client("cloudformation").describe_stack_resources(StackName=chosen)
    models = {
        each["LogicalResourceId"]: each["PhysicalResourceId"].rpartition("/")[2]
        for each in resources["StackResources"]
        if each["ResourceType"] == _MODEL
    }
    if len(models) != 1:
        listed = ", ".join(f"{name} ({logical})" for logical, name in models.items())
        raise RefusedError(
            f"stack {chosen} must have one model, it has {len(models)}"
            f"{f': {listed}; name one with --model-name' if listed else ''}"
        )
    return str(next(iter(models.values())))


def _stacks(account: Account, environment: str | None) -> list[str]:
    pages = account.client("cloudformation").get_paginator("describe_stacks").paginate()
    return sorted(
        each["StackName"]
        for page in pages
        for each in page["Stacks"]
        if each["StackStatus"] not in _GONE
        and (environment is None or each["StackName"].endswith(f"-{environment}"))
    )
