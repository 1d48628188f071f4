"""The file in which an environment's sizes stand: written by a benchmark, read by the stacks.

::

    [serverless]
    memory_size_mb = 3072
    max_concurrency = 8
    provisioned_concurrency = 0     # 0: none is kept warm
    chosen_by_run = "20261121-7f3a" # whose report says why
    chosen_on = 2026-11-21

    [instances]
    instance_type = "ml.m5.large"
    count = 2                       # that the load needs; an environment may keep more
    scale_out_to = 6

Every key may be left out; the environment's default then stands.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from hosting import limits, validation
from hosting.limits import Bounds

# What says where a section's sizes are from, in every section.
CHOSEN_BY_RUN: Final = "chosen_by_run"
CHOSEN_ON: Final = "chosen_on"


class SizesError(ValueError):
    """The file says what no environment can have; the message names the file and the key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """What one file says; None where it leaves the default.

    Args:
        provisioned_concurrency: 0 for none.
        instance_count: of every endpoint on instances, at least.
        scale_out_to: instances that scaling may add up to.
    """

    memory_size_mb: int | None = None
    max_concurrency: int | None = None
    provisioned_concurrency: int | None = None
    instance_type: str | None = None
    instance_count: int | None = None
    scale_out_to: int | None = None


def read(path: Path) -> Sizes:
    """Read and check a file.

    Raises:
        SizesError: it is no TOML, or a key or a value in it is none that is known.
    """
    try:
        document = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SizesError(f"{path} must be TOML: {error}") from None
    try:
        return parse(document)
    except SizesError as error:
        raise SizesError(f"{path}: {error}") from None


def parse(document: Mapping[str, Any]) -> Sizes:
    """Check what a file says.

    Raises:
        SizesError: a key or a value is none that is known.
    """
    found: dict[str, Any] = {}
    for section, entries in document.items():
        if section not in _SECTIONS:
            raise SizesError(f"sections must be {' and '.join(_SECTIONS)}, got {section}")
        if not isinstance(entries, dict):
            raise SizesError(f"{section} must be a section, got {_shown(entries)}")
        keys = _SECTIONS[section]
        for key, value in entries.items():
            if key not in keys:
                known = ", ".join(keys)
                raise SizesError(f"keys of {section} must be among {known}, got {key}")
            complaint = keys[key].check(value)
            if complaint is not None:
                raise SizesError(f"{section}.{key} must be {complaint}, got {_shown(value)}")
            field = keys[key].field
            if field is not None:
                found[field] = value
    return Sizes(**found)


@dataclass(frozen=True, slots=True)
class _Key:
    """A key, the field of ``Sizes`` that it sets, and what its value must be, if it is not."""

    field: str | None
    check: Callable[[Any], str | None]


def _whole(bounds: Bounds) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        # TOML's booleans are integers to Python.
        if isinstance(value, bool) or not isinstance(value, int) or value not in bounds:
            return f"a whole number, {bounds}"
        return None

    return check


def _memory_size(value: Any) -> str | None:
    if isinstance(value, bool) or value not in limits.SERVERLESS_MEMORY_MB:
        return f"one of {', '.join(map(str, limits.SERVERLESS_MEMORY_MB))}"
    return None


def _instance_type(value: Any) -> str | None:
    if not isinstance(value, str) or validation.instance_type("instance_type", value):
        return "an instance type such as ml.m5.large"
    return None


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "text"


def _day(value: Any) -> str | None:
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    return None if is_day else "a date such as 2026-11-21"


_ORIGIN: Final[Mapping[str, _Key]] = {
    CHOSEN_BY_RUN: _Key(None, _text),
    CHOSEN_ON: _Key(None, _day),
}
_SECTIONS: Final[Mapping[str, Mapping[str, _Key]]] = {
    "serverless": {
        "memory_size_mb": _Key("memory_size_mb", _memory_size),
        "max_concurrency": _Key("max_concurrency", _whole(limits.SERVERLESS_MAX_CONCURRENCY)),
        "provisioned_concurrency": _Key(
            "provisioned_concurrency",
            _whole(Bounds(0, limits.SERVERLESS_PROVISIONED_CONCURRENCY.maximum)),
        ),
        **_ORIGIN,
    },
    "instances": {
        "instance_type": _Key("instance_type", _instance_type),
        "count": _Key("instance_count", _whole(limits.INITIAL_INSTANCE_COUNT)),
        "scale_out_to": _Key("scale_out_to", _whole(limits.INITIAL_INSTANCE_COUNT)),
        **_ORIGIN,
    },
}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str) else str(value)
