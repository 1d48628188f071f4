"""Checks of what SageMaker hosting allows, for everybody who takes values from outside.

Each check takes plain values and returns its complaints, none when all is well, so that a caller
can collect the faults of several arguments. ``require`` turns complaints into one ValueError::

    require(pipeline_length(1))  # ValueError: containers must number 2 to 15, got 1

A value that is not known yet (a CDK token, an unresolved expression of a template) has no
length and matches no pattern: leave it out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from hosting import limits
from hosting.limits import Bounds


def require(*complaints: Iterable[str]) -> None:
    """Raise one ValueError with every complaint, or return.

    Raises:
        ValueError: there is a complaint.
    """
    found = [complaint for group in complaints for complaint in group]
    if found:
        raise ValueError("; ".join(found))


def within(argument: str, value: float, bounds: Bounds) -> list[str]:
    """Check a number against its bounds, which are both allowed."""
    if value in bounds:
        return []
    if bounds.maximum is None:
        return [f"{argument} must be {bounds.minimum} or more, got {value}"]
    return [f"{argument} must be between {bounds.minimum} and {bounds.maximum}, got {value}"]


def whole(argument: str, value: float, bounds: Bounds) -> list[str]:
    """Check a number that counts something: it has no fraction, and is within its bounds."""
    if isinstance(value, float) and not value.is_integer():
        return [f"{argument} must be a whole number, got {value}"]
    return within(argument, value, bounds)


def name(argument: str, value: str) -> list[str]:
    """Check the name of an endpoint, endpoint configuration, model, variant or container host.

    The service model spells the pattern of a model's name differently; it admits the same names.
    """
    if len(value) <= limits.NAME_MAX_LENGTH and re.fullmatch(limits.NAME_PATTERN, value):
        return []
    return [
        (
            f"{argument} must be 1 to {limits.NAME_MAX_LENGTH} letters, digits and hyphens,"
            f" with a letter or digit at both ends, got {_shown(value)}"
        )
    ]


def instance_type(argument: str, value: str) -> list[str]:
    """Check the form of an instance type; which types there are changes every few months."""
    if re.fullmatch(limits.INSTANCE_TYPE_PATTERN, value):
        return []
    return [
        f"{argument} must be an endpoint instance type such as ml.m5.large, got {_shown(value)}"
    ]


def pipeline_length(count: int, *, argument: str = "containers") -> list[str]:
    """Check how many containers form an inference pipeline."""
    if count in limits.PIPELINE_CONTAINERS:
        return []
    return [f"{argument} must number {limits.PIPELINE_CONTAINERS}, got {count}"]


def hostnames(
    values: Sequence[str | None], *, argument: str = "hostname", direct: bool = False
) -> list[str]:
    """Check the host names of a model's containers, in order; ``None`` where none was given.

    Either no container or every container has one, all different. With ``direct`` (containers
    that are invoked one by one) each needs one.
    Source: service model, ContainerDefinition.ContainerHostname; multi-container-create.html
    """
    complaints = []
    missing = [position for position, value in enumerate(values, start=1) if value is None]
    if direct and missing:
        complaints.append(
            f"{argument} must be set for each container of Direct mode,"
            f" got none for {_positions(missing)}"
        )
    elif missing and len(missing) < len(values):
        complaints.append(
            f"{argument} must be set for all containers or for none,"
            f" got none for {_positions(missing)}"
        )
    given = [value for value in values if value is not None]
    for value in given:
        complaints += name(argument, value)
    repeated = sorted(value for value, count in Counter(given).items() if count > 1)
    if repeated:
        shown = ", ".join(_shown(value) for value in repeated)
        complaints.append(f"{argument} must differ between containers, got {shown} more than once")
    return complaints


def environment(
    containers: Sequence[Mapping[str, str]], *, argument: str = "environment"
) -> list[str]:
    """Check the environments of all containers of one model: each entry, and their sum.

    Source: service model, ContainerDefinition.Environment
    """
    complaints = []
    total = 0
    for position, entries in enumerate(containers, start=1):
        where = argument if len(containers) == 1 else f"{argument} of container {position}"
        if len(entries) > limits.ENVIRONMENT_MAX_ENTRIES:
            complaints.append(
                f"{where} must have at most {limits.ENVIRONMENT_MAX_ENTRIES} entries,"
                f" got {len(entries)}"
            )
        for key, value in entries.items():
            if re.fullmatch(limits.ENVIRONMENT_KEY_PATTERN, key) is None:
                complaints.append(
                    f"{where}: a key must be letters, digits and underscores"
                    f" and not start with a digit, got {_shown(key)}"
                )
            key_bytes, value_bytes = _bytes(key), _bytes(value)
            if key_bytes > limits.ENVIRONMENT_KEY_MAX_BYTES:
                complaints.append(
                    f"{where}: a key must have at most {limits.ENVIRONMENT_KEY_MAX_BYTES} bytes,"
                    f" got {key_bytes} in {_shown(key)}"
                )
            if value_bytes > limits.ENVIRONMENT_VALUE_MAX_BYTES:
                complaints.append(
                    f"{where}: a value must have at most {limits.ENVIRONMENT_VALUE_MAX_BYTES}"
                    f" bytes, got {value_bytes} for {_shown(key)}"
                )
            total += key_bytes + value_bytes
    if total > limits.ENVIRONMENT_TOTAL_MAX_BYTES:
        complaints.append(
            f"{argument}: keys and values of all containers together must have at most"
            f" {limits.ENVIRONMENT_TOTAL_MAX_BYTES} bytes, got {total}"
        )
    return complaints


def model_containers(*, primary: bool, containers: int | None) -> list[str]:
    """Check that CreateModel names its containers in exactly one of its two ways.

    Args:
        primary: whether PrimaryContainer is given.
        containers: the length of Containers, or None when that is not given.
    """
    if primary and containers is not None:
        return ["either PrimaryContainer or Containers must be given, got both"]
    if primary:
        return []
    if containers is None:
        return ["either PrimaryContainer or Containers must be given, got neither"]
    if containers not in Bounds(1, limits.MAX_CONTAINERS):
        return [f"Containers must number 1 to {limits.MAX_CONTAINERS}, got {containers}"]
    return []


def multi_model_containers(modes: Sequence[str | None]) -> list[str]:
    """Check the modes of a model's containers: a request names one target model, not several."""
    for mode in modes:
        if mode not in {None, "SingleModel", "MultiModel"}:
            return [f"Mode must be SingleModel or MultiModel, got {_shown(str(mode))}"]
    count = sum(mode == "MultiModel" for mode in modes)
    if count <= limits.MAX_MULTI_MODEL_CONTAINERS:
        return []
    return [
        (
            f"containers in MultiModel mode must number at most"
            f" {limits.MAX_MULTI_MODEL_CONTAINERS}, got {count}"
        )
    ]


