"""What an update does to an endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.rules.document import TemplateFile
from constructs_lib.rules.update import Effect, Impact, impact

MODEL = {"PrimaryContainer": {"Image": "my-image", "ModelDataUrl": "s3://models/a.tar.gz"}}


def variant(**changes: Any) -> dict[str, Any]:
    return {
        "VariantName": "blue",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 2,
        **changes,
    }


def serverless() -> dict[str, Any]:
    return {
        "VariantName": "blue",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
    }


def stack(
    *variants: dict[str, Any],
    model: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    endpoint: dict[str, Any] | None = None,
    scaled: str | None = None,
) -> list[TemplateFile]:
    resources: dict[str, Any] = {
        "Model": ("AWS::SageMaker::Model", MODEL if model is None else model),
        "Config": (
            "AWS::SageMaker::EndpointConfig",
            {"ProductionVariants": list(variants) or [variant()], **(config or {})},
        ),
        "Endpoint": (
            "AWS::SageMaker::Endpoint",
            {
                "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
                **(endpoint or {}),
            },
        ),
    }
    if scaled is not None:
        resource_id = {"Fn::Sub": f"endpoint/${{Endpoint.EndpointName}}/variant/{scaled}"}
        resources["Target"] = (
            "AWS::ApplicationAutoScaling::ScalableTarget",
            {
                "ServiceNamespace": "sagemaker",
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                "ResourceId": resource_id,
                "MinCapacity": 1,
                "MaxCapacity": 4,
            },
        )
    return [
        TemplateFile(
            "stack.json",
            {
                "Resources": {
                    logical_id: {"Type": resource_type, "Properties": properties}
                    for logical_id, (resource_type, properties) in resources.items()
                }
            },
        )
    ]


def only(old: list[TemplateFile], new: list[TemplateFile]) -> Impact:
    [found] = impact(old, new)
    return found


def test_nothing_changes() -> None:
    assert only(stack(), stack()).effect is Effect.UNCHANGED


def test_endpoint_that_is_new_or_gone() -> None:
    nothing = [TemplateFile("stack.json", {"Resources": {}})]

    assert only(nothing, stack()).effect is Effect.CREATED
    assert only(stack(), nothing).effect is Effect.DELETED


def test_new_artifact_means_a_new_fleet_although_the_configuration_reads_the_same() -> None:
    model = {"PrimaryContainer": {**MODEL["PrimaryContainer"], "ModelDataUrl": "s3://b/c.tar.gz"}}

    found = only(stack(), stack(model=model))

    assert found.effect is Effect.NEW_FLEET
    assert found.reasons[0].text == "PrimaryContainer of Model changes"
    assert "no alarm stops a bad update" in {reason.text for reason in found.reasons}


def test_settings_of_the_rollout_change_in_place() -> None:
    found = only(stack(), stack(endpoint={"RetainAllVariantProperties": True}))

    assert found.effect is Effect.IN_PLACE
    assert found.reasons[0].text == "RetainAllVariantProperties changes; the instances stay"


def test_other_name_replaces_the_endpoint() -> None:
    found = only(stack(endpoint={"EndpointName": "cats"}), stack(endpoint={"EndpointName": "dogs"}))

    assert found.effect is Effect.REPLACED


def test_scaled_variant_keeps_its_instance_type_and_may_change_its_model() -> None:
    other_type = variant(InstanceType="ml.c5.large")
    other_model = {"PrimaryContainer": {"Image": "my-other-image"}}

    refused = only(stack(scaled="blue"), stack(other_type, scaled="blue"))

    assert refused.effect is Effect.REFUSED
    assert [reason.rule for reason in refused.reasons] == ["SM-U1"]
    assert only(stack(scaled="blue"), stack(scaled="blue", model=other_model)).effect is (
        Effect.NEW_FLEET
    )
    assert only(stack(), stack(other_type)).effect is Effect.NEW_FLEET


def test_scaled_variant_cannot_be_removed() -> None:
    green = variant(VariantName="green")

    refused = only(stack(variant(), green, scaled="blue"), stack(green))

    assert [reason.rule for reason in refused.reasons] == ["SM-U1"]


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        (variant(), serverless(), Effect.REFUSED),
        (serverless(), variant(), Effect.NEW_FLEET),
    ],
)
def test_real_time_does_not_become_serverless_and_the_reverse_is_allowed(
    old: dict[str, Any], new: dict[str, Any], effect: Effect
) -> None:
    assert only(stack(old), stack(new)).effect is effect


def test_variant_keeps_its_name_under_a_rollout() -> None:
    rollout = {
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 60}
            }
        }
    }
    renamed = variant(VariantName="green")

    guarded = only(stack(endpoint=rollout), stack(renamed, endpoint=rollout))

    assert [reason.rule for reason in guarded.reasons] == ["SM-G5"]
    assert only(stack(), stack(renamed)).effect is Effect.NEW_FLEET


def test_fixed_name_of_what_must_be_replaced_is_refused() -> None:
    name = {"EndpointConfigName": "cats"}

    refused = only(stack(config=name), stack(variant(InitialInstanceCount=3), config=name))

    assert refused.effect is Effect.REFUSED
    assert [reason.rule for reason in refused.reasons] == ["SM-U2"]


def test_stacks_of_two_folders_are_compared_by_their_file_names() -> None:
    def assembly(folder: str, *variants: dict[str, Any]) -> list[TemplateFile]:
        [changed] = stack(*variants)
        [kept] = stack()
        return [
            TemplateFile(f"{folder}/A.template.json", changed.document),
            TemplateFile(f"{folder}/B.template.json", kept.document),
        ]

    impacts = impact(assembly("old"), assembly("new", variant(InstanceType="ml.c5.large")))

    assert [each.effect for each in impacts] == [Effect.NEW_FLEET, Effect.UNCHANGED]
