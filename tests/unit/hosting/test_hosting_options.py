from __future__ import annotations

from typing import Any

import pytest

from hosting import options

REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"


def model(image: str = "pytorch-inference:2.6-cpu-py312", **container: Any) -> dict[str, Any]:
    primary = {"Image": f"{REGISTRY}/{image}", "ModelDataUrl": "s3://b/m.tar.gz", **container}
    return {"ModelName": "m", "PrimaryContainer": primary}


def test_a_plain_model_is_possible_everywhere() -> None:
    assert options.against_serverless(model()) == []
    assert options.against_instances(model(), "ml.m5.large") == []
    assert options.against_async(model(), "ml.m5.large") == []
    assert options.against_multi_model(model(), "ml.m5.large") == []


@pytest.mark.parametrize(
    ("image", "needs"),
    [
        ("pytorch-inference:2.6-gpu-py312", True),
        ("huggingface-pytorch-inference:2.6.0-transformers5.5.3-gpu-py312-cu124-ubuntu22.04", True),
        ("sagemaker-tritonserver:26.05-py3", True),
        ("sagemaker-tritonserver:26.05-py3-cpu", False),
        ("sagemaker-scikit-learn:1.4-2-py312-cpu-py3", False),
        ("own/custom:gpuless", False),
    ],
)
def test_images_for_gpus_are_told_by_their_names(image: str, needs: bool) -> None:
    assert options.needs_gpu(model(image)) is needs


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"VpcConfig": {"Subnets": ["s"]}}, "VPC configuration"),
        ({"EnableNetworkIsolation": True}, "network isolation"),
        ({"PrimaryContainer": None, "Containers": [{}, {}]}, "several containers"),
        ({"PrimaryContainer": {"Mode": "MultiModel"}}, "multi-model container"),
        ({"PrimaryContainer": {"ModelDataSource": {"S3DataSource": {}}}}, "ModelDataSource"),
        (
            {"PrimaryContainer": {"ImageConfig": {"RepositoryAccessMode": "Vpc"}}},
            "private registry",
        ),
    ],
)
def test_what_serverless_excludes_is_said(change: dict[str, Any], reason: str) -> None:
    found = {key: value for key, value in {**model(), **change}.items() if value is not None}

    assert any(reason in each for each in options.against_serverless(found))


def test_a_gpu_image_needs_an_instance_with_a_gpu() -> None:
    gpu = model("pytorch-inference:2.6-gpu-py312")

    assert options.against_instances(gpu, "ml.m5.large") == [
        "its image is for GPUs, ml.m5.large has none"
    ]
    assert options.against_instances(gpu, "ml.g5.xlarge") == []


def test_a_queues_requests_cannot_name_a_model() -> None:
    (reason,) = options.against_async(model(Mode="MultiModel"), "ml.m5.large")

    assert "cannot name a model" in reason


def test_an_image_that_serves_one_model_cannot_serve_several() -> None:
    (reason,) = options.against_multi_model(
        model("huggingface-pytorch-inference:2.6.0-transformers4.51.3-cpu-py312"), "ml.m5.large"
    )

    assert "does not serve several models" in reason


def test_without_model_data_there_is_nothing_to_load_by_name() -> None:
    (reason,) = options.against_multi_model(model(ModelDataUrl=None), "ml.m5.large")

    assert "no model data" in reason