def model_data_url(
    url: str, *, multi_model: bool = False, argument: str = "model_data_url"
) -> list[str]:
    """Check where the model data is: one .tar.gz archive, or a prefix in MultiModel mode.

    Source: service model, ContainerDefinition.ModelDataUrl; create-multi-model-endpoint.html
    """
    well_formed = re.fullmatch(limits.MODEL_DATA_URL_PATTERN, url) is not None
    if not well_formed or len(url) > limits.MODEL_DATA_URL_MAX_LENGTH:
        return [
            (
                f"{argument} must be an s3:// or https:// address of at most"
                f" {limits.MODEL_DATA_URL_MAX_LENGTH} characters, got {_shown(url)}"
            )
        ]
    if multi_model and (not url.endswith("/") or not url.startswith("s3://")):
        return [f"{argument} must be a prefix s3://.../ in MultiModel mode, got {_shown(url)}"]
    if not multi_model and not url.endswith(".tar.gz"):
        return [f"{argument} must name a .tar.gz archive, got {_shown(url)}"]
    return []


def variants(names: Sequence[str], *, shadows: Sequence[str] = ()) -> list[str]:
    """Check the names of an endpoint configuration's production and shadow variants."""
    complaints = []
    if len(names) not in limits.PRODUCTION_VARIANTS:
        complaints.append(
            f"production variants must number {limits.PRODUCTION_VARIANTS}, got {len(names)}"
        )
    if shadows and (len(names), len(shadows)) != (
        limits.VARIANTS_WITH_SHADOW,
        limits.MAX_SHADOW_VARIANTS,
    ):
        complaints.append(
            "a shadow variant needs exactly one production and one shadow variant,"
            f" got {len(names)} and {len(shadows)}"
        )
    for value in (*names, *shadows):
        complaints += name("variant name", value)
    repeated = sorted(value for value, count in Counter((*names, *shadows)).items() if count > 1)
    if repeated:
        shown = ", ".join(_shown(value) for value in repeated)
        complaints.append(f"variant names must differ, got {shown} more than once")
    return complaints


