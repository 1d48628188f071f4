"""Framework images: known addresses, defaults, and what is said when there is none."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from hosting import images
from hosting.images import ImageProcessor, ImageReference, framework_image, parse_image_uri


@pytest.mark.parametrize(
    ("framework", "version", "processor", "region", "uri"),
    [
        (
            "xgboost",
            "3.2-0",
            "cpu",
            "eu-west-1",
            "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0",
        ),
        (
            "xgboost",
            "1.7-1",
            "cpu",
            "us-west-2",
            "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1",
        ),
        (
            "scikit-learn",
            "1.4-2-py312",
            "cpu",
            "us-east-1",
            (
                "683313688378.dkr.ecr.us-east-1.amazonaws.com/"
                "sagemaker-scikit-learn:1.4-2-py312-cpu-py3"
            ),
        ),
        (
            "pytorch",
            "2.6",
            "cpu",
            "af-south-1",
            "626614931356.dkr.ecr.af-south-1.amazonaws.com/pytorch-inference:2.6-cpu-py312",
        ),
        (
            "pytorch",
            "2.6",
            "gpu",
            "us-east-1",
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6-gpu-py312",
        ),
        (
            "huggingface",
            "4.51.3",
            "cpu",
            "us-east-1",
            (
                "763104351884.dkr.ecr.us-east-1.amazonaws.com/"
                "huggingface-pytorch-inference:2.6.0-transformers4.51.3-cpu-py312-ubuntu22.04"
            ),
        ),
        (
            "huggingface",
            "5.5.3",
            "gpu",
            "us-east-1",
            (
                "763104351884.dkr.ecr.us-east-1.amazonaws.com/"
                "huggingface-pytorch-inference:2.6.0-transformers5.5.3-gpu-py312-cu124-ubuntu22.04"
            ),
        ),
        (
            "triton",
            "26.05",
            "gpu",
            "us-east-1",
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/sagemaker-tritonserver:26.05-py3",
        ),
        (
            "triton",
            "26.05",
            "cpu",
            "us-east-1",
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/sagemaker-tritonserver:26.05-py3-cpu",
        ),
        (
            "sparkml",
            "3.3",
            "cpu",
            "us-east-1",
            "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-sparkml-serving:3.3",
        ),
        (
            "pytorch",
            "2.6",
            "cpu",
            "cn-north-1",
            "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch-inference:2.6-cpu-py312",
        ),
    ],
)
def test_a_known_image_is_found_where_the_sagemaker_sdk_finds_it(
    framework: str, version: str, processor: ImageProcessor, region: str, uri: str
) -> None:
    assert (
        framework_image(framework=framework, version=version, processor=processor, region=region)
        == uri
    )


@pytest.mark.parametrize("framework", images.frameworks())
def test_without_a_version_the_newest_one_is_taken(framework: str) -> None:
    newest = images.versions(framework, processor="cpu")[-1]

    assert images.find(framework=framework) == images.find(framework=framework, version=newest)


def test_versions_are_ordered_by_number_and_not_by_letter() -> None:
    versions = images.versions("pytorch")

    assert versions.index("1.9.1") < versions.index("1.13.1") < versions.index("2.6.0")


def test_a_short_version_keeps_its_own_tag() -> None:
    assert images.find(framework="pytorch", version="2.6").tag == "2.6-cpu-py312"
    assert images.find(framework="pytorch", version="2.6.0").tag == "2.6.0-cpu-py312"


def test_a_short_version_may_stand_for_another_patch_on_graviton() -> None:
    image = images.find(framework="pytorch", version="2.2", processor="graviton")

    assert (image.repository, image.tag) == (
        "pytorch-inference-graviton",
        "2.2-cpu-py310-ubuntu20.04-sagemaker",
    )


def test_the_newest_python_is_taken_unless_another_is_named() -> None:
    assert images.find(framework="pytorch", version="1.5.0").tag == "1.5.0-cpu-py36"
    assert images.find(framework="pytorch", version="1.5.0", python="py3").tag == "1.5.0-cpu-py3"


@pytest.mark.parametrize("framework", images.frameworks())
@pytest.mark.parametrize("processor", get_args(ImageProcessor))
def test_every_image_of_the_table_has_an_address_that_reads_back(
    framework: str, processor: ImageProcessor
) -> None:
    for version in images.versions(framework, processor=processor):
        image = images.find(framework=framework, version=version, processor=processor)
        for region, account in image.registries.items():
            assert parse_image_uri(image.uri(region)) == ImageReference(
                host=f"{account}.dkr.ecr.{region}.{images.dns_suffix(region)}",
                repository=image.repository,
                tag=image.tag,
                account=account,
                region=region,
            )


def test_every_partition_keeps_its_registries_below_its_own_domain() -> None:
    for partition in Loader().load_data("endpoints")["partitions"]:
        for region in partition["regions"]:
            assert images.dns_suffix(region) == partition["dnsSuffix"]


def test_an_unknown_framework_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError,
        match="framework must be one of huggingface, pytorch, scikit-learn, sparkml, tensorflow,"
        " triton, xgboost, got sklearn",
    ):
        framework_image(framework="sklearn", region="us-east-1")


def test_an_unknown_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"version of xgboost for cpu must be .*3\.2-0, got 9\.9"):
        framework_image(framework="xgboost", version="9.9", region="us-east-1")


def test_a_version_without_an_image_for_the_processor_is_refused() -> None:
    with pytest.raises(ValueError, match=r"version of pytorch for graviton must be .*got 1\.5\.0"):
        images.find(framework="pytorch", version="1.5.0", processor="graviton")


def test_a_framework_without_an_image_for_the_processor_is_refused() -> None:
    with pytest.raises(ValueError, match="processor of sparkml must be cpu, got gpu"):
        images.find(framework="sparkml", processor="gpu")


def test_an_unknown_processor_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="processor must be one of cpu, gpu, graviton, got tpu"):
        images.find(framework="pytorch", processor="tpu")  # type: ignore[arg-type]


def test_a_region_without_the_image_is_refused_with_those_that_have_it() -> None:
    with pytest.raises(ValueError, match=r"region of triton 26\.05 must be one of .*got cn-north"):
        framework_image(framework="triton", version="26.05", region="cn-north-1")


def test_an_unknown_python_is_refused_with_those_of_the_version() -> None:
    with pytest.raises(ValueError, match=r"python of pytorch 2\.6\.0 must be py312, got py39"):
        images.find(framework="pytorch", version="2.6.0", python="py39")
    with pytest.raises(ValueError, match=r"python of xgboost 3\.2-0 must be left out, got py39"):
        images.find(framework="xgboost", version="3.2-0", python="py39")


DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("uri", "reference"),
    [
        ("my-server", ImageReference(host=None, repository="my-server")),
        ("team/server:v1", ImageReference(host=None, repository="team/server", tag="v1")),
        (
            "localhost:5000/server:v1",
            ImageReference(host="localhost:5000", repository="server", tag="v1"),
        ),
        (
            f"123456789012.dkr.ecr.us-east-1.amazonaws.com/team/server@{DIGEST}",
            ImageReference(
                host="123456789012.dkr.ecr.us-east-1.amazonaws.com",
                repository="team/server",
                digest=DIGEST,
                account="123456789012",
                region="us-east-1",
            ),
        ),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/server:v1",
            ImageReference(
                host="123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                repository="server",
                tag="v1",
                account="123456789012",
                region="cn-north-1",
            ),
        ),
        (
            "123456789012.dkr-ecr.us-east-1.on.aws/server:v1",
            ImageReference(
                host="123456789012.dkr-ecr.us-east-1.on.aws",
                repository="server",
                tag="v1",
                account="123456789012",
                region="us-east-1",
            ),
        ),
    ],
)
def test_an_address_is_taken_apart(uri: str, reference: ImageReference) -> None:
    assert parse_image_uri(uri) == reference


@pytest.mark.parametrize("uri", ["", "a b", "server:", "server:tag:tag", "server@digest", "s:\n"])
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"got {uri!r}")):
        parse_image_uri(uri)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        reference = parse_image_uri(text)
    except ValueError:
        return
    assert reference.repository in text
