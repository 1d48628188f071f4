"""CloudFormation templates as files: JSON, or YAML with the short forms of its functions."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# Anything longer is not a template: CloudFormation takes at most 1 MB, from S3.
# Source: AWS CloudFormation User Guide, cloudformation-limits.html (2026-11-20)
MAX_BYTES: Final = 64 * 1024 * 1024


class UnreadableError(Exception):
    """A file that is not a CloudFormation template; the message says why."""


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A template and where it stood.

    ``region`` and ``account`` are set when it is known where the template will be deployed.
    """

    name: str
    document: Mapping[str, Any]
    text: str = ""
    region: str | None = None
    account: str | None = None

    def line_of(self, logical_id: str) -> int | None:
        """The line on which a resource starts, counted from 1."""
        found = re.search(rf'^\s*["\']?{re.escape(logical_id)}["\']?\s*:', self.text, re.MULTILINE)
        if found is None:
            return None
        start = found.end() - len(found.group().lstrip())
        return self.text.count("\n", 0, start) + 1


def read(paths: Iterable[Path], *, region: str | None = None) -> list[TemplateFile]:
    """Read templates; a folder stands for every ``*.template.json`` in it, as ``cdk synth`` writes.

    Args:
        region: where they will be deployed, if that is known.

    Raises:
        UnreadableError: a file is not a template, or there is none.
    """
    templates = [
        dataclasses.replace(parse(text, name=str(file)), region=region)
        for path in paths
        for file, text in _texts(path)
    ]
    if not templates:
        raise UnreadableError("there must be at least one template, got none")
    return templates


def parse(text: str, *, name: str) -> TemplateFile:
    """Read one template from text.

    Raises:
        UnreadableError: it is neither JSON nor YAML, or has no Resources.
    """
    try:
        document = _load(text)
    except RecursionError as error:
        raise UnreadableError(f"{name}: values are nested too deep to read") from error
    except ValueError as error:
        raise UnreadableError(f"{name}: it must be JSON or YAML: {_first_line(error)}") from error
    if not isinstance(document, Mapping):
        got = "nothing" if document is None else type(document).__name__
        raise UnreadableError(f"{name}: a template must be a mapping, got {got}")
    if not isinstance(document.get("Resources"), Mapping):
        raise UnreadableError(f"{name}: a template must have a mapping Resources")
    return TemplateFile(name, document, text)


def _texts(path: Path) -> Iterator[tuple[Path, str]]:
    files = sorted(path.glob("*.template.json")) if path.is_dir() else [path]
    for file in files:
        try:
            size = file.stat().st_size
            if size > MAX_BYTES:
                raise UnreadableError(f"{file}: it must have at most {MAX_BYTES} bytes, got {size}")
            yield file, file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise UnreadableError(f"{file}: it must be UTF-8 text: {error}") from error
        except OSError as error:
            raise UnreadableError(f"{file}: {error.strerror}") from error


def _load(text: str) -> object:
    if text.lstrip()[:1] == "{":
        try:
            return json.loads(text)
        except ValueError:
            # YAML too has mappings in braces, with keys that need no quotes.
            pass
    try:
        # What CDK writes is JSON: an app needs no YAML.
        from constructs_lib.rules import yaml_document  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ValueError(f"for YAML, install {error.name}") from error
    return yaml_document.load(text)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