def serverless_size(
    memory_size_mb: int, max_concurrency: int, provisioned_concurrency: int | None = None
) -> list[str]:
    """Check the size of a serverless variant."""
    complaints = []
    if memory_size_mb not in limits.SERVERLESS_MEMORY_MB:
        complaints.append(
            f"memory_size_mb must be one of {limits.SERVERLESS_MEMORY_MB}, got {memory_size_mb}"
        )
    complaints += within("max_concurrency", max_concurrency, limits.SERVERLESS_MAX_CONCURRENCY)
    if provisioned_concurrency is not None:
        complaints += within(
            "provisioned_concurrency",
            provisioned_concurrency,
            limits.SERVERLESS_PROVISIONED_CONCURRENCY,
        )
        if provisioned_concurrency > max_concurrency:
            complaints.append(
                f"provisioned_concurrency must be at most max_concurrency ({max_concurrency}),"
                f" got {provisioned_concurrency}"
            )
    return complaints


def custom_attributes(value: str, *, argument: str = "CustomAttributes") -> list[str]:
    """Check the header in which a caller passes its own words to the containers."""
    ascii_only = re.fullmatch(limits.CUSTOM_ATTRIBUTES_PATTERN, value) is not None
    if ascii_only and len(value) <= limits.CUSTOM_ATTRIBUTES_MAX_LENGTH:
        return []
    return [
        (
            f"{argument} must be at most {limits.CUSTOM_ATTRIBUTES_MAX_LENGTH} ASCII characters,"
            f" got {len(value)}: {_shown(value)}"
        )
    ]


def target_model(value: str, *, argument: str = "TargetModel") -> list[str]:
    """Check the model that an invocation of a multi-model endpoint names."""
    return _printable(argument, value, limits.TARGET_MODEL_LENGTH, limits.TARGET_MODEL_PATTERN)


def inference_id(value: str, *, argument: str = "InferenceId") -> list[str]:
    """Check the caller's own id of an invocation."""
    return _printable(argument, value, limits.INFERENCE_ID_LENGTH, limits.INFERENCE_ID_PATTERN)


def _printable(argument: str, value: str, length: Bounds, pattern: str) -> list[str]:
    if len(value) in length and re.fullmatch(pattern, value):
        return []
    return [
        (
            f"{argument} must be {length} printable characters and not start with a space,"
            f" got {_shown(value)}"
        )
    ]


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _positions(positions: Sequence[int]) -> str:
    noun = "container" if len(positions) == 1 else "containers"
    return f"{noun} {', '.join(str(position) for position in positions)}"


def _shown(value: str) -> str:
    """The value in quotes, cut when it would drown the message."""
    return repr(value) if len(value) <= 80 else f"{value[:77]!r}... ({len(value)} characters)"
