"""Which program stands in for an image."""

from __future__ import annotations

import pytest

from local_runtime.images import UnknownImageError, program_for, repository_and_tag
from local_runtime.settings import ImageMapping


@pytest.mark.parametrize(
    ("image", "repository", "tag"),
    [
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6-cpu",
         "pytorch-inference", "2.6-cpu"),
        ("localhost:5000/team/server:1", "team/server", "1"),
        ("localhost/team/server", "team/server", None),
        ("team/server", "team/server", None),
        ("server@sha256:abc", "server", None),
        ("registry.example.com/a/b/c:v1@sha256:abc", "a/b/c", "v1"),
    ],
)  # fmt: skip
def test_an_address_is_split(image: str, repository: str, tag: str | None) -> None:
    assert repository_and_tag(image) == (repository, tag)


@pytest.mark.parametrize(
    ("repository", "stack"),
    [
        ("sagemaker-scikit-learn", "scikit-learn"),
        ("sagemaker-xgboost", "xgboost"),
        ("pytorch-inference", "pytorch"),
        ("huggingface-pytorch-inference", "huggingface"),
    ],
)
def test_aws_s_repositories_have_a_stack(repository: str, stack: str) -> None:
    image = f"683313688378.dkr.ecr.us-east-1.amazonaws.com/{repository}:1.0"

    assert program_for(image, {}, None) == ImageMapping(stack=stack)


def test_the_settings_file_comes_first_and_a_tag_before_its_repository() -> None:
    mappings = {
        "sagemaker-xgboost": ImageMapping(stack="inference"),
        "team/server": ImageMapping(command=("old",)),
        "team/server:2": ImageMapping(command=("new",)),
    }

    assert program_for("sagemaker-xgboost:1", mappings, "s").stack == "inference"
    assert program_for("team/server:1", mappings, "s").command == ("old",)
    assert program_for("team/server:2", mappings, "s").command == ("new",)


def test_an_unknown_image_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UnknownImageError) as raised:
        program_for("team/other:1", {"team/server": ImageMapping(stack="pytorch")}, None)

    assert "'team/other'" in str(raised.value)
    assert "sagemaker-xgboost, team/server" in str(raised.value)
    assert '[images."team/other"]' in str(raised.value)
    assert "--settings" in str(raised.value)
