"""Single arguments of the command line, read and checked."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path

from benchmarking.cleaning import seconds
from benchmarking.errors import RefusedError
from hosting import limits


def memory_size(text: str) -> int:
    """A serverless memory size in MB."""
    sizes = limits.SERVERLESS_MEMORY_MB
    if text not in set(map(str, sizes)):
        allowed = ", ".join(map(str, sizes))
        raise argparse.ArgumentTypeError(f"must be one of {allowed}, got {text}")
    return int(text)


def duration(text: str) -> float:
    """A length of time, in seconds."""
    try:
        return seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def share(text: str) -> float:
    """A share, 0..1, also in percent."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, or 0% and 100%, got {text}")
    return value


def usd(text: str) -> Decimal:
    """An amount of dollars."""
    try:
        value = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        value = Decimal(-1)
    if not (value.is_finite() and value > 0):
        raise argparse.ArgumentTypeError(f"must be an amount above 0, got {text}")
    return value


def tag(text: str) -> tuple[str, str]:
    """``KEY=VALUE``."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE, got {text!r}")
    return key, value


def quota(text: str) -> tuple[int, int]:
    """``ENDPOINTS,CONCURRENCY``."""
    endpoints, comma, concurrency = text.partition(",")
    if not (comma and endpoints.isdecimal() and concurrency.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be two numbers, such as 5,10, got {text!r}")
    return int(endpoints), int(concurrency)


def hourly(name: str | None) -> tuple[float, ...] | None:
    """A file of 24 weights.

    Raises:
        RefusedError: it is none.
    """
    if name is None:
        return None
    try:
        weights = json.loads(Path(name).read_text())
        return tuple(float(weight) for weight in weights)
    except (OSError, ValueError, TypeError) as error:
        raise RefusedError(
            f"hourly must be a JSON list of 24 weights, got {name}: {error}"
        ) from None
