"""Containers of a model: their number, names, environment and ways to be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from constructs_lib.rules import values
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Container, Model, Serving
from hosting import limits, validation
from hosting.expression import Unresolved


@check("SM-P1")
def _pipeline_is_well_formed(serving: Serving) -> Iterator[Fault]:
    for model in serving.models:
        containers = model.containers
        if len(containers) > limits.MAX_CONTAINERS:
            message = f"containers must number {limits.PIPELINE_CONTAINERS}, got {len(containers)}"
            yield Fault(model.resource, "Containers", message)
        if len(containers) < limits.PIPELINE_CONTAINERS.minimum:
            continue
        unnamed = [_position(each) for each in containers if each.get("ContainerHostname") is None]
        named = [each for each in containers if values.given(each.get("ContainerHostname"))]
        if unnamed and named:
            message = (
                "ContainerHostname must be set for all containers or for none,"
                f" got none for container {', '.join(unnamed)}"
            )
            yield Fault(model.resource, "Containers", message)


@check("SM-P2")
def _hostnames_tell_containers_apart(serving: Serving) -> Iterator[Fault]:
    for model in serving.models:
        hostnames = [values.text(each.get("ContainerHostname")) for each in model.containers]
        known = [hostname for hostname in hostnames if hostname is not None]
        for hostname in sorted({each for each in known if known.count(each) > 1}):
            message = f"ContainerHostname must differ between containers, got {hostname} twice"
            yield Fault(model.resource, "Containers", message)
        if model.execution_mode != "Direct":
            continue
        for container in model.containers:
            if container.get("ContainerHostname") is None:
                message = "ContainerHostname must be set in Direct mode, got none"
                yield Fault(container, "", message, detail=_detail(container))


@check("SM-P3")
def _containers_are_given_in_one_way(serving: Serving) -> Iterator[Fault]:
    for model in serving.models:
        primary = model.resource.get("PrimaryContainer")
        containers = model.resource.get("Containers")
        if values.given(primary) and values.given(containers):
            message = "either PrimaryContainer or Containers must be given, got both"
            yield Fault(model.resource, "PrimaryContainer", message)
        elif primary is None and (containers is None or containers == []):
            message = "either PrimaryContainer or Containers must be given, got neither"
            yield Fault(model.resource, "", message)


@check("SM-P4")
def _environment_fits(serving: Serving) -> Iterator[Fault]:
    for model in serving.models:
        known = [_known_environment(container) for container in model.containers]
        for complaint in validation.environment(known, argument="Environment"):
            yield Fault(model.resource, _containers_path(model), complaint)


def _known_environment(container: Container) -> dict[str, str]:
    """The entries whose key and value are known; what is not known has no length."""
    entries = container.get("Environment")
    if not isinstance(entries, Mapping):
        return {}
    known = {key: values.text(value) for key, value in entries.items()}
    # A key counts with an empty value where the value is not known.
    return {
        key: "" if value is None else value
        for key, value in known.items()
        if not (isinstance(entries[key], Unresolved) and not values.given(entries[key]))
    }


def _containers_path(model: Model) -> str:
    return "PrimaryContainer" if model.resource.get("Containers") is None else "Containers"


def _position(container: Container) -> str:
    return str(int(container.path.rpartition(".")[2]) + 1)


def _detail(container: Container) -> str:
    return container.path.removeprefix("Properties.")
