"""Which program stands in for a container image. Images themselves are not run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from local_runtime.errors import NotServableError
from local_runtime.settings import ImageMapping

SERVING_STACK_OF: Final[Mapping[str, str]] = {
    "sagemaker-scikit-learn": "scikit-learn",
    "sagemaker-xgboost": "xgboost",
    "pytorch-inference": "pytorch",
    "huggingface-pytorch-inference": "huggingface",
}
"""AWS's own repositories, and the stack of ours that honours the same contract."""

_REGISTRY: Final = re.compile(r"^(?P<registry>[^/]*[.:][^/]*|localhost)/(?P<path>.+)$")


class UnknownImageError(NotServableError):
    """No program is known for an image."""


def repository_and_tag(image: str) -> tuple[str, str | None]:
    """Split an image's address; the registry in front of it does not matter here.

    >>> repository_and_tag("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5")
    ('sagemaker-xgboost', '3.0-5')
    """
    match = _REGISTRY.match(image)
    path = image if match is None else match["path"]
    path = path.partition("@")[0]
    repository, _, tag = path.partition(":")
    return repository, tag or None


def program_for(
    image: str, mappings: Mapping[str, ImageMapping], settings_file: str | None
) -> ImageMapping:
    """What serves an image: the settings file first, then AWS's repositories.

    Raises:
        UnknownImageError: neither knows the image.
    """
    repository, tag = repository_and_tag(image)
    for name in (f"{repository}:{tag}", repository):
        if name in mappings:
            return mappings[name]
    if repository in SERVING_STACK_OF:
        return ImageMapping(stack=SERVING_STACK_OF[repository])
    known = ", ".join(sorted({*SERVING_STACK_OF, *mappings}))
    where = "a settings file (--settings)" if settings_file is None else settings_file
    raise UnknownImageError(
        f"image repository {repository!r} is not known to the local runtime, which does not run"
        f' images. Known: {known}. Add [images."{repository}"] with stack or command to {where}.'
    )
