"""Instance types: what the names say against what EC2 recorded."""

from __future__ import annotations

import pytest
from botocore.loaders import Loader

from hosting import instances


def test_the_table_lists_the_types_of_the_service_model() -> None:
    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]

    assert instances.instance_types() == tuple(
        sorted(shapes["ProductionVariantInstanceType"]["enum"])
    )


@pytest.mark.parametrize("name", instances.instance_types())
def test_a_name_tells_gpus_as_ec2_recorded_them(name: str) -> None:
    found = instances.instance_type(name)

    if found.gpus is not None:
        assert (found.processor == "gpu") is (found.gpus > 0)


@pytest.mark.parametrize(
    ("name", "processor"),
    [
        ("ml.m5.large", "cpu"),
        ("ml.c6in.xlarge", "cpu"),
        ("ml.c7g.large", "graviton"),
        ("ml.m6gd.large", "graviton"),
        ("ml.g5.xlarge", "gpu"),
        ("ml.p6-b200.48xlarge", "gpu"),
        ("ml.inf2.xlarge", "inferentia"),
        ("ml.trn1n.32xlarge", "trainium"),
        ("ml.dl1.24xlarge", "gaudi"),
        ("ml.g9x.large", "gpu"),
    ],
)
def test_a_name_tells_the_processor(name: str, processor: str) -> None:
    assert instances.processor(name) == processor


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("ml.m5.large", False),
        ("ml.m5d.large", True),
        ("ml.g4dn.xlarge", True),
        ("ml.g5.xlarge", True),
        ("ml.inf2.xlarge", False),
        ("ml.r7gd.large", True),
        ("ml.p3.2xlarge", None),
    ],
)
def test_local_storage_is_known_where_ec2_recorded_it(name: str, local: bool | None) -> None:
    assert instances.has_local_storage(name) is local


def test_the_option_d_means_local_storage() -> None:
    for name in instances.instance_types():
        family = name.split(".")[1]
        if family.endswith("d") or "dn" in family:
            assert instances.has_local_storage(name)


def test_an_instance_type_has_the_memory_of_its_ec2_namesake() -> None:
    found = instances.instance_type("ml.g5.2xlarge")

    assert (found.vcpus, found.memory_mib, found.gpus) == (8, 32 * 1024, 1)


def test_only_types_with_credits_are_burstable() -> None:
    assert instances.is_burstable("ml.t2.medium")
    assert not instances.is_burstable("ml.trn1.2xlarge")


def test_an_unknown_size_is_refused_with_the_sizes_of_the_family() -> None:
    with pytest.raises(
        ValueError,
        match=r"instance_type must be ml\.p4d\.24xlarge, got ml\.p4d\.large",
    ):
        instances.instance_type("ml.p4d.large")


@pytest.mark.parametrize("name", ["", "m5.large", "ml.m5", "ml.m5.large "])
def test_what_is_no_instance_type_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"instance_type must look like ml\.m5\.large, got"):
        instances.processor(name)
