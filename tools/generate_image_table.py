"""Write hosting/images.json: where AWS keeps its framework images, and how it tags them.

The SageMaker SDK ships the table that AWS maintains. It is about 1 GB installed, so it lives in an
environment of its own, and its answers are kept in a file that the package carries::

    python -m venv /tmp/sagemaker-sdk
    /tmp/sagemaker-sdk/bin/pip install sagemaker==3.27.0
    AWS_DEFAULT_REGION=us-east-1 /tmp/sagemaker-sdk/bin/python tools/generate_image_table.py

Needs no network and no credentials once installed. Tags come from the SDK's own function, so its
rules about processors and Python versions are not repeated here; accounts come from its data. That
a tag is in the table does not prove that ECR still holds it.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sagemaker.core import image_uris

OUTPUT = Path(__file__).parents[1] / "hosting" / "images.json"

# Our name (the image's own words) -> the SDK's.
FRAMEWORKS = {
    "huggingface": "huggingface",
    "pytorch": "pytorch",
    "scikit-learn": "sklearn",
    "sparkml": "sparkml-serving",
    "tensorflow": "tensorflow",
    "triton": "sagemaker-tritonserver",
    "xgboost": "xgboost",
}
# The built-in algorithm before script mode: another repository, no handler.
EXCLUDED = {("xgboost", "1")}
# One instance type per processor; the SDK derives the processor from it.
INSTANCE_TYPES = {"cpu": "ml.m5.large", "gpu": "ml.g4dn.xlarge", "graviton": "ml.c7g.large"}
SPARE_REGION = "us-east-1"  # every registry map has it; it does not enter the tag


def main() -> None:
    logging.disable()  # the SDK reports each argument it ignores
    registries: list[dict[str, str]] = []
    frameworks = {}
    for name, sdk_name in FRAMEWORKS.items():
        config = image_uris.config_for_framework(sdk_name)
        inference = config if "scope" in config else config["inference"]
        graviton = config.get("inference_graviton", {})
        versions: dict[str, list[dict[str, Any]]] = {}
        for version, processor, entry in entries(name, inference, graviton):
            if entry["registries"] not in registries:
                registries.append(entry["registries"])
            versions.setdefault(version, []).append(
                {
                    "processor": processor,
                    "repository": entry["repository"],
                    "registries": registries.index(entry["registries"]),
                    "tags": tags(sdk_name, version, processor, entry),
                }
            )
        frameworks[name] = {"aliases": aliases(versions, inference, graviton), "versions": versions}
    table = {
        "source": f"sagemaker-core {importlib.metadata.version('sagemaker-core')}",
        "generated": dt.datetime.now(dt.UTC).date().isoformat(),
        "registries": registries,
        "frameworks": frameworks,
    }
    OUTPUT.write_text(compact(table))
    sys.stdout.write(f"{OUTPUT}: {OUTPUT.stat().st_size} bytes\n")


def entries(
    name: str, inference: Mapping[str, Any], graviton: Mapping[str, Any]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each version and processor that has an image, with the SDK's entry for it."""
    for version, entry in inference["versions"].items():
        if (name, version) in EXCLUDED:
            continue
        if name == "huggingface":
            on_pytorch = [key for key in entry if key.startswith("pytorch")]
            base = max(on_pytorch, key=numbers)
            entry = {**entry[base], "base": base}  # noqa: PLW2901  # of one base framework
        # An image without processors in its tag runs on both, except SparkML: no GPU code.
        either = ["cpu"] if name == "sparkml" else ["cpu", "gpu"]
        for processor in inference.get("processors") or entry.get("processors") or either:
            yield version, processor, entry
    for version, entry in graviton.get("versions", {}).items():
        yield version, "graviton", entry


def aliases(versions: Mapping[str, Any], *scopes: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a short version stands for; Graviton's images may be of another patch than the rest."""
    found: dict[str, list[str]] = {}
    for scope in scopes:
        for alias, version in scope.get("version_aliases", {}).items():
            if version in versions and version not in found.setdefault(alias, []):
                found[alias].append(version)
    return {alias: targets for alias, targets in found.items() if targets}


def tags(sdk_name: str, version: str, processor: str, entry: Mapping[str, Any]) -> dict[str, str]:
    """The tag per Python version, ``""`` where the image has only one; newest Python last.

    The version as it was asked for is part of most tags ("2.6" and "2.6.0" both exist), so it is
    replaced by a placeholder.
    """
    found = {}
    for python in sorted(entry.get("py_versions", []), key=numbers) or [""]:
        uri = image_uris.retrieve(
            sdk_name,
            region=SPARE_REGION,
            version=version,
            py_version=python or None,
            instance_type=INSTANCE_TYPES[processor],
            image_scope="inference_graviton" if processor == "graviton" else "inference",
            base_framework_version=entry.get("base"),
        )
        tag = uri.rpartition(":")[2]
        follows_request = sdk_name != "huggingface" and tag.startswith(version)
        found[python] = f"{{version}}{tag.removeprefix(version)}" if follows_request else tag
    return found


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def compact(table: Mapping[str, Any]) -> str:
    """JSON with one line per version and per registry map, so that a new version is one line."""
    lines = ["{"]
    lines += [f'"{key}": {json.dumps(table[key])},' for key in ("source", "generated")]
    lines.append('"registries": [')
    maps = [json.dumps(registry, sort_keys=True) for registry in table["registries"]]
    lines += [",\n".join(maps), "],", '"frameworks": {']
    blocks = []
    for name, framework in sorted(table["frameworks"].items()):
        ordered = sorted(framework["versions"].items(), key=lambda item: numbers(item[0]))
        body = ",\n".join(
            f"{json.dumps(version)}: {json.dumps(images)}" for version, images in ordered
        )
        short = json.dumps(dict(sorted(framework["aliases"].items(), key=lambda i: numbers(i[0]))))
        blocks.append(f'{json.dumps(name)}: {{"aliases": {short}, "versions": {{\n{body}\n}}}}')
    lines += [",\n".join(blocks), "}", "}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
