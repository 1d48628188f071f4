"""Images and the processors of the instances that run them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final, get_args

from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Container, Serving, Variant
from hosting import images
from hosting.images import ImageProcessor

# What an image for Arm processors carries in its repository's name.
_ARM: Final = ("graviton", "arm64")


@check("SM-C1")
def _image_and_instance_fit(serving: Serving) -> Iterator[Fault]:
    for variant, container in _placed(serving):
        built_for = image_processors(container)
        if container.image is None or built_for is None:
            continue
        shown = f"{container.image.repository}:{container.image.tag}"
        if built_for == {"gpu"} and variant.processor == "cpu":
            message = f"image {shown} is built for GPUs, and {variant.instance_type} has none"
            yield Fault(variant, "InstanceType", message, detail=_detail(variant, container))
        if "gpu" not in built_for and variant.processor == "gpu":
            message = (
                f"image {shown} is built for CPUs, and {variant.instance_type} has GPUs"
                " that nothing would use"
            )
            yield Fault(variant, "InstanceType", message, detail=_detail(variant, container))


@check("SM-C2")
def _image_runs_on_the_architecture(serving: Serving) -> Iterator[Fault]:
    for variant, container in _placed(serving):
        built_for = image_processors(container)
        if container.image is None or built_for is None or variant.processor is None:
            continue
        shown = f"{container.image.repository}:{container.image.tag}"
        on_arm = variant.processor == "graviton"
        if built_for == {"graviton"} and not on_arm:
            message = (
                f"image {shown} is built for Arm processors (Graviton), got {variant.instance_type}"
            )
            yield Fault(variant, "InstanceType", message, detail=_detail(variant, container))
        if on_arm and not _runs_on_arm(container.image.repository):
            message = (
                f"image {shown} is built for x86 processors, and those of"
                f" {variant.instance_type} are Arm (Graviton)"
            )
            yield Fault(variant, "InstanceType", message, detail=_detail(variant, container))


def image_processors(container: Container) -> frozenset[ImageProcessor] | None:
    """What an image of AWS is built for; None for images that AWS does not make, or of no tag."""
    reference = container.image
    if reference is None or reference.repository not in _table() or reference.tag is None:
        return None
    tags = _table()[reference.repository]
    if reference.tag in tags:
        return tags[reference.tag]
    if any(word in reference.repository for word in _ARM):
        return frozenset({"graviton"})
    # Newer than the table: tags name the processor between hyphens.
    words = reference.tag.split("-")
    named = {word for word in words if word in {"cpu", "gpu"}}
    if len(named) == 1:
        return frozenset({"cpu"} if named == {"cpu"} else {"gpu"})
    return None


def _runs_on_arm(repository: str) -> bool:
    """Whether a repository of AWS has an image for Arm, as far as is known."""
    return any("graviton" in processors for processors in _table()[repository].values())


@cache
def _table() -> dict[str, dict[str, frozenset[ImageProcessor]]]:
    """Tags and what they are built for, by repository."""
    table: dict[str, dict[str, frozenset[ImageProcessor]]] = {}
    for framework in images.frameworks():
        for processor in get_args(ImageProcessor):
            for version in images.versions(framework, processor=processor):
                image = images.find(framework=framework, version=version, processor=processor)
                tags = table.setdefault(image.repository, {})
                tags[image.tag] = tags.get(image.tag, frozenset()) | {processor}
    return table


def _placed(serving: Serving) -> Iterator[tuple[Variant, Container]]:
    for config in serving.configs:
        for variant in config.all_variants:
            if variant.model is not None and variant.is_serverless is False:
                for container in variant.model.containers:
                    yield variant, container


def _detail(variant: Variant, container: Container) -> str | None:
    place = container.path.removeprefix("Properties.")
    return variant.name if place == "PrimaryContainer" else f"{variant.name}/{place}"
