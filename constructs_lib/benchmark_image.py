"""The image that benchmarks run in: a slim Python with this package's benchmarking."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from constructs import Construct

import hosting

BASE_IMAGE: Final = "python:3.12-slim"
# What the extra ``benchmark`` of this package asks for; a test compares them. The metadata of the
# package would say so too, but a clone of the repository has none.
REQUIREMENTS: Final = (
    "boto3>=1.44.5",
    "hdrhistogram>=0.10.8",
    "httptools>=0.9",
    "jinja2>=3.1",
    "pydantic>=2.11",
    "rich>=14,<15",
    "uvloop>=0.23",
)
_PACKAGES: Final = ("benchmarking", "hosting")

# The volume at /work takes its owner from the image's folder; everything else is read only.
# Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html (2026-11-21)
_DOCKERFILE: Final = f"""\
ARG BASE_IMAGE={BASE_IMAGE}
FROM $BASE_IMAGE
COPY requirements.txt /app/
RUN pip install --no-cache-dir --requirement /app/requirements.txt
COPY src /app
RUN useradd --uid 1000 benchmark && mkdir /work && chown benchmark /work
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/work TMPDIR=/work
WORKDIR /work
VOLUME ["/work"]
USER benchmark
"""


def benchmark_image(
    scope: Construct, construct_id: str, *, base_image: str | None = None
) -> ecs.ContainerImage:
    """Define an image asset: it is built, with Docker, when the stack is deployed.

    Args:
        base_image: with Python 3.11 or newer and ``pip``; ``python:3.12-slim`` without it.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-image-") as folder:
        write_context(Path(folder))
        asset = ecr_assets.DockerImageAsset(
            scope,
            construct_id,
            directory=folder,
            platform=ecr_assets.Platform.LINUX_AMD64,
            build_args=None if base_image is None else {"BASE_IMAGE": base_image},
        )
    return ecs.ContainerImage.from_docker_image_asset(asset)


def write_context(folder: Path) -> None:
    """Write what Docker builds from."""
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    (folder / "requirements.txt").write_text("".join(f"{each}\n" for each in REQUIREMENTS))
    source = Path(hosting.__file__).parent.parent
    for package in _PACKAGES:
        shutil.copytree(
            source / package,
            folder / "src" / package,
            ignore=shutil.ignore_patterns("__pycache__", "*.tmp"),
        )
