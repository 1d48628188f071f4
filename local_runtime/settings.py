"""What a person may choose about the local runtime, as frozen values.

The settings file is TOML with three tables; every key may be left out::

    [images."my-team/my-server"]          # an image repository, or repository:tag
    command = ["{python}", "-m", "my_server"]
    cwd = "servers/mine"                  # relative to the settings file

    [images."my-team/scripted"]
    stack = "scikit-learn"                # one of our own serving stacks

    [limits]
    invocation_timeout_s = 10.0

    [choices]
    realtime_payload = "6MB"
"""

from __future__ import annotations

import dataclasses
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_type_hints

from hosting import limits as aws
from hosting.alarms import EXTRA_DATAPOINTS
from hosting.scaling import ScalingChoices

DEFAULT_PORT: Final = 8566
DEFAULT_REGION: Final = "us-east-1"
SERVING_STACKS: Final = ("scikit-learn", "xgboost", "pytorch", "inference", "huggingface")
REALTIME_PAYLOADS: Final[Mapping[str, int]] = {
    "25MB": aws.REALTIME_PAYLOAD_MAX_BYTES,
    "6MB": aws.REALTIME_PAYLOAD_STRICT_MAX_BYTES,
}

# What each choice may be; the first is the default.
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "realtime_payload": tuple(REALTIME_PAYLOADS),
    "file_system_isolation": ("auto", "required", "none"),
    "serverless_isolation": ("auto", "cgroup", "watch"),
    "serverless_start_cpu": ("whole", "share"),
    "serverless_after_creation": ("cold", "warm"),
    "async_failure_object": ("response", "reason"),
    "async_failure_suffix": ("-error.out", ".out"),
    "async_backlog_per_instance_at_zero": ("backlog", "missing"),
    "scaling_tracking_at_zero": ("wakes", "stays"),
    "scaling_larger_scale_out": ("restarts", "continues"),
    "scaling_scale_in_after_scale_out": ("at-once", "waits"),
    "sns_confirmation": ("sent", "waited-for"),
    "component_placement": ("BINPACK", "SPREAD"),
}

_MIB: Final = 1024 * 1024
_GIB: Final = 1024 * _MIB


