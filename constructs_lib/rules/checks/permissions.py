"""What execution roles must be allowed: read artifacts, pull images, write results, publish."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from constructs_lib.rules import values
from constructs_lib.rules.grants import Access, arn_of
from constructs_lib.rules.resources import Resource
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Container, Model, Serving

# Source: sagemaker-roles.html, CreateModel (2026-11-20)
_PULL: Final = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_S3_URL: Final = re.compile(r"s3://(?P<bucket>(?:\$\{[^{}]*\}|[^/])+)/(?P<key>.*)", re.DOTALL)


@check("SM-R1")
def _role_reads_the_artifact(serving: Serving) -> Iterator[Fault]:
    for model, role, access in _roles(serving):
        for container in model.containers:
            for path in (("ModelDataUrl",), ("ModelDataSource", "S3DataSource", "S3Uri")):
                url = values.expression(container.get(*path))
                arn = _s3_arn(access, url)
                if arn is None or access.may("s3:GetObject", arn):
                    continue
                message = f"role {role.logical_id} may not s3:GetObject {_shown(serving, url)}"
                yield Fault(container, ".".join(path), message, detail=_detail(container))


@check("SM-R2")
def _role_pulls_the_image(serving: Serving) -> Iterator[Fault]:
    for model, role, access in _roles(serving):
        for container in model.containers:
            image = container.image
            if image is None or image.host is None or ".dkr." not in image.host:
                continue
            arn = arn_of(f":ecr:*:*:repository/{image.repository}")
            missing = [action for action in _PULL if not access.may(action, arn)]
            if not access.may("ecr:GetAuthorizationToken", arn_of("*")):
                missing.append("ecr:GetAuthorizationToken")
            if missing:
                message = (
                    f"role {role.logical_id} may not {', '.join(missing)},"
                    f" which pulling {image.repository} needs"
                )
                yield Fault(container, "Image", message, detail=_detail(container))


@check("SM-R3")
def _role_publishes_to_topics(serving: Serving) -> Iterator[Fault]:
    for role, access, config, name, topic in _topics(serving):
        if not access.may("sns:Publish", access.canonical(topic)):
            path = f"AsyncInferenceConfig.OutputConfig.NotificationConfig.{name}"
            message = f"role {role.logical_id} may not sns:Publish to {name}"
            yield Fault(config, path, message, detail=name)


@check("SM-R4")
def _role_uses_the_key_of_an_encrypted_topic(serving: Serving) -> Iterator[Fault]:
    topics = {topic.ref: topic for topic in serving.templates.of_type("AWS::SNS::Topic")}
    for role, access, config, name, reference in _topics(serving):
        topic = topics.get(reference)
        key = None if topic is None else values.expression(topic.get("KmsMasterKeyId"))
        if topic is None or key is None or not access.is_own_key(key):
            continue
        arn = access.canonical(key)
        missing = [
            action
            for action in ("kms:GenerateDataKey", "kms:Decrypt")
            if not access.may(action, arn) and not access.key_admits(key, role)
        ]
        if missing:
            path = f"AsyncInferenceConfig.OutputConfig.NotificationConfig.{name}"
            message = (
                f"{name} {topic.logical_id} is encrypted, and role {role.logical_id} may not"
                f" {', '.join(missing)} with its key"
            )
            yield Fault(config, path, message, detail=name)


@check("SM-R5")
def _role_writes_results(serving: Serving) -> Iterator[Fault]:
    for model, role, access in _roles(serving):
        for config, _ in serving.configs_of(model):
            for section, name in (
                ("AsyncInferenceConfig.OutputConfig", "S3OutputPath"),
                ("AsyncInferenceConfig.OutputConfig", "S3FailurePath"),
                ("DataCaptureConfig", "DestinationS3Uri"),
            ):
                path = f"{section}.{name}"
                url = values.expression(config.resource.get(*path.split(".")))
                if url is not None and not url.endswith("/"):
                    url = f"{url}/"
                arn = _s3_arn(access, url)
                if arn is None or access.may("s3:PutObject", arn + "*"):
                    continue
                message = f"role {role.logical_id} may not s3:PutObject below {name}"
                yield Fault(config.resource, path, message, detail=name)


def _topics(serving: Serving) -> Iterator[tuple[Resource, Access, Resource, str, str]]:
    for model, role, access in _roles(serving):
        for config, _ in serving.configs_of(model):
            notification = config.resource.get(
                "AsyncInferenceConfig", "OutputConfig", "NotificationConfig"
            )
            for name in ("SuccessTopic", "ErrorTopic"):
                topic = values.expression(values.at(notification, name))
                if topic is not None:
                    yield role, access, config.resource, name, topic


def _roles(serving: Serving) -> Iterator[tuple[Model, Resource, Access]]:
    """Models with a role of the templates, all of whose permissions are known."""
    roles = {role.attribute("Arn"): role for role in serving.templates.of_type("AWS::IAM::Role")}
    for model in serving.models:
        role = roles.get(values.expression(model.resource.get("ExecutionRoleArn")) or "")
        access = None if role is None else Access.of(role, serving.templates)
        if role is not None and access is not None:
            yield model, role, access


def _s3_arn(access: Access, url: str | None) -> str | None:
    parts = None if url is None or "${Fn::" in url else _S3_URL.fullmatch(url)
    if parts is None or access.admits_from_outside(parts["bucket"]):
        return None
    return access.object_arn(parts["bucket"], parts["key"])


def _shown(serving: Serving, url: str | None) -> str:
    return serving.templates.display(url or "")


def _detail(container: Container) -> str | None:
    place = container.path.removeprefix("Properties.")
    return None if place == "PrimaryContainer" else place
