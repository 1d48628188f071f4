"""AWS framework images, found without a network: account, repository and tag of each.

The table in ``images.json`` is generated from the SageMaker SDK's own data (see
``tools/generate_image_table.py``); its head names the version and the date. A tag in the table was
published once: that a registry still holds it can only be seen by pulling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, get_args

# "graviton": Arm processors of AWS, which run no image built for the others.
ImageProcessor = Literal["cpu", "gpu", "graviton"]

# Names below which a partition keeps its registries; all other regions: amazonaws.com. A test
# compares them with the partitions of botocore.
_DNS_SUFFIXES: Final = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "eusc-": "amazonaws.eu",
}
_DEFAULT_DNS_SUFFIX: Final = "amazonaws.com"

_ECR_HOST: Final = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<suffix>[a-z0-9.-]+)"
)
_IMAGE_URI: Final = re.compile(
    r"(?:(?P<host>[^/\s]*[.:][^/\s]*|localhost)/)?"
    r"(?P<repository>[^:@\s]+)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9+._-]+:[0-9a-f]{32,}))?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameworkImage:
    """One image in every region that has it; ``registries`` maps a region to an account."""

    framework: str
    version: str
    processor: ImageProcessor
    repository: str
    tag: str
    registries: Mapping[str, str]

    def uri(self, region: str) -> str:
        """The image's address in a region.

        Raises:
            ValueError: the region's registries do not have the image.
        """
        if region not in self.registries:
            raise ValueError(
                f"region of {self.framework} {self.version} must be one of"
                f" {_listed(self.registries)}, got {region}"
            )
        host = f"{self.registries[region]}.dkr.ecr.{region}.{dns_suffix(region)}"
        return f"{host}/{self.repository}:{self.tag}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReference:
    """The parts of an image's address.

    ``account`` and ``region`` are set when ``host`` is an ECR registry. At most one of ``tag`` and
    ``digest`` is what SageMaker accepts; an address may carry both.
    """

    host: str | None
    repository: str
    tag: str | None = None
    digest: str | None = None
    account: str | None = None
    region: str | None = None


def frameworks() -> tuple[str, ...]:
    """Names of the frameworks in the table."""
    return tuple(sorted(_table()["frameworks"]))


def versions(framework: str, *, processor: ImageProcessor | None = None) -> tuple[str, ...]:
    """Full versions of a framework, oldest first; those with an image for ``processor`` if given.

    Raises:
        ValueError: the framework is not in the table.
    """
    return tuple(
        sorted(
            (
                version
                for version, images in _framework(framework)["versions"].items()
                if processor is None or any(image["processor"] == processor for image in images)
            ),
            key=_numbers,
        )
    )


def find(
    *,
    framework: str,
    version: str | None = None,
    processor: ImageProcessor = "cpu",
    python: str | None = None,
) -> FrameworkImage:
    """Find a framework's image in all regions at once.

    Args:
        version: a full version, or a short one ("2.6" for PyTorch 2.6.0) where AWS tags images with
            it too; the newest with an image for ``processor`` when not given.
        python: as in the tag ("py312"); the newest that the version has when not given.

    Raises:
        ValueError: the table has no such image; the message lists what it has.
    """
    if processor not in get_args(ImageProcessor):
        raise ValueError(
            f"processor must be one of {', '.join(get_args(ImageProcessor))}, got {processor}"
        )
    known = versions(framework, processor=processor)
    if not known:
        choices = _listed(
            each for each in get_args(ImageProcessor) if versions(framework, processor=each)
        )
        raise ValueError(f"processor of {framework} must be {choices}, got {processor}")
    asked = known[-1] if version is None else version
    aliased = _framework(framework)["aliases"].get(asked, [asked])
    full = next((candidate for candidate in aliased if candidate in known), None)
    if full is None:
        raise ValueError(
            f"version of {framework} for {processor} must be one of {', '.join(known)}, got {asked}"
        )
    image = next(
        image
        for image in _framework(framework)["versions"][full]
        if image["processor"] == processor
    )
    return FrameworkImage(
        framework=framework,
        version=asked,
        processor=processor,
        repository=image["repository"],
        tag=_tag(image["tags"], python, f"{framework} {asked}").format(version=asked),
        registries=_table()["registries"][image["registries"]],
    )


def framework_image(
    *,
    framework: str,
    region: str,
    version: str | None = None,
    processor: ImageProcessor = "cpu",
    python: str | None = None,
) -> str:
    """The address of a framework's image in a region.

    >>> framework_image(framework="xgboost", version="3.2-0", region="eu-west-1")
    '141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0'

    Raises:
        ValueError: there is no such image; the message lists what there is.
    """
    image = find(framework=framework, version=version, processor=processor, python=python)
    return image.uri(region)


def parse_image_uri(uri: str) -> ImageReference:
    """Take an image's address apart: ``registry/repository[:tag][@digest]``.

    Raises:
        ValueError: it is not an image's address.
    """
    parts = _IMAGE_URI.fullmatch(uri)
    if parts is None:
        raise ValueError(f"image must be registry/repository[:tag] or [@digest], got {uri!r}")
    host = parts["host"]
    ecr = None if host is None else _ECR_HOST.fullmatch(host)
    return ImageReference(
        host=host,
        repository=parts["repository"],
        tag=parts["tag"],
        digest=parts["digest"],
        account=None if ecr is None else ecr["account"],
        region=None if ecr is None else ecr["region"],
    )


def dns_suffix(region: str) -> str:
    """The domain below which a region's registries are."""
    for prefix, suffix in _DNS_SUFFIXES.items():
        if region.startswith(prefix):
            return suffix
    return _DEFAULT_DNS_SUFFIX


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files("hosting").joinpath("images.json").read_text())
    return table


def _framework(name: str) -> dict[str, Any]:
    table: dict[str, dict[str, Any]] = _table()["frameworks"]
    if name not in table:
        raise ValueError(f"framework must be one of {', '.join(frameworks())}, got {name}")
    return table[name]


def _tag(tags: Mapping[str, str], python: str | None, image: str) -> str:
    if python is None:
        return list(tags.values())[-1]
    if python not in tags:
        choices = _listed(key for key in tags if key) or "left out"
        raise ValueError(f"python of {image} must be {choices}, got {python}")
    return tags[python]


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