class SettingsError(Exception):
    """A settings file or an argument says something that cannot be meant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageMapping:
    """How an image is served: by one of our stacks, or by a program that listens on a port."""

    stack: str | None = None
    command: tuple[str, ...] | None = None
    cwd: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. The first group is AWS's; the second protects a laptop."""

    invocation_timeout_s: float = aws.INVOCATION_TIMEOUT_S
    streaming_timeout_s: float = aws.STREAMING_TIMEOUT_S
    startup_timeout_s: float = aws.STARTUP_DEFAULT_TIMEOUT_S
    stop_grace_s: float = aws.STOP_GRACE_S
    ping_timeout_s: float = aws.PING_TIMEOUT_S
    pipeline_hop_bytes: int = aws.PIPELINE_HOP_PAYLOAD_MAX_BYTES

    max_instances_per_variant: int = 10
    queue_length: int = 1000
    queue_timeout_s: float = aws.INVOCATION_TIMEOUT_S
    connections_per_program: int = 64
    restart_backoff_s: float = 0.2
    restart_backoff_max_s: float = 10.0
    model_unpacked_bytes: int = 20 * _GIB
    model_unpack_ratio: int = 200
    model_unpack_ratio_from_bytes: int = 256 * _MIB
    model_members: int = 200_000
    model_download_timeout_s: float = 20 * 60.0
    requirements_timeout_s: float = 20 * 60.0
    log_file_bytes: int = 64 * _MIB
    open_files: int = 65_536
    container_memory_bytes: int = 64 * _GIB
    container_processes: int = 2_000
    container_file_bytes: int = 20 * _GIB
    client_head_timeout_s: float = 20.0
    client_body_timeout_s: float = 120.0
    client_stall_timeout_s: float = 60.0

    # Serverless; AWS says nothing about these. The idle time is on the service's clock.
    serverless_idle_s: float = 600.0
    serverless_start_wait_s: float = aws.INVOCATION_TIMEOUT_S
    serverless_mb_per_vcpu: float = 1769.0  # AWS Lambda's, on which serverless inference runs

    # Multi-model endpoints. The first two times are AWS's. Models get a share of the memory of the
    # instance's type, within the bytes given here; a copy is loaded on another instance when a
    # model has that many requests.
    multi_model_load_timeout_s: float = aws.MULTI_MODEL_LOAD_TIMEOUT_S
    multi_model_background_load_timeout_s: float = aws.MULTI_MODEL_BACKGROUND_LOAD_TIMEOUT_S
    multi_model_memory_share: float = 0.8
    multi_model_memory_bytes: int = 8 * _GIB
    multi_model_disk_bytes: int = 20 * _GIB
    multi_model_loads_at_once: int = 8
    multi_model_copy_at_requests: int = 4
    multi_model_listing_interval_s: float = 30.0

    # Asynchronous endpoints; AWS says nothing about these. The pause before a notification is tried
    # again doubles each time and is on the service's clock.
    async_concurrency: int = 4
    async_attempts: int = 1
    async_upload_attempts: int = 5
    async_notification_attempts: int = 3
    async_notification_retry_s: float = 1.0
    async_transfers: int = 8

    # How long an instance has no copy of an inference component before managed instance scaling
    # removes it; AWS does not say. On the service's clock.
    component_idle_instance_s: float = 60.0

    # Alarms and scaling; AWS says nothing definite about these, see hosting.scaling.ScalingChoices
    # and hosting.alarms. The silence is on the wall's clock.
    alarm_extra_datapoints: int = EXTRA_DATAPOINTS
    alarm_silence_s: float = 2.0
    scaling_high_datapoints: int = ScalingChoices().tracking_high_datapoints
    scaling_low_datapoints: int = ScalingChoices().tracking_low_datapoints
    scaling_low_ratio: float = ScalingChoices().tracking_low_ratio
    scaling_largest_scale_in: int = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """Where AWS's documents are silent or say two things.

    ``file_system_isolation``: whether containers get a view of the file system of their own;
    ``auto`` means where the system allows it.

    ``serverless_isolation``: who holds an environment to its memory and its share of the
    processors: a cgroup (version 2), or a watch over its processes; ``auto`` takes the first that
    works here. ``serverless_start_cpu``: what a cold start may use. ``serverless_after_creation``:
    whether the environment that has proven the container is kept.

    ``async_failure_object``: whether a failure object holds what the container answered, where it
    answered anything, or always the reason in our words. ``async_failure_suffix``: follows the id
    in its name. ``async_backlog_per_instance_at_zero``: whether ApproximateBacklogSizePerInstance
    is the whole backlog or has no datapoint while no instance runs.

    ``scaling_tracking_at_zero``: whether target tracking leaves zero when its metric is above the
    target. ``scaling_larger_scale_out``: what a larger scale-out does to the cooldown it comes in.
    ``scaling_scale_in_after_scale_out``: whether scaling in waits for the cooldown of a scale-out.

    ``sns_confirmation``: whether a subscriber over HTTP, which is always asked to confirm, gets
    messages before it has.

    ``component_placement``: where copies of an inference component without a PlacementStrategy go.
    """

    realtime_payload: str = "25MB"
    file_system_isolation: str = "auto"
    serverless_isolation: str = "auto"
    serverless_start_cpu: str = "whole"
    serverless_after_creation: str = "cold"
    async_failure_object: str = "response"
    async_failure_suffix: str = "-error.out"
    async_backlog_per_instance_at_zero: str = "backlog"
    scaling_tracking_at_zero: str = "wakes"
    scaling_larger_scale_out: str = "restarts"
    scaling_scale_in_after_scale_out: str = "at-once"
    sns_confirmation: str = "sent"
    component_placement: str = "BINPACK"


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeSettings:
    """Everything the data plane needs to know that no API call says."""

    port: int = DEFAULT_PORT
    region: str = DEFAULT_REGION
    speed: float = 1.0
    handler_python: str = sys.executable
    settings_file: str | None = None
    images: Mapping[str, ImageMapping] = field(default_factory=dict)
    limits: Limits = Limits()
    choices: Choices = Choices()

    @property
    def url(self) -> str:
        """Where clients find the runtime."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def scaling(self) -> ScalingChoices:
        """What the autoscaler goes by."""
        limits, choices = self.limits, self.choices
        return ScalingChoices(
            tracking_high_datapoints=limits.scaling_high_datapoints,
            tracking_low_datapoints=limits.scaling_low_datapoints,
            tracking_low_ratio=limits.scaling_low_ratio,
            zero_counts_as=1 if choices.scaling_tracking_at_zero == "wakes" else 0,
            largest_scale_in=limits.scaling_largest_scale_in,
            larger_scale_out_restarts_cooldown=choices.scaling_larger_scale_out == "restarts",
            scale_out_blocks_scale_in=choices.scaling_scale_in_after_scale_out == "waits",
        )

    @property
    def realtime_payload_bytes(self) -> int:
        """The largest body that InvokeEndpoint accepts."""
        return REALTIME_PAYLOADS[self.choices.realtime_payload]

    def to_document(self) -> dict[str, Any]:
        """As JSON, for the process that serves."""
        return dataclasses.asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RuntimeSettings:
        """Read what ``to_document`` has written."""
        images = {
            name: ImageMapping(
                stack=image["stack"],
                command=None if image["command"] is None else tuple(image["command"]),
                cwd=image["cwd"],
            )
            for name, image in document["images"].items()
        }
        return cls(
            **{
                **document,
                "images": images,
                "limits": Limits(**document["limits"]),
                "choices": Choices(**document["choices"]),
            }
        )


def read_settings_file(path: Path) -> tuple[dict[str, ImageMapping], Limits, Choices]:
    """Read the tables of a settings file.

    Raises:
        SettingsError: the file cannot be read, or holds an unknown key or a value out of range.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path}: not TOML: {error}") from error
    try:
        _refuse_unknown("top level", document, ("images", "limits", "choices"))
        images = {
            name: _image(name, table, path.parent)
            for name, table in _table("images", document).items()
        }
        limits = _limits(_table("limits", document))
        choices = _choices(_table("choices", document))
    except SettingsError as error:
        raise SettingsError(f"settings file {path}: {error}") from error
    return images, limits, choices


def _table(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{name} must be a table, got {table!r}")
    return table


def _refuse_unknown(where: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    for key in table:
        if key not in allowed:
            raise SettingsError(f"{where}: keys must be among {', '.join(allowed)}, got {key!r}")


def _image(name: str, table: object, base: Path) -> ImageMapping:
    where = f'images."{name}"'
    if not isinstance(table, dict):
        raise SettingsError(f"{where} must be a table, got {table!r}")
    _refuse_unknown(where, table, ("stack", "command", "cwd"))
    stack, command, cwd = table.get("stack"), table.get("command"), table.get("cwd")
    if (stack is None) == (command is None):
        raise SettingsError(f"{where} must have either stack or command, got {sorted(table)}")
    if stack is not None and stack not in SERVING_STACKS:
        raise SettingsError(f"{where}.stack must be one of {SERVING_STACKS}, got {stack!r}")
    if command is not None and not (
        isinstance(command, list) and command and all(isinstance(word, str) for word in command)
    ):
        raise SettingsError(f"{where}.command must be a list of strings, got {command!r}")
    if cwd is not None:
        if command is None or not isinstance(cwd, str):
            raise SettingsError(f"{where}.cwd must be a string beside command, got {cwd!r}")
        folder = (base / cwd).resolve()
        if not folder.is_dir():
            raise SettingsError(f"{where}.cwd must be an existing folder, got {cwd!r}")
        cwd = str(folder)
    elif command is not None:
        cwd = str(base.resolve())
    return ImageMapping(stack=stack, command=None if command is None else tuple(command), cwd=cwd)


def _limits(table: Mapping[str, Any]) -> Limits:
    types = get_type_hints(Limits)
    _refuse_unknown("limits", table, tuple(types))
    values: dict[str, Any] = {}
    for key, value in table.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or (types[key] is int and not isinstance(value, int)):
            kind = "an integer" if types[key] is int else "a number"
            raise SettingsError(f"limits.{key} must be {kind}, got {value!r}")
        if value <= 0:
            raise SettingsError(f"limits.{key} must be more than 0, got {value!r}")
        values[key] = types[key](value)
    limits = Limits(**values)
    if limits.scaling_low_ratio > 1:
        raise SettingsError(
            f"limits.scaling_low_ratio must be at most 1, got {limits.scaling_low_ratio!r}"
        )
    return limits


def _choices(table: Mapping[str, Any]) -> Choices:
    _refuse_unknown("choices", table, tuple(CHOICES))
    for key, value in table.items():
        if value not in CHOICES[key]:
            raise SettingsError(f"choices.{key} must be one of {CHOICES[key]}, got {value!r}")
    return Choices(**table)
